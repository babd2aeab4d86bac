"""Tests of `statusd.core.status`: a worker that has more memory than it may have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from statusd.core.capabilities import Capabilities
from statusd.core.events import Arm, Force, StopWorker, Timer
from statusd.core.policy import OnMemory, Restart
from tests.unit.histories import WAYS, Story, events, only, said, steps

GIB = 2**30
REASON = "2.1 GiB of memory, memory_max is 2 GiB"


def story(history: str, on_memory: OnMemory = OnMemory.CRASH, **more: Any) -> Story:
    """Return the story of a worker that may have 2 GiB."""
    return Story(history, memory_max=2 * GIB, on_memory=on_memory, **more)


@pytest.mark.parametrize("state", ["INIT", "READY", "RUNNING", "PAUSED"])
def test_a_crash_is_one_like_a_hang(state: str) -> None:
    """With its own reason, another try later, and the signals in their time."""
    told = story(WAYS[state])

    effects = told.play("[has 2.1]")

    assert steps(effects) == [f"{state} crash BACKOFF"]
    assert events(effects)[0]["reason"] == f"{REASON}; next try in 0.9 s"
    assert only(effects, StopWorker) == [StopWorker(1, Force.DUMP)]
    assert only(told.play("(stop)"), StopWorker) == [StopWorker(1, Force.TERMINATE)]
    assert only(told.play("(kill)"), StopWorker) == [StopWorker(1, Force.KILL)]
    assert steps(told.play("[exits -9] [gone] (backoff)")) == ["BACKOFF retry INIT"]
    assert told.status.worker.grown == ""


def test_where_nobody_is_started_again_it_has_failed() -> None:
    """The restart policy decides, as of every death."""
    told = story(WAYS["RUNNING"], restart=Restart.NEVER)

    assert steps(told.play("[has 2.1]")) == ["RUNNING fail FAILED"]


def test_a_pause_is_one_that_anyone_might_have_asked_for() -> None:
    """The goal stays what it was, and a command leads on, though it has no less."""
    told = story(WAYS["RUNNING"], OnMemory.PAUSE)

    effects = told.play("[has 2.1] [sees]")

    assert steps(effects) == ["RUNNING pause PAUSED"]
    assert events(effects)[0]["reason"] == told.status.worker.grown == REASON
    assert only(effects, StopWorker) == []
    assert told.goal == "RUNNING"
    assert said(told.play("resume#a [sees] [has 2.2]")) == ["resume accepted", "resume done"]
    assert told.state == "RUNNING"


@pytest.mark.parametrize("state", ["INIT", "READY", "PAUSED"])
def test_who_does_not_work_can_not_be_paused(state: str) -> None:
    """It is told."""
    assert steps(story(WAYS[state], OnMemory.PAUSE).play("[has 2.1]")) == [f"{state} grow {state}"]


def test_a_program_that_can_not_be_told_to_wait_is_told_of() -> None:
    """It has no pause."""
    told = story("boot [ready]", OnMemory.PAUSE, capabilities=Capabilities(frozenset()))
    assert told.state == "RUNNING"

    assert steps(told.play("[has 2.1]")) == ["RUNNING grow RUNNING"]


def test_a_pause_that_would_not_arrive_is_told() -> None:
    """With the reason why there is none; nothing has changed."""
    signals = Capabilities(frozenset({"PAUSED", "RUNNING"}))
    told = story("boot [ready]", OnMemory.PAUSE, capabilities=signals)
    told.barred["PAUSED"] = "it can't be signalled"

    effects = told.play("[has 2.1]")

    assert steps(effects) == ["RUNNING grow RUNNING"]
    assert events(effects)[0]["reason"] == f"{REASON}; it can't be signalled"


@pytest.mark.parametrize("how", [OnMemory.TELL, OnMemory.PAUSE])
def test_an_excess_is_told_once(how: OnMemory) -> None:
    """It is over a tenth below the limit; what comes then is another one."""
    told = story(WAYS["PAUSED"], how)

    effects = told.play("[has 2.1] [has 3] [has 1.99] [has 1.85] [has 1.7] [has 1.99] [has 2.1]")

    assert [event["trigger"] for event in events(effects)] == ["grow", "shrink", "grow"]
    assert events(effects)[1]["reason"] == "1.7 GiB of memory again"
    assert only(effects, StopWorker, Arm) == []


def test_another_limit_counts_from_now_on() -> None:
    """A reload has raised it: the excess is none any more."""
    told = story(WAYS["RUNNING"], OnMemory.TELL)
    told.play("[has 2.1]")
    more = replace(told.status.policy, memory_max=8 * GIB)
    told.status.take_over(more, told.status.identity.tags)

    assert steps(told.play("[has 2.1]")) == ["RUNNING shrink RUNNING"]
    assert told.status.worker.grown == ""


@pytest.mark.parametrize("history", ["end", "[exits 1]", "[hangs]"])
@pytest.mark.parametrize("how", OnMemory)
def test_who_is_leaving_has_no_excess(history: str, how: OnMemory) -> None:
    """It was noticed too late."""
    told = story(f"{WAYS['RUNNING']} {history}", how)
    before = told.snapshot()

    told.play("[has 2.1]")

    assert told.snapshot() == before


def test_an_attached_program_is_told_of_and_lives() -> None:
    """Whatever is set: nobody kills it."""
    told = story(WAYS["RUNNING"], attached=True, restart=Restart.NEVER)

    effects = told.play("[has 2.1]")

    assert steps(effects) == ["RUNNING grow RUNNING"]
    assert only(effects, StopWorker) == []
    assert Timer.BACKOFF not in told.armed


def test_without_a_limit_there_is_no_excess() -> None:
    """However much it has."""
    assert Story(WAYS["RUNNING"]).play("[has 9999]") == []
