"""Tests of `statusd.cli.status_view`: times, bars and colours."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from statusd.cli import out
from statusd.cli.status_view import (
    ago,
    duration,
    facts,
    how_it_ended,
    progress_bar,
    progress_text,
    style_of,
)
from statusd.core.times import rfc3339
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
        ({"step": 1234567, "total": None}, "1,234,567"),
        ({"step": 1.5, "total": None}, "1.5"),
        ({"step": None, "total": 5}, ""),
        (None, ""),
    ],
)
def test_progress_is_a_bar_if_the_end_is_known(progress: Any, text: str) -> None:
    """A bar if the end is known, else the number."""
    assert progress_bar(progress) == text


WORK = {"step": 1240, "total": 5000, "unit": "images", "rate": 12.3, "left_s": 305.7}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "##--------  25%, 5 min left, 12.3 images/s, 1,240/5,000"),
        ({"unit": ""}, "##--------  25%, 5 min left, 12.3/s, 1,240/5,000"),
        ({"rate": 1234.5, "left_s": 3.4}, "##--------  25%, 3 s left, 1,234 images/s, 1,240/5,000"),
        ({"rate": 0.05}, "##--------  25%, 5 min left, 3 images/min, 1,240/5,000"),
        ({"rate": 0.001}, "##--------  25%, 5 min left, 3.6 images/h, 1,240/5,000"),
        ({"rate": 1e-5}, "##--------  25%, 5 min left, 0.864 images/d, 1,240/5,000"),
        ({"rate": 0, "left_s": None}, "##--------  25%, stands still, 1,240/5,000"),
        ({"rate": None, "left_s": None}, "##--------  25%, 1,240/5,000"),
        ({"total": None, "left_s": None}, "1,240, 12.3 images/s"),
        ({"step": None}, ""),
    ],
    ids=["all", "no unit", "fast", "min", "h", "d", "still", "unknown", "no total", "no step"],
)
def test_progress_tells_what_is_known(more: dict[str, Any], text: str) -> None:
    """Time left, rate in what it is counted in, how much of how much; in this order."""
    assert progress_text({**WORK, **more}) == text


@pytest.mark.parametrize("room", range(1, 60))
def test_progress_leaves_out_what_has_no_room(room: int) -> None:
    """Part by part; the bar is always there."""
    text = progress_text(WORK, room)

    assert len(text) <= max(room, 15)
    assert progress_text(WORK).startswith(text)
    assert text.endswith(("25%", "left", "images/s", "5,000"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3570, "1 h 0 min"), (4800, "1 h 20 min")),
        *((86400 * 2.5, "2 d 12 h"), (1e9, "11,574 d 1 h")),
    ],
)
def test_a_time_has_one_unit_or_two(seconds: float, text: str) -> None:
    """As much as somebody wants to know who waits."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("state", "part", "kind", "style"),
    [
        ("RUNNING", "works", "working", "green"),
        ("ACQUIRING", "works", "working", "green"),
        ("IDLE", "waits", "waiting", "blue"),
        ("ABORTED", "waits", "fault", "bold red"),
        ("CLEARING", "waits", "acting", "yellow"),
        ("RUNNING", "works", "", "green"),
        ("IDLE", "waits", "", "blue"),
        ("FAILED", "ends", "", "bold red"),
        ("BACKOFF", "ends", "", "yellow"),
        ("IDLE", "waits", "[red]", "blue"),
    ],
)
def test_a_state_is_coloured_by_its_kind(state: str, part: str, kind: str, style: str) -> None:
    """Also one that the user has named; an older daemon doesn't say of what kind it is."""
    document = {"state": state, "part": part} | ({"kind": kind} if kind else {})
    assert style_of(UnitInfo("a", 1, False, "", document)) == style


def test_the_lost_are_red() -> None:
    """Nobody shall overlook them."""
    assert style_of(UnitInfo("a", 1, False, "")) == "bold red"


def told(document: dict[str, Any], name: str = "a", *, left: bool = False) -> dict[str, str]:
    """Return what is told of a unit in full, by the name of the fact."""
    unit = UnitInfo(name, 1, left, "", {"state": "READY", "run": 2, **document})
    return {key.text: value.text for key, value in facts(unit) if key.text}


@pytest.mark.parametrize(
    ("ended", "last", "text"),
    [
        ({"source": "worker", "reason": "the worker finished"}, "exit code 0", "finished"),
        ({"source": "redis:c", "command": "END", "by": "ops@desk"}, "", "END by ops@desk"),
        ({"source": "redis:c", "command": "end"}, "exit code 0", "end by redis:c"),
        ({"source": "redis:c", "command": "end"}, "killed by SIGTERM", "end by redis:c"),
        ({"source": "signal:SIGTERM"}, "killed by SIGKILL", "SIGTERM, killed"),
        ({"source": "signal:SIGTERM", "reason": "of pid 7, uid 0"}, "", "SIGTERM of pid 7, uid 0"),
        ({"source": "daemon", "reason": "the name is taken"}, "", "the name is taken"),
        (None, "exit code 0", ""),
    ],
)
def test_an_end_says_how_it_came(ended: Any, last: str, text: str) -> None:
    """It has finished, who has ended it, and whether that took a kill."""
    document = {"state": "END", "ended": ended, "last": {"source": "daemon", "reason": last}}

    assert how_it_ended(document) == text


def test_who_waits_for_a_word_is_told_what_to_type() -> None:
    """By the lifecycle's own word, quoted for a shell; and nothing where nothing is waited for."""
    assert told({"waits_for": "start"})["waits for"] == "`start`: statusd send start --name a"
    assert told({"waits_for": "go"}, "a b")["waits for"] == "`go`: statusd send go --name 'a b'"
    assert "waits for" not in told({"waits_for": ""})


def test_a_job_says_how_long_it_has() -> None:
    """Until its deadline; nothing without one, nor of a unit that isn't there any more."""
    at = rfc3339(time.time() + 4801)
    assert re.fullmatch(r"1 h 20 min \(.+\)", told({"deadline": at})["ends in"])
    past = told({"deadline": "2026-01-01T00:00:00.000Z"})["ends in"]
    assert past.startswith("its deadline has passed (")
    assert "ends in" not in {**told({"deadline": at}, left=True), **told({})}


@pytest.mark.parametrize(
    ("restarts", "text"),
    [
        (0, "pid none, run 2, never restarted"),
        (1, "pid none, run 2, restarted once"),
        (2, "pid none, run 2, restarted twice"),
        (3, "pid none, run 2, restarted 3 times"),
    ],
)
def test_a_count_is_told_in_words(restarts: int, text: str) -> None:
    """Once, twice, 3 times."""
    assert told({"worker": {"restarts": restarts}})["worker"] == text


def test_what_a_worker_uses_is_told_in_one_line() -> None:
    """Nothing of it before it is known, and nothing of one that nobody may look at."""
    uses = {"cpu": 1.984, "cpu_s": 123.45, "memory": 2**31, "threads": 9, "pss": None}
    uses |= {"processes": 1, "descriptors": 40}

    def said(**more: Any) -> str:
        return told({"worker": {"resources": {**uses, **more}}})["uses"]

    assert said() == "198 % CPU (123 s), 2 GiB, 1 process, 9 threads, 40 descriptors"
    assert said(cpu=None, descriptors=None, processes=3, pss=2**30) == (
        "? CPU (123 s), 2 GiB, of its own 1 GiB, 3 processes, 9 threads"
    )
    assert "uses" not in told({"worker": {"resources": None}})
    assert "uses" not in told({})


def test_what_a_dead_run_had_reached_is_marked_as_such() -> None:
    """Nobody is to take it for the work of a run that lives."""
    reached = {"run": 2, "step": 4, "total": 10, "text": "exposing"}
    work = {"worker": {"reached": reached}, "progress": {"step": 4, "total": 10}}

    dead = told({"state": "FAILED", **work})
    later = told({"state": "RUNNING", **work, "run": 3})

    words = "####------  40%, exposing (the last that was heard of run 2, which is over)"
    assert dead["reached"] == later["reached"] == words
    assert "progress" not in dead
    assert later["progress"] == "####------  40%, 4/10"


@pytest.mark.parametrize(
    ("text", "columns"),
    [("ab", 2), ("温度", 4), ("e\u0301", 1), ("👍", 2), ("", 0)],
    ids=["letters", "wide", "mark", "emoji", "none"],
)
def test_columns_are_counted_as_a_terminal_does(text: str, columns: int) -> None:
    """Two for what is wide, none for an accent; so tables stay tables in a pipe, too."""
    assert out.width(text) == columns
    assert out.lines([[out.cell(text), out.cell("x")], [out.cell("1234"), out.cell("y")]]) == [
        f"{text}{' ' * (4 - columns)}  x",
        "1234  y",
    ]


@pytest.mark.parametrize("most", range(1, 8))
@pytest.mark.parametrize("text", ["abcdefghij", "温度温度温度", "e\u0301" * 9])
def test_what_is_cut_takes_no_more_than_there_is(text: str, most: int) -> None:
    """Also where only half of a wide sign would fit."""
    cut = out.cut(text, most)

    assert out.width(cut) <= most
    assert cut.endswith("…")


def test_a_unit_that_rests_says_how_it_begins_again() -> None:
    """One whose daemon has left with it doesn't."""
    document: dict[str, Any] = {"state": "END", "since": "2020-01-01T00:00:00Z"}
    document |= {"ended": {"command": "end", "by": "ops@desk"}}

    def told(**more: str) -> str:
        unit = UnitInfo("laser", 1, True, "", {**document, **more})
        rows = [[str(cell.text) for cell in row] for row in facts(unit, str)]
        return dict(rows)["ended"]

    assert told(daemon="hall").endswith(" ago: statusd launch laser")
    assert told().startswith("end by ops@desk, ")
    assert "launch" not in told()
