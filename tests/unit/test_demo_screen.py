"""Tests of `statusd.cli.demo_screen`: what is shown, at which width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from statusd.cli.demo_screen import HELP, View, draw
from statusd.fleet.response_collector import UnitInfo

NAMES = ("camera", "laser", "stage")


def shown(view: View, width: int, height: int) -> list[str]:
    """Return the rows of the screen."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(draw(view, width, height))
    return capture.get().splitlines()


def view(chosen: int = 0) -> View:
    """Return a view of three units with many events."""
    progress = {"step": 5, "total": 10, "unit": "", "rate": 0.1, "left_s": 50.0}
    document = {"state": "RUNNING", "link": "LISTENING", "progress": progress}
    units = {name: UnitInfo(name, 1, False, "", document) for name in NAMES}
    made = View(NAMES, "a broker", chosen, "redis-cli PUBLISH laser pause", units)
    made.answers["laser"] = "pause: done, 0.4 ms"
    made.events.extend(f"event {number}" for number in range(50))
    return made


@pytest.mark.parametrize(("width", "height"), [(200, 60), (80, 24), (60, 20), (40, 20), (30, 18)])
def test_the_screen_fits_into_the_terminal(width: int, height: int) -> None:
    """No row is longer than the terminal, none is pushed out, and the newest event is seen."""
    rows = shown(view(), width, height)

    assert len(rows) <= height
    assert max(map(len, rows)) <= width
    text = "\n".join(rows)
    assert all(f"{key} {what}" in text for key, what in HELP)
    assert all(name in text for name in NAMES)
    assert "event 49" in text


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (60, ["#####-----  50%"]),
        (80, ["#####-----  50%, 50 s left", "pause: done, 0.4 ms"]),
        (100, ["#####-----  50%, 50 s left, 6/min", "pause: done, 0.4 ms", "LISTENING"]),
    ],
)
def test_the_time_that_is_left_is_shown_where_there_is_room(width: int, told: list[str]) -> None:
    """Before the link, which is always the same here; the answer is never cut for it."""
    row = next(row for row in shown(view(), width, 24) if "laser" in row[:12])

    assert [part for part in told if part in row] == told


def test_a_terminal_without_room_has_no_events() -> None:
    """Ten rows: the table comes first."""
    assert "event" not in "\n".join(shown(view(), 80, 12))


@pytest.mark.parametrize(("chosen", "marked"), [(0, ["camera"]), (2, ["stage"]), (-1, [*NAMES])])
def test_it_shows_who_is_meant(chosen: int, marked: list[str]) -> None:
    """One of them, or all."""
    made = view(chosen)
    rows = [row for row in shown(made, 80, 24) if row.startswith(">")]

    assert [row.split()[1] for row in rows] == marked
    assert [*made.wanted()] == marked


def test_before_the_first_document_there_is_no_state() -> None:
    """The units are being started."""
    rows = shown(View(NAMES, "a broker"), 80, 24)

    assert [row.split() for row in rows if "camera" in row] == [[">1", "camera", "..."]]
