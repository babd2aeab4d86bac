"""Tests of `statusd.core.status`: signals that stand for a word, the deadline, the exit code."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.core import events as ev
from statusd.core.conditions import Request
from statusd.core.prompts import of_signal
from statusd.core.unit import Memory
from statusd.lifecycles.definition import define
from tests.unit.histories import Story, answers, events, only, said, steps

AT = 1_800_000_000.0
"""A deadline, in Unix time."""
SENDER = "of pid 7 (scancel), uid 0"
WORKS = "boot [ready] start [sees]"


def prompt(story: Story, word: str, name: str = "SIGUSR1") -> list[ev.Effect]:
    """Let a signal come that stands for ``word``."""
    return story.happen(of_signal(word, name, SENDER, story.now))


def booted(left_s: float, survivor: int = 0, **policy: Any) -> tuple[Story, list[ev.Effect]]:
    """Return a unit that begins so many seconds before its deadline, and the effects of that."""
    story = Story(deadline=AT, deadline_margin_s=60.0, **policy)
    return story, story.happen(ev.Booted(survivor, AT - left_s))


def codes(story: Story) -> list[int]:
    """Return what it has left with."""
    return [leave.code for leave in only(story.effects, ev.Leave)]


# ---- signals -----------------------------------------------------------------------------------


def test_a_signal_is_obeyed_and_answered_like_a_word() -> None:
    """With its own source, and who has sent it; it is done when the worker sees it."""
    story = Story(WORKS)

    told = prompt(story, "pause")
    seen = story.play("[sees]")

    assert steps(told) == ["RUNNING pause PAUSED"]
    assert events(told)[0]["source"] == "signal:SIGUSR1"
    assert events(told)[0]["by"] == "pid 7 (scancel), uid 0"
    assert (said(told), said(seen)) == (["pause accepted"], ["pause done"])
    assert answers(seen)[0]["source"] == "signal:SIGUSR1"


def test_a_signal_is_refused_like_a_word() -> None:
    """Where the lifecycle doesn't let it; nothing has changed, whatever there is."""
    story = Story(WORKS)
    before = story.snapshot()

    assert said(prompt(story, "reset")) == ["reset refused"]
    assert said(prompt(story, "xyzzy")) == ["xyzzy invalid"]
    assert story.snapshot() == before


def test_a_burst_of_signals_is_one_pause_and_then_no_change() -> None:
    """Whatever comes twice changes nothing the second time."""
    story = Story(WORKS)

    effects = [*prompt(story, "pause"), *prompt(story, "pause"), *prompt(story, "pause")]

    assert steps(effects) == ["RUNNING pause PAUSED"]
    assert said(effects) == ["pause accepted", "pause noop", "pause noop"]


def test_a_signal_before_the_worker_is_ready_is_kept_for_then() -> None:
    """As a word in INIT is, also one that comes before the unit has begun."""
    for story in (Story("boot", goal="RUNNING"), Story(goal="RUNNING")):
        early = prompt(story, "pause")
        story.play("boot" if story.status.worker.run == 0 else "")
        story.play("[ready] [sees] [sees]")

        assert said(early) == ["pause postponed"]
        assert story.state == "PAUSED"


@pytest.mark.parametrize("word", ["pause", "end", "stop"])
def test_what_a_signal_asks_for_holds_for_this_daemon(word: str) -> None:
    """The next one takes up the goal that somebody has set; in this life the signal's counts."""
    story = Story(WORKS)
    wanted = {"pause": "PAUSED", "end": "END", "stop": "READY"}[word]

    prompt(story, word)

    assert (story.goal, story.status.memory().goal) == (wanted, "RUNNING")


@pytest.mark.parametrize("after", ["pause", "pause#a", "PAUSED"])
def test_whoever_asks_for_the_same_makes_it_last(after: str) -> None:
    """It changes no state, but it is somebody's goal from then on; no shortcut hides that."""
    story = Story(WORKS)
    prompt(story, "pause")
    quiet = story.status.commands.quiet

    meant = story.status.commands.look_up("pause")
    assert meant is not None
    message = story._message(*after.split("#"))
    assert isinstance(message, ev.Commanded)
    assert quiet(message.command, meant) is None
    assert ev.Save() in story.play(after)
    assert story.status.memory().goal == "PAUSED"
    assert quiet(message.command, meant) is not None


def test_a_crash_after_a_signal_comes_back_as_the_signal_had_it() -> None:
    """It is the goal of this daemon, whatever the next one does."""
    story = Story(WORKS)
    prompt(story, "pause")

    story.play("[sees] [exits 1] [gone] (backoff) [ready] [sees]")

    assert (story.state, story.status.memory().goal) == ("PAUSED", "RUNNING")


def test_end_by_a_signal_has_the_time_of_a_command() -> None:
    """A batch system that warns leaves time for a checkpoint; SIGTERM has a limit of its own."""
    story = Story(WORKS, stop_timeout_s=40.0, signal_stop_timeout_s=5.0)

    assert ev.Arm(ev.Timer.STOP, 40.0) in prompt(story, "end")
    assert ev.Arm(ev.Timer.STOP, 5.0) in story.play("SIGTERM")


def test_an_end_by_a_signal_is_nobodys_command() -> None:
    """So a folder's next daemon begins it again, as after SIGTERM."""
    by_signal, by_word = Story(WORKS), Story(f"{WORKS} end")
    prompt(by_signal, "end")

    causes = [story.status.ended for story in (by_signal, by_word)]

    assert [cause is not None and cause.is_asked for cause in causes] == [False, True]


# ---- the deadline ------------------------------------------------------------------------------


def test_the_deadline_ends_it_in_time() -> None:
    """So long before, by the clock on the wall, and with a source of its own."""
    story, begun = booted(3600.0)
    assert ev.Arm(ev.Timer.DEADLINE, 3540.0, AT - 60.0) in begun
    story.play("[ready] start [sees]")

    came = story.play("(deadline)")

    assert steps(came) == ["RUNNING end ENDING"]
    assert events(came)[0]["source"] == "deadline"
    assert only(came, ev.Note)[0].fields["command"] == "end"
    assert story.status.memory().goal == "RUNNING"


def test_no_worker_is_started_for_less_than_the_margin() -> None:
    """END at once; what a daemon of the past has left is waited for."""
    story, begun = booted(60.0)
    assert (steps(begun), codes(story)) == (["INIT end ENDING", "ENDING exited END"], [0])
    assert only(story.effects, ev.StartWorker) == []

    late, begun = booted(59.0, survivor=3)
    assert steps(begun) == ["INIT end ENDING"]
    late.play("[gone]")
    assert (late.state, only(late.effects, ev.StartWorker)) == ("END", [])


def test_another_word_is_obeyed_before_the_deadline() -> None:
    """It pauses; at a late start as soon as it can be."""
    story, _ = booted(100.0, deadline_word="pause")
    story.play("[ready] start [sees]")
    assert steps(story.play("(deadline)")) == ["RUNNING pause PAUSED"]

    late, _ = booted(1.0, deadline_word="pause")
    late.play("[ready] [sees]")
    assert (late.state, late.status.memory().goal) == ("PAUSED", "READY")


def is_open(_: Request) -> bool:
    """close the shutter first"""
    return False


def test_no_condition_bars_an_end_by_the_deadline() -> None:
    """It judges words, also that of a signal; whoever kills the job asks for no condition."""
    guarded = define(
        ["INIT", "IDLE", {"name": "ON", "worker": "works"}, "END"],
        [
            {"trigger": "ready", "source": "INIT", "dest": "IDLE"},
            {"trigger": "go", "source": "IDLE", "dest": "ON"},
            {"trigger": "quit", "source": ["IDLE", "ON"], "dest": "END", "conditions": is_open},
            {"trigger": "end", "source": "INIT", "dest": "END"},
        ],
        lambda name: name,
    )
    for word in ("quit", "END"):
        story, _ = booted(3600.0, lifecycle=guarded, deadline_word=word, requeue_exit=85)
        story.play("[ready] go [sees]")
        assert said(prompt(story, word)) == [f"{word} refused"]

        came = story.play("(deadline) [exits 0] [gone]")

        assert (events(came)[0]["new"], events(came)[0]["source"]) == ("ENDING", "deadline")
        assert codes(story) == [85]


def test_new_settings_leave_the_deadline_as_it_is() -> None:
    """A reload knows how patient to be, not when the job began."""
    story, _ = booted(100.0)
    other = Story(ack_timeout_s=7.0).status.policy

    story.status.take_over(other, frozenset())

    assert (story.status.policy.deadline, story.status.policy.ack_timeout_s) == (AT, 7.0)


# ---- the exit code -----------------------------------------------------------------------------

ENDS = {
    "a word": ("end [exits 0] [gone]", 0),
    "its own end": ("[exits 0] [gone]", 0),
    "its own wish": ("[asks end] [exits 0] [gone]", 0),
    "SIGTERM": ("SIGTERM [exits 0] [gone]", 85),
    "SIGTERM while it backs off": ("[exits 1] [gone] SIGTERM", 85),
    "SIGTERM after a word": ("end SIGTERM [exits 0] [gone]", 0),
    "SIGTERM after its own end": ("[exits 0] SIGTERM [gone]", 0),
    "SIGTERM while paused": ("pause [sees] SIGTERM [exits 0] [gone]", 85),
    "the deadline": ("(deadline) [exits 0] [gone]", 85),
    "the deadline, and a word": ("(deadline) end [exits 0] [gone]", 85),
}


@pytest.mark.parametrize("how", ENDS)
def test_work_that_was_cut_short_has_an_exit_code_of_its_own(how: str) -> None:
    """By a signal or the deadline alone; without the setting it is 0 as ever."""
    history, code = ENDS[how]
    for chosen in (85, 0):
        story, _ = booted(3600.0, requeue_exit=chosen)
        story.play("[ready] start [sees]")
        story.play(history)
        assert codes(story) == [code and chosen]


@pytest.mark.parametrize(("word", "code"), [("end", 85), ("END", 85), ("pause", 0)])
def test_a_signal_that_ends_has_that_code(word: str, code: int) -> None:
    """One that doesn't is forgotten: it ends by somebody's word afterwards."""
    story = Story(WORKS, requeue_exit=85)
    prompt(story, word)

    story.play("[sees] end [exits 0] [gone]")

    assert codes(story) == [code]


@pytest.mark.parametrize("chosen", [85, 0])
def test_a_unit_that_has_failed_is_not_queued_again(chosen: int) -> None:
    """It would fail again, for ever: 75 says so; without the setting it is 0 as ever."""
    for history in ("SIGTERM", ""):
        story = Story(f"{WORKS} [exits 1] [gone]", budget=0, requeue_exit=chosen)
        assert story.state == "FAILED"
        story.play(history)
        prompt(story, "end")
        assert codes(story) == [75 if chosen else 0]


def test_a_kept_goal_is_restored() -> None:
    """The next daemon of a job that was cut short goes on with its work."""
    story = Story(WORKS)
    prompt(story, "end")
    story.play("[exits 0] [gone]")

    again = Story("boot [ready] [sees]", memory=Memory(goal=story.status.memory().goal))

    assert again.state == "RUNNING"
