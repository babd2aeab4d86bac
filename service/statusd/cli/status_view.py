"""How units look: the fleet as a table, as wide as there is room, or one of them in full."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from statusd.core.ballot import Unit

_STYLES = {
    "RUNNING": "green",
    "FAILED": "bold red",
    "FAULT": "bold red",
    "LOST": "bold red",
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
_NUMBERS = ("PID", "RESTARTS")


def table_of(units: Iterable[Unit], width: int) -> Table:
    """Return the fleet as a table that fits into ``width``."""
    from rich.table import Table

    rows = [dict(zip(_HEADS, _row(unit), strict=True)) for unit in units]
    heads = fitting(rows, width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        side: Literal["left", "right"] = "right" if head in _NUMBERS else "left"
        table.add_column(head, justify=side, overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*(row[head] for head in heads))
    return table


def fitting(rows: Sequence[Mapping[str, str | Text]], width: int) -> list[str]:
    """Return the columns that fit into ``width``, two blanks between them; name and state always.

    Args:
        rows: head -> content, as `_HEADS` names them.
    """
    sizes = {head: max(len(head), *(len(row[head]) for row in rows), 0) for head in _HEADS}
    for head in _DISPENSABLE:
        if sum(sizes.values()) + 2 * (len(sizes) - 1) <= width:
            break
        del sizes[head]
    return list(sizes)


def _row(unit: Unit) -> list[str | Text]:
    from rich.text import Text

    document, now = unit.document, time.time()
    worker = document.get("worker") or {}
    state = Text(unit.state, style=style_of(unit))
    alive = unit.is_alive
    return [
        unit.name,
        state,
        ago(document.get("since"), now) if document else "",
        str(document.get("goal", "")) if alive else "",
        progress_bar(document.get("progress")) if alive else "",
        Text(str(document.get("trouble") or document.get("text") or "")) if alive else "",
        str(worker.get("pid") or ""),
        str(worker.get("restarts", "")) if alive else "",
        Text(_last(document.get("last")) if alive else ""),
        str(document.get("link", "")) if alive else "",
        ago(unit.seen, now),
    ]


def style_of(unit: Unit) -> str:
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
    try:
        then = datetime.fromisoformat(str(at)).timestamp()
    except ValueError:
        return ""
    seconds = max(0.0, now - then)
    for size, letter in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.0f} {letter}"
    return "now"


def in_full(unit: Unit) -> Table:
    """Return all that is known of one unit."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _facts(unit):
        shown = Text(value, style=style_of(unit) if key == "state" else "")
        table.add_row(key, shown)
    return table


def _facts(unit: Unit) -> Iterable[tuple[str, str]]:
    document, now = unit.document, time.time()
    worker = document.get("worker") or {}
    yield "name", unit.name
    yield "state", unit.state
    if unit.seen:
        yield "seen", f"{ago(unit.seen, now)} ({unit.seen})"
    if not document:
        return
    yield "since", f"{ago(document.get('since'), now)} ({document.get('since')})"
    for key in ("goal", "text"):
        if document.get(key):
            yield key, str(document[key])
    if document.get("progress"):
        yield "progress", progress_bar(document["progress"])
    for key in ("allowed", "tags", "channels"):
        if document.get(key):
            yield key, " ".join(map(str, document[key]))
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
    if document.get("trouble"):
        yield "trouble", f"nothing is kept: {document['trouble']}"
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
