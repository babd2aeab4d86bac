"""Tests of the deadline: how it is written, what it comes to, and the clock on the wall."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from statusd.core.errors import Unavailable
from statusd.daemon.means import Outlets
from statusd.daemon.wiring import unit_parts
from statusd.settings.deadline import moment, written
from statusd.supervision.program_channel import ProgramChannel
from statusd.supervision.worker_channel import Spec
from statusd.unit.claim import Origin
from statusd.worker.board import DEADLINE, Board, create, time_left_s
from tests.tools.settings import made, mistakes
from tests.unit.worlds import WALL, Loop, World

NOW = 1_790_000_000.0
ENDS = {"SLURM_JOB_END_TIME": "1790003600", "UNTIL": "2026-12-01T06:00:00+01:00", "IN": "90min"}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0.0),
        ("2026-12-01T06:00:00Z", 1796104800.0),
        ("2026-12-01 06:00:00+01:00", 1796101200.0),
        ("2h", NOW + 7200),
        ("1 h 30 min", NOW + 5400),
        ("0.5d", NOW + 43200),
        ("$SLURM_JOB_END_TIME", 1790003600.0),
        ("${SLURM_JOB_END_TIME}", 1790003600.0),
        ("$UNTIL", 1796101200.0),
        ("$IN", NOW + 5400),
    ],
)
def test_a_deadline_is_written_in_these_ways(text: str, at: float) -> None:
    """With its zone, from the start, or in a variable."""
    assert written(text) == text
    assert moment(text, ENDS, NOW) == at


def test_a_time_of_toml_is_one() -> None:
    """With its zone as well; it passes through the settings as text."""
    when = datetime(2026, 12, 1, 6, tzinfo=UTC)
    settings = made({"worker": {"deadline": when}})
    assert moment(settings.worker.deadline, {}, NOW) == when.timestamp()


@pytest.mark.parametrize(
    "value",
    [
        *("2026-12-01T06:00:00", "2026-12-01", "tomorrow", "2", 7200, "2h later", "2 weeks"),
        *("$", "$A-B", "$A$B", "9" * 400 + "h"),
        *(datetime(2026, 12, 1), datetime(2026, 12, 1).date()),
    ],
)
def test_what_is_no_deadline_is_told_what_is_one(value: object) -> None:
    """In one line, with its place."""
    (mistake,) = mistakes({"worker": {"deadline": value}})
    assert mistake.path == ("worker", "deadline")
    assert "$SLURM_JOB_END_TIME" in mistake.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "$NOWHERE",
            r"isn't set here: the batch system .*; STATUSD_WORKER__DEADLINE=",
        ),
        ("$EMPTY", "isn't set here"),
        ("$NONE", "is 'soon': neither Unix time nor a time with its zone"),
        ("$PAST", r"it has passed \(2026-09-21T14:13:19.000Z\)"),
        ("2026-01-01T00:00:00Z", "it has passed"),
    ],
)
def test_a_deadline_that_is_unknown_or_over_is_refused(text: str, says: str) -> None:
    """With the cure."""
    environ = {"EMPTY": " ", "NONE": "soon", "PAST": "1789999999"}
    with pytest.raises(ValueError, match=says):
        moment(text, environ, NOW)


def test_a_unit_whose_deadline_is_over_is_not_begun(tmp_path: Path) -> None:
    """Nothing was taken for it; where it stands is told. Of a folder, that unit alone stays out."""
    settings = made(
        {
            "name": "a",
            "state_directory": str(tmp_path / "state"),
            "worker": {"function": "job:main", "deadline": "2026-01-01T00:00:00Z"},
        }
    )
    file = tmp_path / "a.toml"
    with pytest.raises(Unavailable, match=rf"^{file}: worker.deadline: 2026-01.*has passed"):
        unit_parts(settings, Origin(str(file)), Outlets(), fresh=False)
    assert not (tmp_path / "state").exists()


def test_a_program_that_has_no_time_left_is_told_so(tmp_path: Path) -> None:
    """By attach: nothing could be left unstarted, and it would be told to leave at once."""
    settings = made(
        {
            "name": "a",
            "state_directory": str(tmp_path / "state"),
            "worker": {"deadline": "9s", "deadline_margin_s": 10},
        }
    )
    less = r"^worker.deadline: 9s: less than deadline_margin_s \(10 s\) is left"
    with pytest.raises(Unavailable, match=less):
        unit_parts(replace(settings, is_attached=True), Origin(), Outlets(), fresh=False)


@pytest.mark.parametrize("suspended_s", [0.0, 3000.0, -3000.0])
def test_it_is_the_clock_on_the_wall_that_counts(suspended_s: float) -> None:
    """Also after a suspend, in which the loop's clock has stood still, and after a clock is set."""
    world = World(deadline=WALL + 1000.0 + 3600.0, deadline_margin_s=60.0)
    world.play("boot [ready] start [sees] +100")
    world.set_by = suspended_s

    world.play(f"+{3540 - 100 - suspended_s - 0.01 if suspended_s >= 0 else 6439.9}")
    assert world.unit.status.state.name == "RUNNING"
    world.play("+10")

    assert world.unit.status.state.name == "ENDING"
    assert world.loop.now + world.set_by < 1000.0 + 3540.0 + 10.1


def test_a_suspend_over_the_deadline_is_seen_soon() -> None:
    """Within the time in which the clock on the wall is looked at."""
    world = World("boot [ready] start [sees]", deadline=WALL + 1000.0 + 3600.0)
    world.set_by = 10_000.0
    world.play("+10.1")
    assert world.unit.status.state.name == "ENDING"


def test_the_document_tells_the_deadline_and_only_where_there_is_one() -> None:
    """As a time; readers count for themselves."""
    with_one = World("boot", deadline=WALL + 1000.0 + 3600.0)
    assert with_one.unit.document.fields()["deadline"] == "2023-11-14T23:30:00.000Z"
    assert "deadline" not in World("boot").unit.document.fields()


def test_a_program_has_it_as_a_variable() -> None:
    """In Unix time, as batch systems tell it; without a deadline there is none."""
    told = []
    for deadline in (NOW + 0.4, 0.0):
        spec = Spec(("INIT",), "w", command=("true",), deadline=deadline)
        channel = ProgramChannel(spec, 1, lambda _: None, lambda: None, Loop())
        told.append(channel.prepare(0, 0, {}).variables.get("STATUSD_DEADLINE"))
        channel.close()
    assert told == [f"{NOW:.0f}", None]


def test_a_worker_reads_the_time_that_is_left_from_its_page() -> None:
    """None without a deadline, 0 when it has passed."""
    board = Board(create())
    assert time_left_s(board.words) is None
    board.words[DEADLINE] = int((time.time() + 100) * 1e9)
    assert 99 < (time_left_s(board.words) or 0) <= 100
    board.words[DEADLINE] = 1
    assert time_left_s(board.words) == 0.0
    board.close()
