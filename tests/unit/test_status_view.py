"""Tests of `statusd.cli.status_view`: times, bars and colours."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.cli.out import Cell
from statusd.cli.status_view import ago, fitting, progress_bar, style_of
from statusd.fleet.response_collector import UnitInfo

NOW = 1_795_436_000.0
"""2026-11-23T12:13:20Z."""


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2026-11-23T12:13:20.000Z", "now"),
        ("2026-11-23T12:13:15.000Z", "5 s"),
        ("2026-11-23T12:08:20.000Z", "5 min"),
        ("2026-11-23T07:13:20.000Z", "5 h"),
        ("2026-11-18T12:13:20.000Z", "5 d"),
        ("2026-11-23T12:14:20.000Z", "now"),  # a clock ahead of ours
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_an_age_is_told_in_the_largest_unit_that_fits(at: Any, text: str) -> None:
    """In the largest unit that fits."""
    assert ago(at, NOW) == text


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        ({"step": 3, "total": 10}, "###-------  30%"),
        ({"step": 20, "total": 10}, "########## 100%"),
        ({"step": -1, "total": 10}, "----------   0%"),
        ({"step": 7, "total": None}, "7"),
        ({"step": 7, "total": 0}, "7"),
        ({"step": None, "total": 5}, ""),
        (None, ""),
    ],
)
def test_progress_is_a_bar_if_the_end_is_known(progress: Any, text: str) -> None:
    """A bar if the end is known, else the number."""
    assert progress_bar(progress) == text


@pytest.mark.parametrize(
    ("state", "part", "style"),
    [
        ("RUNNING", "works", "green"),
        ("ACQUIRING", "works", "green"),
        ("IDLE", "waits", "blue"),
        ("FAILED", "ends", "bold red"),
        ("BACKOFF", "ends", "yellow"),
    ],
)
def test_a_state_is_coloured_by_its_kind(state: str, part: str, style: str) -> None:
    """Also one that the user has named."""
    assert style_of(UnitInfo("a", 1, False, "", {"state": state, "part": part})) == style


def test_the_lost_are_red() -> None:
    """Nobody shall overlook them."""
    assert style_of(UnitInfo("a", 1, False, "")) == "bold red"


def row(**more: str) -> list[Cell]:
    """Return a row of the table."""
    texts = {
        **{"NAME": "counter", "STATE": "RUNNING", "SINCE": "5 min", "GOAL": "RUNNING"},
        **{"PROGRESS": "####------  40%", "TEXT": "counting", "PID": "12345", "RESTARTS": "0"},
        **{"LAST": "start by me", "LINK": "LISTENING", "SEEN": "now"},
        **more,
    }
    return [Cell(text) for text in texts.values()]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (1000, 11),
        (80, 7),
        (40, 3),
        (20, 2),
    ],
)
def test_a_table_has_what_fits(width: int, columns: int) -> None:
    """The least important columns go first; name and state stay."""
    heads = fitting([row()], width)

    assert len(heads) == columns
    assert heads[:2] == ["NAME", "STATE"]
    assert ("PROGRESS" in heads) == (width >= 40)


def test_a_long_text_makes_room_for_no_one() -> None:
    """It goes, and what is shorter and more important stays."""
    heads = fitting([row(TEXT="x" * 100)], 80)

    assert "TEXT" not in heads
    assert {"PROGRESS", "LINK"} <= set(heads)
