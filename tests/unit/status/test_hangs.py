"""Tests of `statusd.core.status`: hangs, and the end in stages."""

from __future__ import annotations

import pytest

from statusd.core.events import (
    Arm,
    Force,
    StartWorker,
    StopWorker,
    Timer,
)
from statusd.core.messages import Target
from statusd.core.policy import Policy
from statusd.core.unit import Stop
from tests.unit.histories import Story, events, only, steps


def test_a_hang_is_a_crash() -> None:
    """With its own reason; the worker is asked for its stack, told to leave, and then made to."""
    story = Story("boot [ready] start [sees]")

    effects = story.play("[hangs]")

    assert steps(effects) == ["RUNNING crash BACKOFF"]
    assert events(effects)[0]["reason"] == "hung: no progress for 12 s; next try in 0.9 s"
    assert only(effects, StopWorker) == [StopWorker(1, Force.DUMP)]
    assert only(story.play("(stop)"), StopWorker) == [StopWorker(1, Force.TERMINATE)]
    assert only(story.play("(kill)"), StopWorker) == [StopWorker(1, Force.KILL)]
    assert steps(story.play("(backoff)")) == []  # not before it is gone
    assert steps(story.play("[exits -9] [gone]")) == ["BACKOFF retry INIT"]


@pytest.mark.parametrize("history", ["end", "[exits 1]", "[exits 1] [gone]"])
def test_who_is_leaving_does_not_hang(history: str) -> None:
    """It was noticed too late."""
    story = Story(f"boot [ready] start [sees] {history}")
    before = story.snapshot()

    story.play("[hangs]" if "gone" not in history else "[old hangs]")

    assert story.snapshot() == before


def test_the_stages_of_an_end_are_told() -> None:
    """What was said last, what comes next, and when; nothing once it is gone."""
    story = Story("boot [ready] end", stop_timeout_s=5, kill_timeout_s=2)
    began = story.now

    assert story.status.supervision.stopping.stop == Stop("END said", "SIGTERM", began + 5, began)
    story.play("(stop)")
    assert story.status.supervision.stopping.stop == Stop(
        "SIGTERM sent", "SIGKILL", began + 7, began
    )
    story.play("(kill)")
    assert story.status.supervision.stopping.stop == Stop("SIGKILL sent")
    story.play("[exits -9] [gone]")
    assert story.status.supervision.stopping.stop is None


@pytest.mark.parametrize("state", ["BACKOFF", "FAILED"])
def test_no_timer_of_an_old_worker_outlives_it(state: str) -> None:
    """It is gone before its SIGTERM was due: the next run must not get it."""
    budget = 5 if state == "BACKOFF" else 0
    story = Story("boot [ready] start [sees] [hangs] [exits -9] [gone]", budget=budget)

    assert story.state == state
    assert {Timer.STOP, Timer.KILL} & story.armed.keys() == set()


def test_an_end_during_a_hang_does_not_begin_anew() -> None:
    """The worker is being stopped already, and faster than an end would stop it."""
    story = Story("boot [ready] start [sees] [hangs]")
    due = story.armed[Timer.STOP]

    story.play("end")

    assert story.state == "ENDING"
    assert story.armed[Timer.STOP] == due
    assert steps(story.play("[exits -9] [gone]")) == ["ENDING exited END"]


def test_new_patience_counts_from_now_on() -> None:
    """A reload changes policy and tags together, and nothing else."""
    story = Story("boot [ready]")
    before = story.snapshot()

    story.status.take_over(Policy(stop_timeout_s=99), frozenset({"new"}))

    assert story.snapshot() == before
    assert story.send("end", target=Target(tag=("demo",))) == []
    assert only(story.play("end"), Arm) == [Arm(Timer.STOP, 99)]


def test_reset_while_the_old_worker_lives_waits_for_it() -> None:
    """INIT, but no second run: it begins when nothing of the first is left."""
    story = Story("boot [ready] start [sees] [hangs] reset")

    assert story.state == "INIT"
    assert not only(story.effects[-20:], StartWorker)[1:]
    assert only(story.play("[exits -9]"), StartWorker) == []
    assert len(only(story.play("[gone]"), StartWorker)) == 1
    assert not story.overlapped
