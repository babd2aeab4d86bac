"""How units look: the fleet as a table, as wide as there is room, or one of them in full.

What stands in a document is known to be of the right kind (`core.records`), and no more than that.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from statusd.cli.out import Cell, Row, cell
from statusd.core.text import shown

if TYPE_CHECKING:
    from statusd.fleet.response_collector import UnitInfo

MOST = 5000
"""How much of arguments and of lists is shown in full, in characters."""
FACTS = ("", "")
"""The heads of one unit in full: none."""
_STYLES = {
    "RUNNING": "green",
    "FAILED": "bold red",
    "FAULT": "bold red",
    "LOST": "bold red",
    "UNREADABLE": "bold red",
    "BACKOFF": "yellow",
    "INIT": "yellow",
    "ENDING": "yellow",
    "END": "dim",
}


_HEADS = (
    *("NAME", "STATE", "SINCE", "GOAL", "PROGRESS", "TEXT"),
    *("PID", "RESTARTS", "LAST", "LINK", "SEEN"),
)
_DISPENSABLE = ("SEEN", "PID", "GOAL", "RESTARTS", "LAST", "SINCE", "TEXT", "LINK", "PROGRESS")
"""What is left out of a table that is too wide, in this order."""
NUMBERS = ("PID", "RESTARTS")


def table_of(units: Iterable[UnitInfo], width: int = 0) -> tuple[list[str], list[Row]]:
    """Return heads and rows of a table that fits into ``width``; 0: as wide as it comes."""
    rows = [_row(unit) for unit in units]
    heads = fitting(rows, width) if width else list(_HEADS)
    places = [_HEADS.index(head) for head in heads]
    return heads, [[row[place] for place in places] for row in rows]


def fitting(rows: Sequence[Row], width: int) -> list[str]:
    """Return the columns that fit into ``width``, two blanks between them; name and state always.

    Args:
        rows: a cell for each of `_HEADS`.
    """
    sizes = {
        head: max(len(head), *(len(row[at].text) for row in rows), 0)
        for at, head in enumerate(_HEADS)
    }
    for head in _DISPENSABLE:
        if sum(sizes.values()) + 2 * (len(sizes) - 1) <= width:
            break
        del sizes[head]
    return list(sizes)


def _row(unit: UnitInfo) -> list[Cell]:
    document, now = unit.document, time.time()
    worker = document.get("worker") or {}
    read = document if unit.is_alive else {}
    return [
        cell(unit.name),
        cell(state_of(unit, now), style_of(unit)),
        cell(ago(document.get("since"), now) if document else ""),
        cell(read.get("goal", "")),
        cell(progress_bar(read.get("progress"))),
        cell(read.get("trouble") or read.get("text") or unit.unreadable),
        cell(worker.get("pid") or ""),
        cell(worker.get("restarts", "") if read else ""),
        cell(_last(read.get("last"))),
        cell(read.get("link", "")),
        cell(ago(unit.seen, now)),
    ]


def state_of(unit: UnitInfo, now: float) -> str:
    """Return the state, and what it would hide: that the worker is still in a step, or is ending.

    ``PAUSED (not seen yet, 11 s)``, ``ENDING (SIGTERM in 52 s)``.
    """
    document = unit.document if unit.is_alive else {}
    more = []
    if document.get("unseen_since"):
        since = ago(document["unseen_since"], now)
        more.append("not seen yet" if since in ("", "now") else f"not seen yet, {since}")
    stop = document.get("stop")
    if isinstance(stop, dict) and stop.get("next"):
        left_s = float(stop.get("in_s") or 0) - max(0.0, now - _seconds(unit.seen, now))
        more.append(f"{stop['next']} in {max(0.0, left_s):.0f} s")
    return f"{unit.state} ({', '.join(more)})" if more else unit.state


def _seconds(at: object, otherwise: float) -> float:
    """Return a time (RFC 3339) in Unix time; ``otherwise`` if it is none."""
    try:
        return datetime.fromisoformat(str(at)).timestamp()
    except (ValueError, OverflowError, OSError):  # a year that no clock here has
        return otherwise


def style_of(unit: UnitInfo) -> str:
    """Return how the state is coloured: by its kind, as far as the document tells."""
    chosen = _STYLES.get(unit.state)
    if chosen is not None:
        return chosen
    return "green" if unit.document.get("part") == "works" else "blue"


def progress_bar(progress: Any) -> str:
    """Return ``[######----] 60 %``, or the bare number if nobody knows the end."""
    if not isinstance(progress, dict) or progress.get("step") is None:
        return ""
    step, total = progress["step"], progress.get("total")
    if not total:
        return f"{step:g}"
    share = max(0.0, min(1.0, step / total))
    full = round(share * 10)
    return f"{'#' * full}{'-' * (10 - full)} {share:4.0%}"


def _last(last: Any) -> str:
    """Return the last command and who sent it, or what else has led to the state."""
    if not isinstance(last, dict):
        return ""
    who = str(last.get("by") or last.get("source") or "")
    return f"{last['command']} by {who}" if "command" in last else who


def ago(at: object, now: float) -> str:
    """Return how long ago a time (RFC 3339) was, in the largest unit that fits."""
    then = _seconds(at, math.inf)
    if then == math.inf:
        return ""
    seconds = max(0.0, now - then)
    for size, letter in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.0f} {letter}"
    return "now"


def facts(unit: UnitInfo) -> list[Row]:
    """Return all that is known of one unit: a row a fact, what it is and what it says."""
    return [
        (cell(key, "bold"), Cell(shown(value, MOST), style_of(unit) if key == "state" else ""))
        for key, value in _facts(unit)
    ]


def _facts(unit: UnitInfo) -> Iterable[tuple[str, str]]:
    document, now = unit.document, time.time()
    worker = document.get("worker") or {}
    yield "name", unit.name
    yield "state", state_of(unit, now)
    if unit.seen:
        yield "seen", f"{ago(unit.seen, now)} ({unit.seen})"
    if unit.unreadable:
        yield "unreadable", unit.unreadable
    if not document:
        return
    yield "since", f"{ago(document.get('since'), now)} ({document.get('since')})"
    for key in ("goal", "text", "trouble"):
        if document.get(key):
            yield key, str(document[key])
    if document.get("progress"):
        yield "progress", progress_bar(document["progress"])
    for key in ("allowed", "tags", "channels"):
        if document.get(key):
            yield key, " ".join(document[key])
    if document.get("args"):
        yield "args", json.dumps(document["args"])
    pid, restarts = worker.get("pid") or "none", worker.get("restarts", 0)
    yield "worker", f"pid {pid}, run {document.get('run')}, restarted {restarts} times"
    stop = document.get("stop")
    if stop:
        yield "stop", ", ".join(f"{key} {value}" for key, value in stop.items())
    last = document.get("last")
    if last:
        yield "last", ", ".join(f"{key} {value}" for key, value in last.items())
    yield "daemon", f"pid {document.get('pid')} on {document.get('host')}, boot {unit.boot}"
    yield "link", _link(document)
    death = worker.get("death")
    if death:
        yield "died", f"run {death.get('run')}: {death.get('reason')}"
        for row in death.get("stderr", ()):
            yield "", row


def _link(document: Mapping[str, Any]) -> str:
    """Return how well the unit hears: ``LISTENING, canary 0.4 ms, 2 outages since its start``."""
    told = [str(document.get("link"))]
    if document.get("canary_ms") is not None:
        told.append(f"canary {document['canary_ms']:.1f} ms")
    outages = document.get("outages", 0)
    told.append(f"{outages} outage{'' if outages == 1 else 's'} since its start")
    return ", ".join(told)
