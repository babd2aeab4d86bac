"""Tests of `statusd.core.status`: the worker asks."""

from __future__ import annotations

from statusd.core.events import (
    Note,
)
from tests.unit.histories import WAYS, Story, events, steps


def test_a_worker_may_ask_for_some_transitions() -> None:
    """The event says that it was the worker; the goal stays."""
    for state, trigger, new in [
        ("INIT", "ready", "READY"),
        ("RUNNING", "pause", "PAUSED"),
        ("RUNNING", "stop", "READY"),
        ("PAUSED", "stop", "READY"),
        ("RUNNING", "end", "ENDING"),
    ]:
        story = Story(WAYS[state])
        goal = story.goal

        effects = story.play(f"[asks {trigger}]")

        assert steps(effects) == [f"{state} {trigger} {new}"]
        assert events(effects)[0]["source"] == "worker"
        assert story.goal == goal, trigger


def test_a_worker_may_not_ask_for_others() -> None:
    """It is noted, and nothing has changed."""
    for state, trigger in [
        ("READY", "start"),
        ("READY", "pause"),
        ("PAUSED", "resume"),
        ("RUNNING", "crash"),
        ("RUNNING", "to_END"),
        ("RUNNING", "__class__"),
        ("ENDING", "end"),
        ("END", "exited"),
    ]:
        story = Story(WAYS[state])
        before = story.snapshot()

        effects = story.play(f"[asks {trigger}]")

        assert effects == [Note("worker.trigger_refused", {"trigger": trigger, "state": state})]
        assert story.snapshot() == before


def test_a_worker_that_has_left_asks_for_nothing() -> None:
    """What it wrote before may be read late: in BACKOFF, it must not end the unit."""
    story = Story(f"{WAYS['RUNNING']} [exits 1]")
    before = story.snapshot()

    effects = story.play("[asks end]")

    assert [type(effect) for effect in effects] == [Note]
    assert story.snapshot() == before


def test_a_worker_is_ready_once() -> None:
    """In any other state than INIT it is no news."""
    story = Story(WAYS["RUNNING"])
    before = story.snapshot()

    effects = story.play("[ready]")

    assert effects == []
    assert story.snapshot() == before
