"""Tests of `statusd.core.status`: done is what was seen."""

from __future__ import annotations

import pytest

from statusd.core.errors import BadMessage
from statusd.core.events import (
    Disarm,
    Timer,
    WorkerAcknowledged,
)
from statusd.core.messages import Command
from tests.unit.histories import Story, answers, events, number, only, said
from tests.unit.status.sets import quiet


@pytest.mark.fault("S06")
def test_done_waits_for_the_worker_to_see_it() -> None:
    """Neither the state that it saw before nor a run of the past will do."""
    story = Story("boot [ready]")

    accepted = story.play("start#a")
    stale = story.play("[saw] [old sees]")
    done = story.play("[sees]")

    assert said(accepted) == ["start accepted"]
    assert said(stale) == []
    assert said(done) == ["start done"]
    assert only(done, Disarm) == [Disarm(Timer.FOLLOW)]
    assert answers(done)[0] | {"ms": 0} == {
        "verdict": "done",
        "id": "a",
        "name": "counter",
        "boot": 7,
        "seq": 2,
        "command": "start",
        "source": "redis:mychannel",
        "state": "RUNNING",
        "ms": 0,
    }


def test_an_event_that_never_was_cannot_have_been_seen() -> None:
    """The board is the user's process's: what stands there may be wrong, but never done."""
    story = Story("boot [ready] start")

    effects = [
        *story.happen(WorkerAcknowledged(1, 3, number("RUNNING"))),
        *story.happen(WorkerAcknowledged(1, 2**32 - 1, 255)),
        *story.happen(WorkerAcknowledged(1, 2, 255)),
    ]

    assert effects == []
    assert said(story.play("[sees]")) == ["start done"]


def test_what_was_seen_is_told_once() -> None:
    """The same acknowledgement again is no news."""
    story = Story("boot [ready] start [sees]")

    assert story.play("[sees] [saw] [sees]") == []


def test_a_verdict_says_how_long_it_took() -> None:
    """In milliseconds since the command was received."""
    story = Story("boot [ready]")

    accepted = answers(story.play("start"))
    done = answers(story.play("+1.25 [sees]"))

    assert [answer["ms"] for answer in (*accepted, *done)] == [0.0, 1250.0]


@pytest.mark.fault("J09")
def test_what_is_answered_without_an_input_is_answered_at_once() -> None:
    """The status has last heard the time with its last input; that was before the word."""
    status = Story("boot [ready] +5 [sees]").status

    told = [
        quiet(status, Command("READY", "redis:c", 2000.0)),
        status.commands.unknown(Command("xyzzy", "redis:c", 3000.0)),
        status.commands.invalid(BadMessage("no command", b"?"), "redis:c", 4000.0),
    ]

    assert [verdict and verdict.ms for verdict in told] == [0.0, 0.0, 0.0]


def test_a_newer_command_takes_the_place_of_one_still_waiting() -> None:
    """The older one gets its final verdict; only the newer one can still be done."""
    story = Story("boot [ready] start")

    effects = story.play("pause")

    assert said(effects) == ["start failed", "pause accepted"]
    assert answers(effects)[0]["reason"] == "superseded by pause"
    assert said(story.play("[saw]")) == []
    assert said(story.play("[sees]")) == ["pause done"]


@pytest.mark.parametrize(
    ("happens", "trigger"), [("[asks stop]", "stop"), ("SIGTERM", "end"), ("end", "end")]
)
def test_whatever_moves_the_state_takes_the_place_of_a_waiting_command(
    happens: str, trigger: str
) -> None:
    """The worker's own idea, a signal, the end: the waiting command failed."""
    story = Story("boot [ready] start#a")

    effects = story.play(happens)

    assert said(effects)[0] == "start failed"
    assert answers(effects)[0]["reason"].split(":")[0] == f"superseded by {trigger}"
    assert "a" not in [command.id for command in story.status.memory().open]


def test_a_worker_that_does_not_follow_in_time() -> None:
    """The command failed; the state is what it is, and a late look says nothing more."""
    story = Story("boot [ready] start", ack_timeout_s=3.0)

    effects = story.play("(follow)")
    late = story.play("[sees]")

    assert said(effects) == ["start failed"]
    assert answers(effects)[0]["reason"] == "the worker was not seen in RUNNING within 3 s"
    assert (story.state, events(effects)) == ("RUNNING", [])
    assert said(late) == []


def test_a_worker_that_follows_after_a_deadline_of_old_is_not_late() -> None:
    """The deadline is the newest command's."""
    story = Story("boot [ready] start +599 pause")

    assert story.armed[Timer.FOLLOW] == story.now + 600.0


def test_a_dead_worker_follows_nobody() -> None:
    """The waiting command failed, with the reason of the death."""
    story = Story("boot [ready] start#a")

    effects = story.play("[exits 3]")

    assert said(effects) == ["start failed"]
    assert answers(effects)[0]["reason"] == "the worker died: exit code 3"
