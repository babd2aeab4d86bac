"""Tests of `statusd.core.status`: crash, back-off, retry."""

from __future__ import annotations

import pytest

from statusd.core.events import (
    Arm,
    Disarm,
    Force,
    Leave,
    Note,
    Show,
    StartWorker,
    StopWorker,
    Timer,
)
from statusd.core.unit import Death, ExitKind
from tests.unit.histories import WAYS, Story, events, number, only, said, steps
from tests.unit.status.sets import CHANGES, UP


@pytest.mark.parametrize("state", UP)
def test_a_crash_is_followed_by_a_back_off(state: str) -> None:
    """What is left of the worker is killed, and the next try is announced."""
    story = Story(WAYS[state])

    effects = story.play("[exits 1]")

    assert steps(effects) == [f"{state} crash BACKOFF"]
    assert events(effects)[0]["source"] == "daemon"
    assert events(effects)[0]["reason"] == "exit code 1; next try in 0.9 s"
    assert only(effects, Show) == []
    assert only(effects, StopWorker) == [StopWorker(1, Force.KILL)]
    assert only(effects, Arm) == [Arm(Timer.BACKOFF, 0.875)]


@pytest.mark.parametrize("order", ["[gone] (backoff)", "(backoff) [gone]"])
def test_the_next_try_waits_for_the_back_off_and_for_the_last_of_the_group(order: str) -> None:
    """In either order: two runs never overlap."""
    story = Story(f"{WAYS['RUNNING']} [exits 1]")
    first, second = order.split()

    too_early = story.play(first)
    effects = story.play(second)

    assert too_early == []
    assert steps(effects) == ["BACKOFF retry INIT"]
    assert only(effects, StartWorker) == [StartWorker(2, number("INIT"), 4, {})]
    assert not story.overlapped


def test_the_next_try_takes_up_the_goal_again() -> None:
    """A unit that was told to run runs again, by the daemon's doing."""
    story = Story(f"{WAYS['RUNNING']} [exits 1] [gone] (backoff)")

    effects = story.play("[ready]")

    assert steps(effects) == ["INIT ready READY", "READY start RUNNING"]
    assert [event["source"] for event in events(effects)] == ["worker", "daemon"]
    assert events(effects)[1]["reason"] == "goal RUNNING"
    assert said(effects) == []


def test_the_back_off_of_the_last_crash_says_nothing_about_the_next() -> None:
    """After a second crash the second back-off has to be waited for."""
    story = Story("boot [exits 1] (backoff) [gone] [exits 1]")

    effects = story.play("[gone]")

    assert (effects, story.state) == ([], "BACKOFF")


def test_back_offs_double_from_crash_to_crash() -> None:
    """With a jitter that comes from outside: none at all, here."""
    story = Story("boot", draw=lambda: 1.0, backoff_s=(2.0, 9.0))

    story.play("[exits 1] [gone] (backoff)" * 4)

    waits = [arm.after_s for arm in only(story.effects, Arm) if arm.timer is Timer.BACKOFF]
    assert waits == [2.0, 4.0, 8.0, 9.0]


def test_a_budget_used_up_is_a_failure() -> None:
    """Five tries within the window were granted; the sixth death is one too many."""
    story = Story("boot" + 5 * " [exits 1] [gone] (backoff)")

    effects = story.play("[exits 1]")

    assert story.states.count("BACKOFF") == 5
    assert steps(effects) == ["INIT fail FAILED"]
    assert events(effects)[0]["reason"] == "exit code 1"
    assert only(effects, StopWorker) == [StopWorker(6, Force.KILL)]
    assert only(effects, Leave) == []
    assert only(story.play("[gone]"), *CHANGES) == []


def test_deaths_that_are_far_apart_never_use_up_the_budget() -> None:
    """A worker that lived longer than the window was healthy."""
    story = Story("boot" + 20 * " [ready] +61 [exits 1] [gone] (backoff)")

    waits = {arm.after_s for arm in only(story.effects, Arm) if arm.timer is Timer.BACKOFF}
    assert (story.state, waits) == ("INIT", {0.875})


def test_a_failed_unit_that_is_to_leave_leaves_when_nothing_lives_any_more() -> None:
    """With 75, so that a service manager knows that trying again may help."""
    story = Story("boot", budget=0, exit_on_failed=True)

    failed = story.play("[exits 1]")
    over = story.play("[gone]")

    assert (steps(failed), only(failed, Leave)) == (["INIT fail FAILED"], [])
    assert over == [Leave(75)]


def test_a_failed_unit_without_a_worker_leaves_at_once() -> None:
    """There is nothing to wait for."""
    story = Story("boot", budget=0, exit_on_failed=True)

    effects = story.play("[not started]")

    assert (story.state, only(effects, Leave)) == ("FAILED", [Leave(75)])


def test_a_worker_that_is_not_ready_in_time_is_killed() -> None:
    """It counts as a crash; that it says ready now is too late."""
    story = Story("boot", ready_timeout_s=2.0)

    effects = story.play("(ready)")
    late = story.play("[ready]")

    assert steps(effects) == ["INIT crash BACKOFF"]
    assert events(effects)[0]["reason"] == "not ready within 2 s; next try in 0.9 s"
    assert [show.number for show in only(effects, Show)] == [number("BACKOFF")]
    assert only(effects, StopWorker) == [StopWorker(1, Force.DUMP)]
    assert only(story.play("(stop) (kill)"), StopWorker) == [
        StopWorker(1, Force.TERMINATE),
        StopWorker(1, Force.KILL),
    ]
    assert (late, story.state) == ([], "BACKOFF")
    assert steps(story.play("[exits -9] (backoff) [gone]")) == ["BACKOFF retry INIT"]


def test_a_worker_that_is_ready_has_no_deadline_for_it_any_more() -> None:
    """The timer is disarmed."""
    story = Story("boot")

    effects = story.play("[ready]")

    assert only(effects, Disarm) == [Disarm(Timer.READY)]


@pytest.mark.parametrize(("budget", "state"), [(5, "BACKOFF"), (0, "FAILED")])
def test_a_worker_that_is_given_up_has_no_deadline_to_be_ready(budget: int, state: str) -> None:
    """It would be given up once more."""
    story = Story("boot [dies boom]", budget=budget)

    assert story.state == state
    assert Timer.READY not in story.armed


def test_a_death_is_remembered_by_its_kind() -> None:
    """For the document and the metrics, until the next one."""
    story = Story("boot [ready] start [sees] [dies boom]")

    assert story.status.supervision.death == Death(
        1, ExitKind.EXITED, "exit code 1", ("warning", "boom")
    )


def test_a_worker_that_cannot_be_started_is_tried_again() -> None:
    """There is nobody to kill, and the reason is the system's."""
    story = Story("boot")

    effects = story.play("[not started]")

    assert steps(effects) == ["INIT crash BACKOFF"]
    assert events(effects)[0]["reason"] == "no such file; next try in 0.9 s"
    assert only(effects, StopWorker) == []
    assert only(story.play("(backoff)"), StartWorker) == [StartWorker(2, number("INIT"), 2, {})]


def test_an_end_finds_a_worker_that_could_not_be_started() -> None:
    """ENDING has nothing to wait for then."""
    story = Story("boot end")

    effects = story.play("[not started]")

    assert (steps(effects), said(effects)) == (["ENDING exited END"], ["end done"])


@pytest.mark.fault("W21")
def test_what_a_run_of_the_past_does_is_only_noted() -> None:
    """It must not be taken for the present one's deed."""
    for deed in ["ready", "asks end", "exits 0", "exits 1", "gone", "not started"]:
        story = Story(f"{WAYS['RUNNING']} [exits 1] [gone] (backoff) [ready] [sees]")
        before = story.snapshot()

        effects = story.play(f"[old {deed}]")

        assert effects == [Note("worker.outdated", {"run": 1})]
        assert story.snapshot() == before


def test_a_worker_dies_once() -> None:
    """The same exit reported twice is one death."""
    story = Story("boot [ready] [exits 1]")
    before = story.snapshot()

    effects = story.play("[exits 1] [exits 0]")

    assert effects == []
    assert story.snapshot() == before
