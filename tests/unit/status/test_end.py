"""Tests of `statusd.core.status`: the end."""

from __future__ import annotations

import pytest

from statusd.core.events import (
    Arm,
    Dropped,
    Event,
    Force,
    Gapped,
    LeaseLost,
    Leave,
    Note,
    Show,
    StartWorker,
    StopWorker,
    Timer,
)
from tests.unit.histories import WAYS, Story, answers, events, number, only, said, steps
from tests.unit.status.sets import CHANGES, UP

LIVING = (*UP, "BACKOFF", "FAILED")
"""The states that a unit can be ended in."""


@pytest.mark.parametrize("state", UP)
def test_end_waits_for_the_worker_to_be_gone(state: str) -> None:
    """It is told, it leaves, its group is gone: then END, and `end` is done."""
    story = Story(WAYS[state])

    told = story.play("end")
    left = story.play("[exits 0]")
    over = story.play("[gone]")

    assert steps(told) == [f"{state} end ENDING"]
    assert [show.number for show in only(told, Show)] == [number("ENDING")]
    assert Arm(Timer.STOP, 60.0) in told
    assert (said(told), said(left), said(over)) == (["end accepted"], [], ["end done"])
    assert left == []
    assert steps(over) == ["ENDING exited END"]
    assert only(over, Leave) == [Leave(0)]
    assert story.armed.keys().isdisjoint({Timer.STOP, Timer.KILL})
    assert story.goal == "END"


@pytest.mark.parametrize("state", ["BACKOFF", "FAILED"])
def test_end_is_done_at_once_where_nothing_lives(state: str) -> None:
    """No worker, no waiting."""
    story = Story(WAYS[state])

    effects = story.play("end#a")

    assert steps(effects) == [f"{state} end ENDING", "ENDING exited END"]
    assert said(effects) == ["end done"]
    assert only(effects, Leave) == [Leave(0)]
    assert story.status.memory().open == ()


@pytest.mark.parametrize("state", ["BACKOFF", "FAILED"])
def test_end_waits_for_what_is_left_of_a_dead_worker(state: str) -> None:
    """A grandchild may still hold a device: END would be a lie."""
    story = Story("boot [exits 1]", budget=5 if state == "BACKOFF" else 0)

    told = story.play("end")
    over = story.play("[gone]")

    assert (story.states[-3:-1], said(told)) == ([state, "ENDING"], ["end accepted"])
    assert (steps(over), said(over)) == (["ENDING exited END"], ["end done"])


def test_a_worker_that_ignores_end_is_terminated_then_killed() -> None:
    """Each in its time; END comes when nothing of it lives, not before."""
    story = Story("boot [ready] start [sees] end#a", stop_timeout_s=4.0, kill_timeout_s=1.5)

    asked = story.play("[sees] (stop)")
    forced = story.play("(kill)")
    died = story.play("[exits -9]")
    over = story.play("[gone]")

    assert asked == [StopWorker(1, Force.TERMINATE), Arm(Timer.KILL, 1.5)]
    assert forced == [StopWorker(1, Force.KILL)]
    assert died == []
    assert (steps(over), said(over)) == (["ENDING exited END"], ["end done"])
    assert events(over)[0]["reason"] == "SIGKILL after 5.5 s: exit code -9"
    assert only(over, Leave) == [Leave(0)]


def test_a_worker_that_dies_of_the_end_has_ended() -> None:
    """Whatever its exit code, nobody tries again."""
    story = Story("boot [ready] end")

    effects = story.play("[exits 1] [gone]")

    assert steps(effects) == ["ENDING exited END"]
    assert only(effects, StartWorker) == []


def test_force_kills_a_worker_that_is_ending() -> None:
    """`end` and `force` are both done when nothing of it lives."""
    story = Story("boot [ready] end#a")

    effects = story.play("force#b")
    over = story.play("[exits -9] [gone]")

    assert only(effects, Event, Show, StopWorker) == [StopWorker(1, Force.KILL)]
    assert said(effects) == ["force accepted"]
    assert said(over) == ["end done", "force done"]


def test_force_is_among_the_allowed_while_it_is() -> None:
    """In the list and in refusals; in ENDING alone, and not for a program that isn't ours."""
    story, attached = Story("boot [ready] start"), Story("boot [ready]", attached=True)
    before = story.status.allowed
    effects = story.play("end xyzzy start")
    attached.play("end")

    assert "force" not in before
    assert story.status.allowed == ("force",)
    assert [one["allowed"] for one in answers(effects)[-2:]] == [["force"], ["force"]]
    assert attached.status.allowed == ()


def test_force_needs_an_end_before_it() -> None:
    """Nothing has changed."""
    for state in (*LIVING, "END"):
        story = Story(WAYS[state])
        before = story.snapshot()

        effects = story.play("force")

        assert said(effects) == ["force refused"]
        assert only(effects, *CHANGES) == []
        assert story.snapshot() == before


def test_end_is_a_no_op_while_ending() -> None:
    """Everything else but `force` is refused there; nothing has changed."""
    story = Story("boot [ready] end")
    before = story.snapshot()

    effects = story.play("end END start reset PAUSED")

    assert said(effects) == [
        *("end noop", "END noop"),
        *("start refused", "reset refused", "PAUSED refused"),
    ]
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


@pytest.mark.fault("S16", "M13")
def test_nothing_leads_out_of_the_end() -> None:
    """Neither commands nor signals nor what is heard of the worker, early or late."""
    story = Story(WAYS["END"])
    before = story.snapshot()

    effects = story.play("start reset RUNNING end SIGTERM SIGINT boot")
    effects += story.play("[ready] [sees] [asks end] [exits 0] [exits 1] [gone] [not started]")

    assert only(effects, *CHANGES) == []
    assert (story.state, story.snapshot()) == ("END", before)


def test_a_signal_ends_the_unit_gracefully_from_every_state() -> None:
    """As `end` would, but the goal stays: the next daemon takes it up again."""
    for state in LIVING:
        for signal in ["SIGTERM", "SIGINT"]:
            story = Story(WAYS[state])
            goal = story.goal

            effects = story.play(signal)
            over = story.play("[exits 0] [gone]") if story.living else []

            assert steps(effects + over) == [f"{state} end ENDING", "ENDING exited END"]
            assert events(effects)[0]["source"] == f"signal:{signal}"
            assert only(effects, StopWorker) == []
            assert only(effects + over, Leave) == [Leave(0)]
            assert (story.goal, story.status.memory().goal) == (goal, goal)


def test_a_signal_before_the_boot_ends_the_unit_unborn() -> None:
    """No worker is started any more."""
    story = Story()

    effects = story.play("SIGTERM boot")

    assert steps(effects) == ["INIT end ENDING", "ENDING exited END"]
    assert only(effects, StartWorker) == []
    assert only(effects, Leave) == [Leave(0)]


def test_a_second_signal_kills() -> None:
    """Whoever presses Ctrl+C twice means it; it is logged, and no transition."""
    story = Story("boot [ready] SIGINT")
    before = story.snapshot()

    effects = story.play("SIGTERM")

    assert effects == [
        Note("worker.forced", {"source": "signal:SIGTERM"}),
        StopWorker(1, Force.KILL),
    ]
    assert story.snapshot() == before


def test_a_signal_after_a_commanded_end_shortens_it_and_the_next_one_kills() -> None:
    """Whoever sends signals has a limit of his own; the step still has that."""
    story = Story("boot [ready] end", stop_timeout_s=60, signal_stop_timeout_s=5)
    story.play("+10")

    hurried, killed = story.play("SIGTERM"), story.play("SIGINT")

    assert only(hurried, Arm, StopWorker) == [Arm(Timer.STOP, 5)]
    assert only(killed, StopWorker) == [StopWorker(1, Force.KILL)]


def test_a_signal_gives_no_more_time_than_there_was() -> None:
    """Of a step that has a second left."""
    story = Story("boot [ready] end", stop_timeout_s=60, signal_stop_timeout_s=5)

    assert only(story.play("+59 SIGTERM"), Arm) == [Arm(Timer.STOP, 1)]


@pytest.mark.parametrize(
    ("who", "wait_s"), [("end", 60), ("SIGTERM", 5), ("SIGHUP", 5), ("[asks end]", 60)]
)
def test_who_asks_for_the_end_says_how_long_a_step_may_take(who: str, wait_s: float) -> None:
    """People and the worker itself have time; a service manager kills who takes his."""
    story = Story("boot [ready] start [sees]", stop_timeout_s=60, signal_stop_timeout_s=5)

    assert Arm(Timer.STOP, wait_s) in story.play(who)


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ("end#a (stop) [exits -15] [gone]", "SIGTERM after 4 s in the middle of a step: exit"),
        ("end#a (stop) (kill) [exits -9] [gone]", "SIGKILL after 5.5 s in the middle of a step"),
        ("end#a [sees] (stop) [exits 0] [gone]", "SIGTERM after 4 s: exit code 0"),
    ],
)
def test_what_was_cut_off_stands_in_event_and_verdict(history: str, reason: str) -> None:
    """END is done all the same; whoever asked for it is told how."""
    story = Story("boot [ready] start [sees]", stop_timeout_s=4.0, kill_timeout_s=1.5)

    effects = story.play(history)

    assert events(effects)[-1]["reason"].startswith(reason)
    (*_, done) = answers(effects)
    assert (done["verdict"], done["reason"]) == ("done", events(effects)[-1]["reason"])
    assert only(effects, Leave) == [Leave(0)]


@pytest.mark.parametrize("history", ["[exits 0]", "[sees] [exits 3]"])
def test_who_leaves_in_time_was_not_cut_off(history: str) -> None:
    """The verdict has no reason to tell."""
    effects = Story("boot [ready] start [sees] end#a").play(f"{history} [gone]")

    (*_, done) = answers(effects)
    assert "reason" not in done


@pytest.mark.parametrize("state", LIVING)
def test_a_lease_that_is_lost_ends_the_unit_and_says_who_has_it(state: str) -> None:
    """Whatever it was doing; the goal stays what people wanted."""
    story = Story(WAYS[state])
    goal = story.goal

    first, *_ = events(story.happen(LeaseLost("the name is held by b")))

    assert (first["new"], first["source"]) == ("ENDING", "daemon")
    assert first["reason"] == "the name is held by b"
    assert story.goal == goal


def test_a_unit_that_ends_heeds_no_lost_lease() -> None:
    """Nor does one that has ended."""
    story = Story("boot [ready] end")

    assert story.happen(LeaseLost("b")) == []
    story.play("[exits 0] [gone]")
    assert story.happen(LeaseLost("b")) == []


@pytest.mark.parametrize("happened", [Dropped("9 lines"), Gapped("a", "b", "deaf")])
def test_nothing_is_recorded_behind_the_end(happened: Dropped | Gapped) -> None:
    """END is the last event; before it, each of these is one."""
    story = Story("boot [ready]")
    assert len(events(story.happen(happened))) == 1

    story.play("end [exits 0] [gone]")

    assert story.happen(happened) == []
