"""Tests of `statusd.core.status`: postponed commands."""

from __future__ import annotations

from statusd.core.events import (
    Show,
)
from tests.unit.histories import WAYS, Story, answers, events, only, said, steps


def test_a_command_before_the_worker_is_ready_is_postponed() -> None:
    """It is obeyed as soon as the worker is ready, in the name of its sender."""
    story = Story("boot")

    effects = story.send("start", id="a", by="ops@desk")
    ready = story.play("[ready]")
    seen = story.play("[sees]")

    assert (said(effects), steps(effects)) == (["start postponed"], [])
    assert steps(ready) == ["INIT ready READY", "READY start RUNNING"]
    cause = {key: events(ready)[1][key] for key in ("source", "by", "id", "reason")}
    assert cause == {
        "source": "redis:mychannel",
        "by": "ops@desk",
        "id": "a",
        "reason": "postponed until now",
    }
    assert (said(ready), said(seen)) == ([], ["start done"])


def test_of_two_postponed_commands_the_newer_one_counts() -> None:
    """The older one is refused; to be paused, the worker need not run first."""
    story = Story("boot start#a")

    effects = story.play("pause#b")
    rest = story.play("[ready] [sees]")

    assert said(effects) == ["start refused", "pause postponed"]
    assert answers(effects)[0]["reason"] == "superseded by pause"
    assert steps(rest) == ["INIT ready READY", "READY pause PAUSED"]
    assert said(rest) == ["pause done"]


def test_a_postponed_command_that_wants_no_step_is_done_when_ready_is_seen() -> None:
    """`stop` in INIT: READY is all it asked for."""
    story = Story("boot stop")

    assert (said(story.play("[ready]")), said(story.play("[sees]"))) == ([], ["stop done"])
    assert story.states == ["INIT", "READY"]


def test_a_postponed_command_that_wants_no_step_still_brings_its_args() -> None:
    """They reach the worker with the state, as any command's."""
    story = Story("boot")
    story.send("READY", args={"n": 3})

    effects = story.play("[ready]")

    assert [show.args for show in only(effects, Show)][-1] == {"n": 3}


def test_an_end_takes_the_place_of_a_postponed_command() -> None:
    """It is refused, and nothing of it is left."""
    for way in ["boot", "boot [exits 1]"]:
        for ending in ["end", "END", "SIGTERM"]:
            story = Story(f"{way} start#a")

            effects = story.play(ending)

            assert said(effects)[0] == "start refused"
            assert answers(effects)[0]["reason"] == "superseded by end"
            assert "a" not in [command.id for command in story.status.memory().open]


def test_a_command_in_the_back_off_waits_for_the_next_run() -> None:
    """Through `retry` and INIT, until there is a worker to obey it."""
    story = Story("boot [ready] [exits 1]")

    effects = story.play("start [gone] (backoff) [ready] [sees]")

    assert said(effects) == ["start postponed", "start done"]
    assert story.state == "RUNNING"


def test_a_postponed_command_outlives_a_crash() -> None:
    """The worker died before it was ready: the next one will obey."""
    story = Story("boot start")

    assert said(story.play("[exits 1] [gone] (backoff)")) == []
    assert said(story.play("[ready] [sees]")) == ["start done"]


def test_a_postponed_command_fails_with_the_last_try() -> None:
    """There will be no worker to obey it."""
    story = Story("boot start#a", budget=0)

    effects = story.play("[exits 1]")

    assert said(effects) == ["start failed"]
    assert answers(effects)[0]["reason"] == "the worker died: exit code 1"
    assert story.status.memory().open == ()


def test_a_postponed_command_survives_a_reset() -> None:
    """Both are done in the end."""
    story = Story(f"{WAYS['BACKOFF']} start reset")

    assert said(story.play("[ready] [sees]")) == ["reset done", "start done"]


def test_a_refused_word_leaves_the_postponed_one_alone() -> None:
    """Only a word that sets a goal takes its place."""
    story = Story("boot start")

    effects = story.play("FAILED xyzzy status force")

    assert "start refused" not in said(effects)
    assert said(story.play("[ready] [sees]")) == ["start done"]
