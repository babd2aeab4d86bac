"""The status of an attached program: it is told everything, and never signalled or started."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.core.events import Arm, Disarm, Event, Leave, Save, StartWorker, StopWorker, Timer
from statusd.core.policy import Restart
from statusd.core.unit import Stop
from tests.unit.histories import WAYS, Story, answers, events, only, said, steps


def attached(history: str) -> Story:
    """Return the story of an attached program."""
    return Story(history, attached=True, restart=Restart.NEVER, hang_timeout_s=10.0)


def test_leaving_is_the_end_of_it() -> None:
    """Wherever it stood: `end` with its reason, then `exited` with the same."""
    for state in ("READY", "RUNNING", "PAUSED"):
        story = attached(WAYS[state])

        effects = story.play("[exits 0] [gone]")

        assert steps(effects) == [f"{state} end ENDING", "ENDING exited END"]
        assert [event["reason"] for event in events(effects)] == ["exit code 0"] * 2
        assert only(effects, Leave) == [Leave(0)]


def test_a_failure_is_told_before_the_end() -> None:
    """FAILED with the cause, and nobody to wait for a `reset`."""
    effects = attached(WAYS["RUNNING"]).play("[exits 1] [gone]")

    assert steps(effects) == ["RUNNING fail FAILED", "FAILED end ENDING", "ENDING exited END"]
    assert [event["reason"] for event in events(effects)] == ["exit code 1"] * 3
    assert only(effects, StopWorker, StartWorker) == []


def test_an_end_is_done_when_it_has_left() -> None:
    """As for every worker."""
    story = attached("boot [ready] end#a")

    assert said(story.play("[sees] [exits 0] [gone]")) == ["end done"]


def test_an_end_has_failed_when_it_stays() -> None:
    """After stop_timeout_s; it stays in ENDING, and may leave later."""
    story = attached("boot [ready] end#a")
    assert story.armed[Timer.STOP] == story.now + 60.0
    assert story.status.supervision.stopping.stop == Stop("END said")

    effects = story.play("(stop)")

    assert [(a["verdict"], a["reason"]) for a in answers(effects)] == [
        ("failed", "the program has not left within 60 s")
    ]
    assert only(effects, Save)
    assert only(effects, StopWorker, Arm) == []
    assert story.state == "ENDING"
    assert said(story.play("end#b")) == ["end noop"]
    assert steps(story.play("[exits 0] [gone]")) == ["ENDING exited END"]


def test_force_is_refused_and_changes_nothing() -> None:
    """With the reason."""
    story = attached("boot [ready] end#a")
    before = story.snapshot()

    effects = story.play("force#f")

    assert said(effects) == ["force refused"]
    assert "isn't ours to kill" in answers(effects)[0]["reason"]
    assert only(effects, Event, StopWorker, Save) == []
    assert story.snapshot() == before


def test_a_hang_is_an_event_and_no_more() -> None:
    """Once when it begins and once when it is over; the state stays."""
    story = attached(WAYS["RUNNING"])

    began = story.play("[hangs] [hangs]")
    text = story.status.worker.hung
    patient = replace(story.status.policy, hang_timeout_s=60.0)
    story.status.take_over(patient, story.status.identity.tags)
    over = story.play("[hangs] [hangs]")

    assert steps(began) == ["RUNNING hang RUNNING"]
    assert events(began)[0]["reason"] == text == "hung: no progress for 12 s"
    assert steps(over) == ["RUNNING recover RUNNING"]
    assert story.status.worker.hung == ""
    assert only(began + over, StopWorker, Arm, Disarm) == []


def test_a_state_can_be_seen_after_a_hang() -> None:
    """The event of the hang has a number that the board never shows."""
    story = attached("boot [ready] start [sees] [hangs]")

    assert said(story.play("pause [sees]")) == ["pause accepted", "pause done"]


def test_it_has_no_deadline_to_be_ready() -> None:
    """It is there already."""
    assert only(attached("").play("boot"), Arm) == []


TOKENS = [
    *("start#s", "pause#p", "resume", "stop", "end#e", "force#f", "reset", "SIGTERM"),
    *("[ready]", "[sees]", "[hangs]", "[exits 0] [gone]", "[exits 1] [gone]", "[asks pause]"),
]


@given(st.lists(st.sampled_from(TOKENS), max_size=12))
def test_nothing_ever_harms_the_program(history: list[str]) -> None:
    """Whatever happens, in whatever order: it is started once, and never signalled."""
    story = attached(" ".join(["boot", *history]))

    assert only(story.effects, StopWorker) == []
    assert len(only(story.effects, StartWorker)) == 1
    assert Timer.KILL not in story.armed
    assert Timer.BACKOFF not in story.armed


@pytest.mark.parametrize("how", ["[exits 0]", "[exits 1]"])
def test_an_end_that_is_under_way_goes_on(how: str) -> None:
    """However it leaves, the command is done: nothing of it works any more."""
    story = attached("boot [ready] end#a")

    effects = story.play(f"{how} [gone]")

    assert said(effects) == ["end done"]
    assert steps(effects) == ["ENDING exited END"]
