"""Tests of `statusd.core.status`: reset."""

from __future__ import annotations

import pytest

from statusd.core.events import (
    Arm,
    Passed,
    StartWorker,
    Timer,
)
from statusd.core.unit import Memory
from tests.unit.histories import WAYS, Story, number, only, said, steps


def test_reset_begins_anew_and_takes_up_the_goal_again() -> None:
    """From FAILED: a new run, and done when that one is ready."""
    story = Story(f"{WAYS['FAILED']}", memory=Memory(goal="RUNNING"))

    effects = story.play("reset#a")
    ready = story.play("[ready]")

    assert steps(effects) == ["FAILED reset INIT"]
    assert only(effects, StartWorker) == [StartWorker(7, number("INIT"), 12, {})]
    assert said(effects) == ["reset accepted"]
    assert said(ready) == ["reset done"]
    assert steps(ready) == ["INIT ready READY", "READY start RUNNING"]
    assert story.status.memory().open == ()


def test_reset_clears_the_budget() -> None:
    """Five more tries, the first back-off short again."""
    story = Story(f"{WAYS['FAILED']} reset")

    effects = story.play("[exits 1] [gone] (backoff)" * 5 + "[exits 1]")

    assert steps(effects).count("INIT crash BACKOFF") == 5
    assert only(effects, Arm)[0] == Arm(Timer.BACKOFF, 0.875)
    assert story.state == "FAILED"


def test_a_retry_does_not_clear_the_budget() -> None:
    """Only a person's word does."""
    story = Story("boot [exits 1] [gone] (backoff)")

    effects = story.play("[exits 1]")

    assert only(effects, Arm) == [Arm(Timer.BACKOFF, 1.75)]


def test_reset_cuts_the_back_off_short() -> None:
    """Nobody has to wait who knows that the trouble is over."""
    story = Story(WAYS["BACKOFF"])

    effects = story.play("reset")

    assert steps(effects) == ["BACKOFF reset INIT"]
    assert only(effects, StartWorker) == [StartWorker(2, number("INIT"), 2, {})]
    assert Timer.BACKOFF not in story.armed


@pytest.mark.parametrize("budget", [5, 0])
def test_reset_waits_for_the_last_of_the_old_worker(budget: int) -> None:
    """From BACKOFF and from FAILED: INIT at once, the new run when nothing of the old one lives."""
    story = Story("boot [exits 1]", budget=budget)

    early = story.play("reset")
    effects = story.play("[gone]")

    assert (story.state, only(early, StartWorker)) == ("INIT", [])
    assert [start.run for start in only(effects, StartWorker)] == [2]
    assert not story.overlapped


@pytest.mark.parametrize("budget", [5, 0])
def test_a_reset_is_not_undone_by_the_death_of_the_old_worker(budget: int) -> None:
    """It was late and is being killed: that it dies now is no crash of the new run."""
    story = Story("boot (ready) reset", budget=budget)

    effects = story.play("[exits -9] [gone]")

    assert (steps(effects), said(effects)) == ([], [])
    assert story.state == "INIT"
    assert [start.run for start in only(effects, StartWorker)] == [2]


def test_after_a_reset_the_old_worker_cannot_be_ready() -> None:
    """It was late and is being killed: READY is for the new run to reach."""
    story = Story("boot (ready) reset")

    effects = story.play("[ready]")

    assert (steps(effects), story.state) == ([], "INIT")


def test_a_reset_is_not_undone_by_a_deadline_of_the_old_worker() -> None:
    """The time to be ready was the dead run's; what is left of it is merely waited for."""
    story = Story("boot [exits 1] reset")

    effects = story.happen(Passed(Timer.READY))

    assert (steps(effects), said(effects), story.state) == ([], [], "INIT")


def test_a_reset_whose_worker_dies_has_failed() -> None:
    """The new run crashed before it was ready."""
    story = Story(f"{WAYS['FAILED']} reset")

    effects = story.play("[exits 1]")

    assert said(effects) == ["reset failed"]
    assert story.state == "BACKOFF"
