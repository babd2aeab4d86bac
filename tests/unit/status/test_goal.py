"""Tests of `statusd.core.status`: the goal."""

from __future__ import annotations

import pytest

from statusd.core.events import (
    Note,
    Save,
)
from statusd.core.unit import Memory
from tests.unit.histories import WAYS, Story, events, only, said, steps
from tests.unit.status.sets import CHANGES


def test_a_command_sets_the_goal() -> None:
    """When it is accepted or postponed; it is to be saved."""
    for state, word, goal in [
        ("READY", "start", "RUNNING"),
        ("READY", "RUNNING", "RUNNING"),
        ("RUNNING", "pause", "PAUSED"),
        ("PAUSED", "resume", "RUNNING"),
        ("RUNNING", "stop", "READY"),
        ("RUNNING", "READY", "READY"),
        ("RUNNING", "end", "END"),
        ("INIT", "start", "RUNNING"),
        ("BACKOFF", "PAUSED", "PAUSED"),
    ]:
        story = Story(WAYS[state])

        effects = story.play(word)

        assert (story.goal, story.status.memory().goal) == (goal, goal)
        assert Save() in effects, word


def test_nothing_else_sets_the_goal() -> None:
    """No signal, no finished worker, no crash, no worker's wish, no refused word."""
    for way, happens in [
        ("RUNNING", "[asks pause]"),
        ("RUNNING", "[asks stop]"),
        ("RUNNING", "[asks end]"),
        ("RUNNING", "[exits 0] [gone]"),
        ("RUNNING", "[exits 1] [gone] (backoff) [ready]"),
        ("RUNNING", "SIGTERM"),
        ("RUNNING", "SIGINT [exits 0] [gone]"),
        ("RUNNING", "resume"),
        ("RUNNING", "status ping force xyzzy"),
        ("FAILED", "reset [ready]"),
        ("FAILED", "start PAUSED"),
    ]:
        story = Story(WAYS[way])
        goal = story.goal

        story.play(happens)

        assert story.goal == goal, happens


def test_a_no_op_can_set_the_goal() -> None:
    """The worker paused itself; now the user wants it to stay so."""
    story = Story(f"{WAYS['RUNNING']} [asks pause] [sees]")
    goal = story.goal

    effects = story.play("pause")

    assert (goal, story.goal) == ("RUNNING", "PAUSED")
    assert said(effects) == ["pause noop"]
    assert only(effects, *CHANGES) == [Save()]


def test_an_end_while_a_signal_ends_the_unit_is_remembered() -> None:
    """A no-op that sets the goal, here as well."""
    story = Story(f"{WAYS['RUNNING']} SIGTERM")

    story.play("end")

    assert story.goal == "END"


def test_the_default_goal_is_where_a_new_unit_goes_by_itself() -> None:
    """With the daemon as the one who did it."""
    story = Story("boot [ready]", goal="RUNNING")

    assert story.states == ["INIT", "READY", "RUNNING"]
    assert events(story.effects)[-1]["source"] == "daemon"


@pytest.mark.parametrize(
    ("goal", "way"), [("RUNNING", "start RUNNING"), ("PAUSED", "pause PAUSED"), ("READY", "")]
)
def test_an_older_goal_is_restored_in_one_step(goal: str, way: str) -> None:
    """PAUSED too: the worker never runs on the way there."""
    story = Story("boot", memory=Memory(goal=goal), goal="RUNNING")

    effects = story.play("[ready]")

    assert steps(effects) == ["INIT ready READY", *([f"READY {way}"] if way else [])]
    assert story.goal == goal


def test_a_goal_of_end_is_over_when_the_daemon_is_started_again() -> None:
    """Starting it is a request; a line in the log says what was dropped."""
    story = Story(memory=Memory(goal="END"), goal="RUNNING")

    effects = story.play("boot")

    assert only(effects, Note) == [Note("goal.dropped", {"goal": "END", "new": "RUNNING"})]
    assert (story.goal, story.state) == ("RUNNING", "INIT")


def test_any_other_goal_is_not_worth_a_line() -> None:
    """It is simply taken up."""
    effects = Story(memory=Memory(goal="PAUSED")).play("boot")

    assert only(effects, Note) == []


@pytest.mark.fault("S13")
def test_a_goal_that_no_lifecycle_knows_is_forgotten() -> None:
    """The state file is from another version, or somebody wrote into it (S13)."""
    story = Story("boot", memory=Memory(goal="garbage"), goal="RUNNING")

    assert story.goal == "RUNNING"
