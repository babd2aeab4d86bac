"""How a report looks: a line for each verdict as it comes, and what they come to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from statusd.cli import complain, out
from statusd.core.text import shown

if TYPE_CHECKING:
    from statusd.fleet.response_collector import Outcome, Report

MOST = 1000
"""How much of a reason is shown, and of what is allowed instead, in characters."""
NARROW = 70
"""On a terminal with fewer columns nothing is padded to stand in columns."""


def units(count: int) -> str:
    """Return ``1 unit``, ``2 units``."""
    return "1 unit" if count == 1 else f"{count} units"


def print_outcome(outcome: Outcome) -> None:
    """Print the line of one unit, at once."""
    name, before, after = map(shown, (outcome.name, outcome.before, outcome.after))
    change = after
    if before and before != after:
        change = f"{before} -> {after}" if after else before
    took = f"{outcome.ms:.1f} ms" if outcome.ms is not None else "-"
    said = shown(_said(outcome), MOST)
    if sys.stdout.isatty() and os.get_terminal_size(1).columns < NARROW:
        line = f"{name}  {outcome.verdict}  {change}  {took}  {said}"
    else:
        line = f"{name:<20} {outcome.verdict:<8} {change:<20} {took:>10}  {said}"
    out.say(line.rstrip(), flush=True)


def _said(outcome: Outcome) -> str:
    """Return the reason, and what to type instead."""
    meant, allowed = outcome.fields.get("did_you_mean"), outcome.fields.get("allowed")
    if meant:
        return f"{outcome.reason}: did you mean {meant}?"
    if allowed and outcome.verdict == "refused":
        return f"{outcome.reason}; allowed: {' '.join(allowed)}"
    return outcome.reason


def print_report(report: Report, word: str, *, as_json: bool) -> None:
    """Print what became of ``word``; the answers were printed as they came, but not as JSON."""
    if as_json:
        rows = [
            {
                **{"name": o.name, "verdict": o.verdict, "before": o.before, "after": o.after},
                **{"ms": o.ms, "reason": o.reason},
            }
            for o in report.outcomes
        ]
        found = {"id": report.id, "command": word, "units": rows}
        out.say_json(found | ({"entry": report.entry} if report.entry else {}))
        return
    for outcome in (*report.silent, *report.lost):
        print_outcome(outcome)
    counts = {
        "done": len(report.done),
        "refused": len(report.refused),
        "silent": len(report.silent),
        "lost": len(report.lost),
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if not report.outcomes:
        complain("nobody to ask: no unit fits (statusd status shows who is there)")
    else:
        out.say(f"{word}: {told}")
    if report.entry:
        out.say(f"kept as {report.entry}: who is away obeys when it is back in time")
