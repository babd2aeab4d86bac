"""Workers that can't be signalled, as the status sees them: refused, awaited, never two at once."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.core import events as ev
from statusd.core.capabilities import Capabilities
from statusd.core.messages import Command
from statusd.core.unit import Memory
from statusd.lifecycles.definition import define
from tests.unit.histories import EPERM, SUDO, Story, answers, events, only, said, steps

WHY = f"{SUDO} {EPERM}"
AWAITED = f"waiting for {SUDO} to end: {EPERM}"
STOPPABLE = Capabilities(frozenset({"PAUSED", "RUNNING", "ENDING"}))
HOMELY = Capabilities(frozenset({"READY", "RUNNING", "PAUSED"}))


def unreached(
    history: str, *barred: str, capabilities: Capabilities = STOPPABLE, **more: Any
) -> Story:
    """Return a story of a program in which the signals of ``barred`` don't arrive."""
    story = Story(capabilities=capabilities, **more)
    story.barred = dict.fromkeys(barred, WHY)
    story.play(history)
    return story


# ---- the state doesn't lie -----------------------------------------------------------------------


def test_a_command_whose_signal_would_not_arrive_is_refused() -> None:
    """With the reason and what is allowed; nothing has changed, not even the goal."""
    story = unreached("boot [ready]", "PAUSED")
    before = story.snapshot()

    (answer,) = answers(story.play("pause#a"))

    assert (answer["verdict"], answer["reason"]) == ("refused", WHY)
    assert "pause" in answer["allowed"]
    assert story.snapshot() == before
    assert story.status.is_observed is False


def test_a_durable_command_is_refused_as_well() -> None:
    """It goes another way: its effects wait for the disk."""
    story = unreached("boot [ready]", "PAUSED")

    command = ev.Commanded(Command("pause", "stream", id="a"))
    effects = story.happen(ev.Delivered((command,)))

    assert said(effects) == ["pause refused"]
    assert story.state == "RUNNING"


def test_a_refusal_after_a_guard_has_agreed_changes_nothing() -> None:
    """Where the way needs judgement, the Machine has moved already, and is moved back."""
    lifecycle = define(
        ["INIT", "IDLE", {"name": "BUSY", "worker": "works"}, "PAUSED", "END"],
        [
            {"trigger": "ready", "source": "INIT", "dest": "IDLE"},
            {"trigger": "go", "source": "IDLE", "dest": "BUSY"},
            {"trigger": "pause", "source": "BUSY", "dest": "PAUSED", "conditions": "a:b"},
            {"trigger": "on", "source": "PAUSED", "dest": "BUSY"},
            {"trigger": "end", "source": "*", "dest": "END"},
        ],
        lambda _: lambda request: True,
    )
    story = unreached("boot [ready]", "PAUSED", lifecycle=lifecycle)
    assert story.state == "BUSY"

    assert said(story.play("pause")) == ["pause refused"]
    assert story.state == "BUSY"
    assert steps(story.play("end")) == ["BUSY end ENDING"]


def test_only_a_living_worker_is_asked_for_and_only_before_its_own_signals() -> None:
    """Not for END, which waits for it; not for a function, which has the board."""
    assert Story("boot [ready] pause resume end", capabilities=STOPPABLE).asked == [
        *("RUNNING", "PAUSED", "RUNNING")
    ]
    assert Story("boot [ready] start pause").asked == []


def test_a_wish_of_the_worker_is_refused_and_noted() -> None:
    """It can't be told that it was granted."""
    story = unreached("boot [ready]", "PAUSED")

    effects = story.play("[asks pause]")

    told = {"trigger": "pause", "state": "RUNNING", "why": WHY}
    assert only(effects, ev.Note) == [ev.Note("worker.trigger_refused", told)]
    assert story.state == "RUNNING"


def test_a_goal_that_can_not_be_told_is_not_restored() -> None:
    """The worker works, so the unit doesn't stay in READY and say that it waits."""
    story = unreached("boot [ready]", "PAUSED", memory=Memory(goal="PAUSED"))

    told = {"goal": "PAUSED", "reason": WHY}
    assert only(story.effects, ev.Note) == [ev.Note("goal.not_restored", told)]
    assert (story.state, story.goal) == ("RUNNING", "PAUSED")


def test_a_postponed_command_that_can_not_be_told_has_failed() -> None:
    """Its sender is told why."""
    story = unreached("boot pause#a", "PAUSED")

    effects = story.play("[ready]")

    finals = [(a["verdict"], a.get("reason")) for a in answers(effects)]
    assert finals == [("failed", WHY)]
    assert story.state == "RUNNING"
    assert story.status.memory().open == ()


def test_a_state_that_can_not_be_left_by_its_deadline_lasts() -> None:
    """The deadline is noted and set again."""
    lifecycle = define(
        [
            *("INIT", "IDLE", {"name": "BUSY", "worker": "works"}),
            *({"name": "PAUSED", "timeout_s": 9, "on_timeout": "abort"}, "END"),
        ],
        [
            {"trigger": "ready", "source": "INIT", "dest": "IDLE"},
            {"trigger": "go", "source": "IDLE", "dest": "BUSY"},
            {"trigger": "pause", "source": "BUSY", "dest": "PAUSED"},
            {"trigger": "abort", "source": "PAUSED", "dest": "BUSY"},
            {"trigger": "end", "source": "*", "dest": "END"},
        ],
        lambda name: name,
    )
    capabilities = Capabilities(frozenset({"PAUSED", "BUSY"}))
    story = Story("boot [ready] pause", capabilities=capabilities, lifecycle=lifecycle)
    assert story.state == "PAUSED"
    story.barred = {"BUSY": WHY}

    effects = story.play("(state)")

    told = {"state": "PAUSED", "trigger": "abort", "reason": WHY}
    assert only(effects, ev.Note) == [ev.Note("deadline.refused", told)]
    assert story.state == "PAUSED"
    story.barred = {}
    assert steps(story.play("(state)")) == ["PAUSED abort BUSY"]


def test_who_can_not_be_told_to_wait_is_not_ready() -> None:
    """INIT goes on, with its deadline, which then names the reason."""
    story = unreached("boot [ready]", "READY", capabilities=HOMELY)
    assert story.state == "INIT"
    assert ev.Timer.READY in story.armed
    told = {"trigger": "ready", "state": "INIT", "why": WHY}
    assert only(story.effects, ev.Note) == [ev.Note("worker.trigger_refused", told)]

    crash = events(story.play("(ready)"))[0]

    assert crash["reason"].startswith(f"not ready within 30 s: {WHY}")


@pytest.mark.parametrize("way", ["bare", "durable"])
def test_a_signal_that_fails_in_the_last_moment_has_failed(way: str) -> None:
    """Between the look and the signal the worker may become somebody else."""
    story = Story("boot [ready]", capabilities=STOPPABLE)
    story.untold = WHY
    pause = ev.Commanded(Command("pause", "stream:1-1", story.now, id="a"))

    answered = answers(story.happen(pause if way == "bare" else ev.Delivered((pause,))))
    story.untold = ""
    again = said(story.play("resume#b"))

    assert [(a["verdict"], a.get("reason")) for a in answered][1:] == [("failed", WHY)]
    assert ev.Timer.FOLLOW not in story.armed
    assert again == ["resume accepted", "resume done"]


# ---- the end -------------------------------------------------------------------------------------


def test_an_end_that_is_refused_waits_and_says_for_whom() -> None:
    """At SIGTERM the document knows, at SIGKILL the sender; the end comes with the worker's."""
    story = Story("boot [ready] start [sees] end#a (stop)")

    first = story.play("[unreached SIGTERM]")
    stop = story.status.supervision.stopping.stop
    assert stop is not None
    assert (stop.stage, stop.next) == (EPERM, "SIGKILL")
    assert (story.status.worker.awaited, said(first)) == (AWAITED, [])
    assert [(e["trigger"], e["old"], e["reason"]) for e in events(first)] == [
        ("unreached", "ENDING", AWAITED)
    ]
    second = story.play("(kill) [unreached SIGKILL]")
    assert [(a["command"], a["verdict"], a["reason"]) for a in answers(second)] == [
        ("end", "failed", AWAITED)
    ]
    assert (events(second), story.state) == ([], "ENDING")
    stop = story.status.supervision.stopping.stop
    assert stop is not None
    assert stop.stage == EPERM
    assert story.status.memory().open == ()
    last = story.play("[exits 0] [gone]")
    assert (steps(last), only(last, ev.Leave)) == (["ENDING exited END"], [ev.Leave(0)])


def test_force_is_answered_each_time() -> None:
    """It tries again, and says again that it can't."""
    story = Story("boot [ready] end (stop) (kill) [unreached SIGKILL]")

    for _ in range(2):
        effects = story.play("force")
        assert only(effects, ev.StopWorker) == [ev.StopWorker(1, ev.Force.KILL)]
        assert said(effects + story.play("[unreached SIGKILL]")) == [
            "force accepted",
            "force failed",
        ]


@pytest.mark.parametrize("death", ["[hangs] (stop) (kill)", "[exits 1]"])
def test_a_dead_worker_whose_rest_can_not_be_killed_is_awaited(death: str) -> None:
    """BACKOFF lasts; an END meanwhile is told at once that it has to wait."""
    story = Story(f"boot [ready] start [sees] {death} [unreached SIGKILL]")
    assert (story.state, story.status.worker.awaited) == ("BACKOFF", AWAITED)

    assert steps(story.play("(backoff)")) == []
    ended = story.play("end")
    assert only(ended, ev.StopWorker) == [ev.StopWorker(1, ev.Force.KILL)]
    assert said(ended + story.play("[unreached SIGKILL]")) == ["end accepted", "end failed"]

    assert steps(story.play("[exits 1] [gone]")) == ["ENDING exited END"]
    assert not story.overlapped


def test_who_is_being_killed_needs_not_be_told() -> None:
    """A new worker is asked for while the old one, which nobody reaches, has still to end."""
    capabilities = Capabilities(frozenset({"INIT", "PAUSED", "RUNNING"}))
    story = unreached("boot [ready] [hangs]", "INIT", capabilities=capabilities)

    assert steps(story.play("reset")) == ["BACKOFF reset INIT"]


def test_what_is_told_of_the_dead_is_no_news() -> None:
    """It comes too late, or of a run that is over."""
    story = Story("boot [ready] start [sees] [exits 1] [gone]")

    assert story.play("[unreached SIGKILL]") == []
    assert story.status.supervision.stopping.stop is None


# ---- never two at once ---------------------------------------------------------------------------


def test_what_has_outlived_its_daemon_is_ended_before_another_one_begins() -> None:
    """In INIT, in the known stages; commands are kept until the new worker is ready."""
    story = Story(memory=Memory(run=3, goal="RUNNING"))

    effects = story.play("boot:7")
    assert only(effects, ev.StartWorker) == []
    assert only(effects, ev.StopWorker) == [ev.StopWorker(7, ev.Force.TERMINATE)]
    assert only(story.play("(kill)"), ev.StopWorker) == [ev.StopWorker(7, ev.Force.KILL)]
    story.play("[unreached SIGKILL]")
    assert (story.state, story.status.worker.awaited) == ("INIT", AWAITED)
    assert ev.Timer.READY not in story.armed
    assert said(story.play("pause#a")) == ["pause postponed"]

    effects = story.play("[gone]")
    assert [started.run for started in only(effects, ev.StartWorker)] == [8]
    assert (story.status.supervision.stopping.stop, story.status.supervision.restarts) == (None, 0)
    assert said(story.play("[ready] [sees]")) == ["pause done"]
    assert not story.overlapped


@pytest.mark.parametrize("kill", ["", "(kill) [unreached SIGKILL]"])
def test_an_end_while_a_survivor_is_awaited_starts_nothing(kill: str) -> None:
    """Whether or not it is known already that it can't be killed."""
    story = Story(f"boot:7 {kill}")

    effects = story.play("end")
    rest = "[unreached SIGKILL]" if kill else "(kill) [unreached SIGKILL]"
    effects += story.play(f"{rest} [gone]")

    assert said(effects) == ["end accepted", "end failed"]
    assert (story.state, only(story.effects, ev.StartWorker)) == ("END", [])
