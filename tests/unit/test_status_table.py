"""Tests of `statusd.cli.status_table`: what fits, what is shortened, what is never left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from statusd.cli import out
from statusd.cli.status_table import fitting, folded, table_of, telling
from statusd.fleet.response_collector import UnitInfo

HEADS = [
    *("NAME", "STATE", "SINCE", "GOAL", "PROGRESS", "TEXT"),
    *("PID", "RESTARTS", "LAST", "LINK", "SEEN"),
]
"""What there is before the last room is given to what it uses."""
ALL = [*HEADS[:6], "CPU", "MEMORY", *HEADS[6:]]


def unit(name: str = "counter", *, left: bool = False, seen: str = "", **more: Any) -> UnitInfo:
    """Return a unit that works, as far as nothing else is said."""
    document = {
        **{"state": "RUNNING", "goal": "RUNNING", "part": "works", "text": "counting"},
        **{"since": "2026-11-23T12:08:20.000Z", "progress": {"step": 4, "total": 10}},
        **{"worker": {"pid": 12345, "restarts": 0}, "link": "LISTENING"},
        **{"last": {"command": "start", "by": "ops@desk", "source": "redis:c"}},
        **more,
    }
    return UnitInfo(name, 1, left, seen, document)


def drawn(width: int, *units: UnitInfo) -> list[dict[str, str]]:
    """Return the table, a row a unit, by the heads that are left; it must fit."""
    heads, rows = table_of(units, width)
    lines = out.lines(rows, heads)
    assert max(map(out.width, lines)) <= width
    return [{head: cell.text for head, cell in zip(heads, row, strict=True)} for row in rows]


@pytest.mark.parametrize("sign", ["x", "温", "e\u0301"], ids=["letters", "wide", "marks"])
def test_a_long_text_takes_nothing_from_the_others(sign: str) -> None:
    """It is shortened, by the columns that it takes; every column stays for every unit."""
    row = drawn(120, unit(text=sign * 300), unit("other"))[0]

    assert list(row) == HEADS
    assert row["TEXT"].endswith("…")
    assert row["LAST"] == "start by ops@desk"


def test_a_long_sender_is_shortened_as_well() -> None:
    """Who names himself at length takes no column from anybody."""
    last = {"command": "start", "by": "x" * 300}

    row = drawn(120, unit(last=last))[0]

    assert list(row) == HEADS
    assert row["LAST"].startswith("start by x")


def test_a_long_name_is_shortened_before_anything_goes() -> None:
    """Names of notebooks and of folders may be long."""
    row = drawn(136, unit("n" * 200))[0]

    assert list(row) == HEADS
    assert row["NAME"].startswith("nnnnnnnnnn")


@pytest.mark.parametrize(
    ("trouble", "head", "says"),
    [
        ({"worker": {"pid": 1, "restarts": 3}}, "RESTARTS", "3"),
        ({"link": "DOWN"}, "LINK", "DOWN"),
        ({"state": "READY"}, "GOAL", "RUNNING"),
        ({"trouble": "the disk is full"}, "TEXT", "the disk i"),
        ({"state": "FAILED", "text": "exit code 3"}, "TEXT", "exit code 3"),
        ({"state": "FAILED"}, "SINCE", " d"),
    ],
    ids=["restarts", "link", "goal", "trouble", "reason", "since"],
)
@pytest.mark.parametrize("width", [60, 80, 100])
def test_what_tells_of_trouble_stays(
    trouble: dict[str, Any], head: str, says: str, width: int
) -> None:
    """One unit has it: its column is there at any width that has room for it at all."""
    rows = drawn(width, unit(text="温" * 200), unit("bad", **trouble))

    assert says in rows[1][head]


def test_where_all_is_well_no_column_tells_of_trouble() -> None:
    """Each may go then; the text of a unit that works is no trouble."""
    assert telling([unit(), unit("other", text="reading out")]) == set()
    assert not {"RESTARTS", "LINK", "GOAL", "SINCE"} & drawn(40, unit())[0].keys()


@pytest.mark.parametrize("width", range(20, 140, 7))
def test_name_and_state_are_always_there(width: int) -> None:
    """However narrow it is, and a table of any width fits into it."""
    assert {"NAME", "STATE"} <= drawn(width, unit(text="x" * 200))[0].keys()


@pytest.mark.parametrize("width", range(20, 46))
def test_a_progress_that_is_left_out_stays_out(width: int) -> None:
    """It had come back, of no width, when next a text was shortened that tells of trouble."""
    row = drawn(width, unit(trouble="the disk is full"))[0]

    assert row.get("PROGRESS", "####------  40%") == "####------  40%"


def test_a_pipe_gets_all_of_it() -> None:
    """Nothing is left out or shortened where there is no width."""
    heads, rows = table_of([unit(text="x" * 200)])

    assert heads == ALL
    assert rows[0][5].text == "x" * 200


def test_where_all_fits_nothing_is_cut() -> None:
    """The widths are those of the contents."""
    rows = table_of([unit(text="x" * 100)])[1]

    assert fitting(rows, 1000)["TEXT"] == 100


def test_an_end_tells_how_it_came_and_how_far_it_was() -> None:
    """Who has ended it, with its last progress; neither goal nor link, which are over."""
    ended = {"source": "redis:c", "command": "END", "by": "me"}
    row = drawn(200, unit(state="END", left=True, ended=ended, goal="END"))[0]

    assert row["LAST"] == "END by me"
    assert row["PROGRESS"] == "####------  40%, 4/10"
    assert (row["GOAL"], row["LINK"]) == ("", "")


WORK = {"step": 1240, "total": 5000, "unit": "images", "rate": 12.3, "left_s": 305.7}


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (50, "##--------  25%"),
        (80, "##--------  25%, 5 min left"),
        (140, "##--------  25%, 5 min left, 12.3 images/s"),
        (170, "##--------  25%, 5 min left, 12.3 images/s, 1,240/5,000"),
    ],
)
def test_of_a_progress_as_much_is_shown_as_there_is_room_for(width: int, shown: str) -> None:
    """Never half of a number, and the time that is left before columns that tell nothing new."""
    row, _ = drawn(width, unit(progress=WORK, text="exposing"), unit("other"))

    assert row["PROGRESS"] == shown


def test_who_is_lost_says_so() -> None:
    """Nobody knows more of it than since when."""
    row = drawn(200, UnitInfo("a", 1, left=False, seen="2026-11-23T12:08:20.000Z"))[0]

    assert (row["STATE"], row["LAST"]) == ("LOST", "gone without a word")
    assert row["SINCE"] != ""


def test_a_unit_that_failed_shows_how_far_it_had_come() -> None:
    """Also if its last run had not even begun to work."""
    reached = {"run": 1, "step": 4, "total": 10, "text": ""}
    work: dict[str, Any] = {"progress": None, "worker": {"reached": reached}}

    own = unit(state="ABORTED", part="waits", kind="fault", **work)
    failed, aborted, running = drawn(200, unit(state="FAILED", **work), own, unit(**work))

    assert failed["PROGRESS"] == aborted["PROGRESS"] == "####------  40%"
    assert running["PROGRESS"] == ""


def test_what_it_uses_is_there_where_there_is_room() -> None:
    """And goes first; of a unit that is over nobody asks."""
    uses = {"cpu": 0.984, "cpu_s": 1.0, "memory": 2**31, "processes": 1, "threads": 1}
    busy = unit(worker={"pid": 12345, "restarts": 0, "resources": uses})
    over = unit("over", state="END", left=True, worker={"pid": None, "resources": uses})

    wide, narrow = drawn(160, busy, over, unit("new")), drawn(100, busy)

    assert [(row["CPU"], row["MEMORY"]) for row in wide] == [("98 %", "2 GiB"), ("", ""), ("", "")]
    assert not {"CPU", "MEMORY"} & narrow[0].keys()


def test_who_has_ended_before_today_is_counted() -> None:
    """Today is the reader's; who is lost or failed is not folded, for somebody has to see to it."""
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    yesterday, today = "2026-11-22T23:59:59.000Z", "2026-11-23T00:00:00.000Z"
    units = [
        unit("old", left=True, seen=yesterday, state="END"),
        unit("new", left=True, seen=today, state="END"),
        unit("failed", left=True, seen=yesterday, state="FAILED"),
        unit("living", seen=yesterday),
        UnitInfo("lost", 1, left=False, seen=yesterday),
        UnitInfo("odd", 1, left=True, seen="yesterday"),
    ]

    shown, count = folded(units, now)

    assert [unit.name for unit in shown] == ["new", "failed", "living", "lost", "odd"]
    assert count == 1
