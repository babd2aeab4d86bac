"""Tests of `statusd.core.status`: the worker finishes."""

from __future__ import annotations

import pytest

from statusd.core.events import (
    Leave,
    Show,
    StartWorker,
    Timer,
)
from statusd.core.policy import Restart
from tests.unit.histories import WAYS, Story, events, only, said, steps
from tests.unit.status.sets import UP


def test_a_worker_that_leaves_in_running_has_finished() -> None:
    """The unit ends by itself, and the goal stays."""
    story = Story(WAYS["RUNNING"])

    left = story.play("[exits 0]")
    over = story.play("[gone]")

    assert steps(left + over) == ["RUNNING end ENDING", "ENDING exited END"]
    assert (events(left)[0]["source"], events(left)[0]["reason"]) == (
        "worker",
        "the worker finished",
    )
    assert only(left, Show) == []
    assert only(over, Leave) == [Leave(0)]
    assert story.goal == "RUNNING"


@pytest.mark.parametrize("word", ["pause", "stop"])
def test_a_worker_that_never_saw_the_pause_has_finished(word: str) -> None:
    """What counts is the state that it was seen in."""
    story = Story(f"{WAYS['RUNNING']} {word}")

    effects = story.play("[exits 0] [gone]")

    assert story.states[-2:] == ["ENDING", "END"]
    assert said(effects) == [f"{word} failed"]


def test_a_worker_that_was_seen_in_running_after_the_pause_came_has_finished() -> None:
    """Its look at RUNNING was reported late: the last state it took in was one to work in."""
    story = Story("boot [ready] start pause")

    story.play("[saw] [exits 0] [gone]")

    assert story.states[-2:] == ["ENDING", "END"]


@pytest.mark.fault("W18")
@pytest.mark.parametrize("state", ["INIT", "READY", "PAUSED"])
def test_a_worker_that_leaves_before_it_should_has_crashed(state: str) -> None:
    """Nobody said start, or the pause was seen: an exit code of 0 is no excuse."""
    story = Story(f"{WAYS[state]} [sees]")

    effects = story.play("[exits 0]")

    assert steps(effects) == [f"{state} crash BACKOFF"]


def test_a_worker_that_never_saw_running_has_not_finished() -> None:
    """It left before it could read the word."""
    story = Story("boot [ready] start")

    effects = story.play("[exits 0]")

    assert steps(effects) == ["RUNNING crash BACKOFF"]


@pytest.mark.fault("J06")
@pytest.mark.parametrize("way", ["boot", "boot [ready]", "boot [ready] [sees]"])
def test_a_function_that_returns_with_a_goal_to_work_has_finished(way: str) -> None:
    """However far it had come: it says itself that it did its work, and is not started again."""
    story = Story(way, goal="RUNNING")

    effects = story.play("[returns] [gone]")

    assert story.states[-2:] == ["ENDING", "END"]
    assert events(effects)[0]["reason"] == "the worker finished"
    assert only(effects, StartWorker) == []
    assert story.goal == "RUNNING"


@pytest.mark.fault("J06")
@pytest.mark.parametrize("way", ["boot", "boot [ready]", "boot [ready] start pause [sees]"])
def test_a_function_that_returns_without_such_a_goal_has_crashed(way: str) -> None:
    """Nobody wanted it to work."""
    effects = Story(way).play("[returns]")

    assert steps(effects)[-1].endswith("crash BACKOFF")


@pytest.mark.fault("J06")
def test_under_restart_always_a_function_that_returns_is_started_again() -> None:
    """As after every end."""
    effects = Story("boot [ready]", goal="RUNNING", restart=Restart.ALWAYS).play("[returns]")

    assert steps(effects) == ["RUNNING crash BACKOFF"]


def test_a_new_run_has_seen_nothing_yet() -> None:
    """That the last worker was seen in RUNNING is no excuse for this one."""
    story = Story(f"{WAYS['RUNNING']} [exits 1] [gone] (backoff) [ready]")

    effects = story.play("[exits 0]")

    assert [event["run"] for event in events(effects)] == [2]
    assert steps(effects) == ["RUNNING crash BACKOFF"]


def test_under_restart_always_nothing_is_ever_finished() -> None:
    """An exit code of 0 in RUNNING is followed by a new start."""
    story = Story(WAYS["RUNNING"], restart=Restart.ALWAYS)

    effects = story.play("[exits 0] [gone] (backoff)")

    assert steps(effects) == ["RUNNING crash BACKOFF", "BACKOFF retry INIT"]


@pytest.mark.parametrize("state", UP)
def test_under_restart_never_a_crash_is_final(state: str) -> None:
    """FAILED at once, from every state."""
    story = Story(WAYS[state], restart=Restart.NEVER)

    effects = story.play("[exits 1] [gone]")

    assert steps(effects) == [f"{state} fail FAILED"]
    assert only(effects, StartWorker) == []
    assert Timer.BACKOFF not in story.armed


@pytest.mark.fault("J27")
@pytest.mark.parametrize("restart", [Restart.ON_FAILURE, Restart.ALWAYS])
@pytest.mark.parametrize("state", UP)
def test_a_code_that_says_not_again_is_final(state: str, restart: Restart) -> None:
    """FAILED at once, whatever `restart` says; another code is followed by another start."""
    final = Story(WAYS[state], restart=restart, never_on=frozenset({78}))
    other = Story(WAYS[state], restart=restart, never_on=frozenset({78}))

    effects = final.play("[exits 78] [gone]")

    assert steps(effects) == [f"{state} fail FAILED"]
    assert events(effects)[0]["reason"] == "exit code 78; not started again: restart_never_on"
    assert steps(other.play("[exits 64] [gone]")) == [f"{state} crash BACKOFF"]


def test_under_restart_never_a_worker_can_finish() -> None:
    """The end of its work is no failure."""
    story = Story(WAYS["RUNNING"], restart=Restart.NEVER)

    story.play("[exits 0] [gone]")

    assert story.state == "END"
