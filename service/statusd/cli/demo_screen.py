"""What the demonstration shows: all that is known, as wide as the terminal is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from statusd.cli import out
from statusd.cli.status_view import progress_text, style_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from statusd.fleet.response_collector import UnitInfo

WORDS = {"s": "start", "p": "pause", "r": "resume", "t": "stop", "e": "end", "x": "reset"}
HELP = (
    ("1 2 3", "choose"),
    ("a", "all"),
    *((key, word) for key, word in WORDS.items()),
    ("c", "crash the worker"),
    ("q", "quit"),
)
COLUMNS = {"": 2, "UNIT": 6, "STATE": 17, "PROGRESS": 16, "ANSWER": 12, "LINK": 9}
"""What is shown of a unit, and the room that it needs; the last ones go first."""
WIDER = {"ANSWER": 8, "PROGRESS": 11}
"""How much more room they are given before there is any for the link: an answer in full, and the
time that is left."""


@dataclass
class View:
    """Everything that is shown.

    Args:
        names: of the units, in the order of the table.
        chosen: the place of one of them; -1 for all.
        typed: the line that does the same as the last key.
        answers: unit -> its last verdict, in words.
        events: the newest last.
    """

    names: tuple[str, ...]
    broker: str
    chosen: int = 0
    typed: str = ""
    units: dict[str, UnitInfo] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=50))

    def wanted(self) -> tuple[str, ...]:
        """Return the units that a key is for."""
        return self.names if self.chosen < 0 else (self.names[self.chosen],)


def draw(view: View, width: int, height: int) -> RenderableType:
    """Return the whole screen, the newest events as far as there is room for them."""
    from rich.console import Group

    head = out.text("statusd demo", "bold").append_text(out.text(f"  {view.broker}", "dim"))
    told = out.text(view.typed or "press a key: here comes the line that does the same", "cyan")
    keys = _keys(width)
    room = height - len(view.names) - _rows(told, width) - _rows(keys, width) - 8
    newest = list(view.events)[-max(0, room) :] if room > 0 else []
    events = [out.text(event, "dim") for event in newest]
    for event in events:
        event.no_wrap, event.overflow = True, "ellipsis"
    hint = out.text("the same, from anywhere:", "dim")
    return Group(head, "", _table(view, width), "", hint, told, "", keys, "", *events)


def _rows(text: Text, width: int) -> int:
    return sum(-(-len(line) // width) or 1 for line in text.plain.splitlines())


def _keys(width: int) -> Text:
    """Return the keys, a line as wide as it may be."""
    lines, used = out.text(""), 0
    for key, what in HELP:
        size = len(key) + len(what) + 1
        if used and used + size + 3 > width:
            lines.append("\n")
            used = 0
        elif used:
            lines.append("   ")
            used += 3
        lines.append(key, style="bold reverse" if len(key) == 1 else "bold")
        lines.append(f" {what}")
        used += size
    return lines


def _table(view: View, width: int) -> Table:
    shown = list(COLUMNS)
    if _taken(shown) + sum(WIDER.values()) > width:
        shown.remove("LINK")
    while _taken(shown) > width:
        shown.pop()
    spare = max(0, width - _taken(shown))
    answer = min(WIDER["ANSWER"], spare) if "ANSWER" in shown else 0
    progress = min(24, spare - answer)
    rooms = COLUMNS["PROGRESS"] + progress, COLUMNS["ANSWER"] + spare - progress
    rows = [_row(view, place, *rooms)[: len(shown)] for place in range(len(view.names))]
    return out.table(rows, shown)


def _taken(shown: list[str]) -> int:
    """Return how wide a table of these columns is at least, two blanks between them."""
    return sum(COLUMNS[head] + 2 for head in shown) - 2


def _row(view: View, place: int, progress_room: int, answer_room: int) -> list[out.Cell]:
    """Return what is known of one unit, progress and last answer in so many columns."""
    name = view.names[place]
    unit = view.units.get(name)
    document: Mapping[str, Any] = unit.document if unit and unit.is_alive else {}
    is_chosen = view.chosen in (place, -1)
    return [
        out.cell(f"{'>' if is_chosen else ' '}{place + 1}", "bold cyan" if is_chosen else ""),
        out.cell(name, "bold" if is_chosen else ""),
        out.cell(_state(unit), style_of(unit)) if unit else out.cell("...", "dim"),
        out.cell(progress_text(document.get("progress"), progress_room)),
        out.cell(_cut(view.answers.get(name, ""), answer_room)),
        out.cell(document.get("link", "")),
    ]


def _state(unit: UnitInfo) -> str:
    """Return its state, and whether the worker is still in a step."""
    is_unseen = unit.is_alive and unit.document.get("unseen_since")
    return f"{unit.state} (not seen)" if is_unseen else str(unit.state)


def _cut(text: str, size: int) -> str:
    """Return ``text`` in so many columns: else the table would take them from its neighbours."""
    return text if len(text) <= size else f"{text[: size - 1]}…"
