"""The fleet as a table: as wide as there is room, and nothing that matters in trouble left out.

What is long is shortened first; then columns go that tell nothing new; one that tells of trouble
stays as long as its bare minimum fits.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from statusd.cli import out
from statusd.cli.out import Cell, Row, cell
from statusd.cli.status_view import (
    ago,
    cpu_text,
    how_it_ended,
    is_down,
    memory_text,
    progress_bar,
    progress_text,
    state_text,
    style_of,
)

if TYPE_CHECKING:
    from statusd.fleet.response_collector import UnitInfo

_HEADS = (
    *("NAME", "STATE", "SINCE", "GOAL", "PROGRESS", "TEXT"),
    *("CPU", "MEMORY", "PID", "RESTARTS", "LAST", "LINK", "SEEN"),
)
_EASY = {"TEXT": 12, "LAST": 12, "NAME": 32}
"""How far a column is shortened before another one is left out, in columns of the terminal."""
_WIDER = (
    *(("LAST", 24), ("PROGRESS", 30), ("TEXT", 40), ("PROGRESS", 1000)),
    *(("TEXT", 1000), ("LAST", 1000), ("NAME", 1000)),
)
"""Who gets the room that is left, and up to which width, in this order."""
_BAR = 15
"""How wide the bar of a progress is, with its per cent."""
_REASON = 20
"""How much of a text there is at least if it tells of trouble."""
_LEAST = {"TEXT": 12, "LAST": 12, "NAME": 12}
"""How far it is shortened before one is left out that tells of trouble."""
_DISPENSABLE = (
    *("CPU", "MEMORY", "SEEN", "PID", "RESTARTS", "LINK"),
    *("GOAL", "LAST", "SINCE", "TEXT", "PROGRESS"),
)
"""What is left out of a table that is too wide, in this order; what tells of trouble last."""
_USES = ("CPU", "MEMORY")
"""What isn't there for anybody takes no room from others."""
NUMBERS = ("CPU", "MEMORY", "PID", "RESTARTS")


def table_of(units: Iterable[UnitInfo], width: int = 0) -> tuple[list[str], list[Row]]:
    """Return heads and rows of a table that fits into ``width``; 0: as wide as it comes."""
    units = list(units)
    rows: list[Row] = [_row(unit) for unit in units]
    if not width:
        return list(_HEADS), rows
    sizes = fitting(rows, width, telling(units))
    places = [(head, _HEADS.index(head), size) for head, size in sizes.items()]
    cut: list[Row] = [
        [_cut(row[place], size, head) for head, place, size in places] for row in rows
    ]
    return list(sizes), cut


def _cut(cell: Cell, size: int, head: str) -> Cell:
    text = _in_parts(cell.text, size) if head == "PROGRESS" else cell.text
    return Cell(out.cut(text, size), cell.style)


def _bar_and_time(row: Row) -> int:
    """Return how wide the bar of a row is with the time that is left; more is for more room."""
    bar, *more = row[_HEADS.index("PROGRESS")].text.split(", ")
    time_left = more[0] if more and more[0].endswith(" left") else ""
    return max(len("PROGRESS"), out.width(f"{bar}, {time_left}" if time_left else bar))


def _in_parts(text: str, size: int) -> str:
    """Return of a progress the parts that fit: half a rate is none."""
    while out.width(text) > size and ", " in text:
        text = text.rpartition(", ")[0]
    return text


def fitting(rows: Sequence[Row], width: int, kept: Collection[str] = ()) -> dict[str, int]:
    """Return the columns that fit into ``width``, two blanks between them, and how wide each is.

    Name and state are always there.

    Args:
        rows: a cell for each of `_HEADS`.
        kept: the columns that tell of trouble.
    """
    wanted = {
        head: max(len(head), *(out.width(row[at].text) for row in rows), 0)
        for at, head in enumerate(_HEADS)
        if head not in _USES or any(row[at].text for row in rows)
    }
    easy = _EASY | {"PROGRESS": max(map(_bar_and_time, rows), default=0)}
    sizes = _shortened(wanted, easy | ({"TEXT": _REASON} if "TEXT" in kept else {}))
    _drop((head for head in _DISPENSABLE if head not in kept), sizes, width)
    if _total(sizes) > width:
        sizes = _shortened(sizes, _LEAST)
        _drop((head for head in _DISPENSABLE if head in kept), sizes, width)
    sizes = _widened(sizes, wanted, width - _total(sizes))
    if "PROGRESS" in sizes:  # what half a part would take is for others
        at, most = _HEADS.index("PROGRESS"), sizes["PROGRESS"]
        fitted = (out.width(_in_parts(row[at].text, most)) for row in rows)
        sizes["PROGRESS"] = wanted["PROGRESS"] = min(most, max(len("PROGRESS"), *fitted, 0))
    return _widened(sizes, wanted, width - _total(sizes))


def _shortened(sizes: dict[str, int], most: dict[str, int]) -> dict[str, int]:
    return {head: min(size, most.get(head, size)) for head, size in sizes.items()}


def _drop(heads: Iterable[str], sizes: dict[str, int], width: int) -> None:
    """Leave out of ``sizes`` one after the other, until the rest fits or all are gone."""
    for head in heads:
        if _total(sizes) > width and head in ("TEXT", "PROGRESS") and "PROGRESS" in sizes:
            sizes["PROGRESS"] = min(sizes["PROGRESS"], _BAR)  # a text is worth more than time left
        if _total(sizes) <= width:
            break
        sizes.pop(head, None)


def _total(sizes: dict[str, int]) -> int:
    return sum(sizes.values()) + 2 * (len(sizes) - 1)


def _widened(sizes: dict[str, int], wanted: dict[str, int], room: int) -> dict[str, int]:
    """Return ``sizes`` with what is shortened as wide as there is ``room``."""
    for head, most in _WIDER:
        if head in sizes and room > 0:
            more = max(0, min(room, min(wanted[head], most) - sizes[head]))
            sizes[head] += more
            room -= more
    return sizes


def telling(units: Iterable[UnitInfo]) -> set[str]:
    """Return the columns in which trouble stands: a unit that isn't as it is to be."""
    told = set()
    for unit in units:
        document = unit.document
        worker = document.get("worker") or {}
        if is_down(unit):
            told |= {"SINCE", "TEXT"}
        if document.get("trouble"):
            told.add("TEXT")
        if not unit.is_alive:
            continue
        if worker.get("restarts"):
            told.add("RESTARTS")
        if document.get("link", "LISTENING") != "LISTENING":
            told.add("LINK")
        if document.get("goal", unit.state) != unit.state:
            told.add("GOAL")
    return told


def _row(unit: UnitInfo) -> list[Cell]:
    document, now = unit.document, time.time()
    worker = document.get("worker") or {}
    resources = worker.get("resources") or {} if unit.is_alive else {}
    since = document.get("since") if document else unit.seen
    return [
        cell(unit.name),
        cell(state_text(unit), style_of(unit)),
        cell(ago(since, now)),
        cell(document.get("goal", "") if unit.is_alive else ""),
        cell(_progress(unit)),
        cell(document.get("trouble") or document.get("text") or unit.unreadable),
        cell(cpu_text(resources)),
        cell(memory_text(resources)),
        cell(worker.get("pid") or ""),
        cell(worker.get("restarts", "")),
        cell("gone without a word" if unit.is_lost else _led_here(document)),
        cell(document.get("link", "") if unit.is_alive else ""),
        cell(ago(unit.seen, now)),
    ]


def _progress(unit: UnitInfo) -> str:
    """Return how far the work is; of a unit that is down, how far it had come."""
    told = progress_text(unit.document.get("progress"))
    if told or not is_down(unit):
        return told
    return progress_bar((unit.document.get("worker") or {}).get("reached"))


def _led_here(document: Mapping[str, Any]) -> str:
    """Return how it ended; else the last command and who sent it, or what has led to the state."""
    last, how = document.get("last"), how_it_ended(document)
    if how or not isinstance(last, dict):
        return how
    who = str(last.get("by") or last.get("source") or "")
    return f"{last['command']} by {who}" if "command" in last else who


def folded(units: Iterable[UnitInfo], now: datetime) -> tuple[list[UnitInfo], int]:
    """Return the units that matter today, and how many have ended before it.

    Args:
        now: the time, whose day and zone count.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    units = list(units)
    shown = [
        unit for unit in units if not (unit.state == "END" and _is_before(unit.seen, midnight))
    ]
    return shown, len(units) - len(shown)


def _is_before(at: str, limit: datetime) -> bool:
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return False
    return then.tzinfo is not None and then < limit
