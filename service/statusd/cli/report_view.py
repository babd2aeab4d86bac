"""How a report looks: a line for each verdict as it comes, and what they come to.

While somebody is waited for, a terminal shows who, and how far the end of its worker has come.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Self

from statusd.cli import complain, out
from statusd.core.text import shown

if TYPE_CHECKING:
    from statusd.fleet.response_collector import Outcome, Report, UnitInfo

MOST = 1000
"""How much of a reason is shown, and of what is allowed instead, in characters."""
BAR, MOST_NAMES = 20, 3
"""How long the bar of those who wait is, and how many units are shown beside it."""
NAMES_WORDS = " is not allowed in "
"""A reason with this names the words that are, itself (`core.refusals`)."""
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
    if allowed and outcome.verdict == "refused" and NAMES_WORDS not in outcome.reason:
        return f"{outcome.reason}; allowed: {' '.join(allowed)}"
    return outcome.reason


class Progress:
    """Who is waited for, on standard error, if that is a terminal; gone when it is done."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._line = out.PassingLine()
        self._longest_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._line)

    def waiting(self, units: list[UnitInfo], left_s: float) -> None:
        """Show ``units``, each with how far it is, and a bar of the time that is left."""
        self._longest_s = max(self._longest_s, left_s)
        done = round((1 - left_s / self._longest_s) * BAR)
        bar = f"[{'#' * done}{'.' * (BAR - done)}] {left_s:.0f} s"
        names = ", ".join(f"{shown(unit.name, 64)} {_stage(unit)}" for unit in units[:MOST_NAMES])
        more = f", and {len(units) - MOST_NAMES} more" if len(units) > MOST_NAMES else ""
        self._line.show(f"{self._word}: {bar}  waits for {names}{more}")

    def outcome(self, outcome: Outcome) -> None:
        """Print the line of one unit, at once, in the place of what was shown."""
        self._line.remove()
        print_outcome(outcome)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.remove()


def _stage(unit: UnitInfo) -> str:
    """Return the state of a unit, and of one that ends what is done about it, and when."""
    stop = unit.document.get("stop")
    if not stop:
        return shown(unit.state, 64)
    following = f"; {stop['next']} in {stop.get('in_s', 0.0):.0f} s" if "next" in stop else ""
    return shown(f"{unit.state} ({stop.get('stage', '')}{following})", 128)


def nobody(place: str) -> str:
    """Return what is said where no unit is meant; ``place`` says where was looked."""
    return f"nobody to ask: no unit fits ({place}); statusd status shows who is there"


def print_report(report: Report, word: str, *, as_json: bool) -> None:
    """Print what became of ``word``; the answers were printed as they came, but not as JSON."""
    if as_json:
        rows = [outcome.record() for outcome in report.outcomes]
        pending = [outcome.name for outcome in report.pending]
        found = {"id": report.id, "command": word, "units": rows, "pending": pending}
        out.say_json(found | ({"entry": report.entry} if report.entry else {}))
        return
    for outcome in (*report.pending, *report.silent, *report.lost):
        print_outcome(outcome)
    counts = {
        "done": len(report.done),
        "refused": len(report.refused),
        "pending": len(report.pending),
        "silent": len(report.silent),
        "lost": len(report.lost),
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if not report.outcomes:
        complain(nobody(report.where))
    else:
        out.say(f"{word}: {told}")
    if report.entry:
        out.say(f"kept as {report.entry}: who is away obeys when it is back in time")
