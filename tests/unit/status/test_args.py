"""Tests of `statusd.core.status`: args."""

from __future__ import annotations

import pytest

from statusd.core.events import (
    Show,
    StartWorker,
)
from statusd.core.unit import Memory
from tests.unit.histories import WAYS, Story, events, number, only, said
from tests.unit.status.sets import CHANGES


def test_args_reach_the_worker_with_the_state() -> None:
    """And are kept for the runs to come."""
    story = Story("boot [ready]")

    effects = story.send("start", args={"exposure": 300})
    restarted = story.play("[sees] [exits 1] [gone] (backoff)")

    assert only(effects, Show) == [Show(1, number("RUNNING"), 2, {"exposure": 300})]
    assert story.status.memory().args == {"exposure": 300}
    assert only(restarted, StartWorker)[0].args == {"exposure": 300}


def test_a_command_without_args_leaves_the_old_ones() -> None:
    """Pause and resume must not forget what was to be done."""
    story = Story("boot [ready]")
    story.send("start", args={"exposure": 300})

    effects = story.play("pause")

    assert only(effects, Show) == [Show(1, number("PAUSED"), 3, None)]
    assert story.status.memory().args == {"exposure": 300}


def test_new_args_take_the_place_of_the_old_ones() -> None:
    """Whole, not key by key."""
    story = Story("boot [ready]")
    story.send("start", args={"exposure": 300, "filter": "V"})

    story.send("pause", args={"exposure": 60})

    assert story.status.memory().args == {"exposure": 60}


def test_args_of_a_command_that_is_not_obeyed_are_forgotten() -> None:
    """Refused, invalid, or nothing to do: the worker never heard of them."""
    for word in ["resume", "xyzzy", "stop"]:
        story = Story("boot [ready]")
        before = story.snapshot()

        effects = story.send(word, args={"n": 3})

        assert only(effects, *CHANGES) == []
        assert story.snapshot() == before


@pytest.mark.parametrize("newer", ["pause", "end", "start"])
def test_args_of_a_displaced_command_are_forgotten(newer: str) -> None:
    """It was refused: no later run may be told what this one never heard."""
    story = Story("boot", memory=Memory(args={"n": 1}))
    story.send("start", args={"n": 2})

    effects = story.play(newer)

    assert said(effects)[0] == "start refused"
    assert story.status.memory().args == {"n": 1}


def test_args_of_an_end_are_told_but_not_kept() -> None:
    """They go with the goal, and END is over when the next daemon starts."""
    story = Story("boot [ready]", memory=Memory(args={"n": 1}))

    effects = story.send("end", args={"why": "moving"})

    assert only(effects, Show) == [Show(1, number("ENDING"), 2, {"why": "moving"})]
    assert events(effects)[0]["args"] == {"why": "moving"}
    assert story.status.memory().args == {"n": 1}


def test_args_of_a_reset_reach_the_new_worker() -> None:
    """Its event says so."""
    story = Story(WAYS["FAILED"])

    effects = story.send("reset", args={"n": 2})

    assert events(effects)[0]["args"] == {"n": 2}
    assert only(effects, StartWorker)[0].args == {"n": 2}


def test_args_of_a_postponed_command_come_with_its_transition() -> None:
    """The worker was started before they were known."""
    story = Story("boot")
    story.send("start", args={"n": 3})

    effects = story.play("[ready]")

    assert only(effects, Show)[-1] == Show(1, number("RUNNING"), 2, {"n": 3})
