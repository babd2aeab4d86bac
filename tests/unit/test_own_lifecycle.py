"""Tests of `statusd.core.status` with lifecycles of users: deadlines, conditions, detours."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from statusd.core import events as ev
from statusd.core.capabilities import Capabilities
from statusd.core.conditions import Request
from statusd.core.lifecycle import Lifecycle
from statusd.core.unit import Memory
from statusd.core.words import DecisionKind, compile_table
from statusd.lifecycles.definition import define
from tests.unit.histories import Story, answers, events, only, said, steps

READY_MADE = {
    file.stem: tomllib.loads(file.read_text(encoding="utf-8"))["lifecycle"]
    for file in sorted(Path("config/lifecycles").glob("*.toml"))
}


def no_functions(name: str) -> object:
    """Find nothing: none of these lifecycles has a condition by name."""
    raise ValueError(name)


def made(name: str) -> Lifecycle:
    """Return one of the ready-made lifecycles."""
    return define(READY_MADE[name]["states"], READY_MADE[name]["transitions"], no_functions)


def has_exposure(request: Request) -> bool:
    """say how long to expose

    Only the line above is for the sender.
    """
    return float(request.args.get("exposure_s", 0)) > 0  # type: ignore[arg-type]  # a text may come


def busy(request: Request) -> bool:  # a condition without a docstring
    return request.by == "night shift"


INSTRUMENT = made("instrument")
SMALLEST = made("smallest")
CAMERA = define(
    [
        "INIT",
        "IDLE",
        {"name": "COOLING", "kind": "acting", "timeout_s": 30, "on_timeout": "give_up"},
        "COLD",
        {"name": "EXPOSING", "worker": "works", "restore": ["cool", "expose"]},
        {"name": "FAULT", "kind": "fault"},
        "END",
    ],
    [
        {"trigger": "ready", "source": "INIT", "dest": "IDLE"},
        {"trigger": "cool", "source": "IDLE", "dest": "COOLING"},
        {"trigger": "cooled", "source": "COOLING", "dest": "COLD", "who": "worker"},
        {"trigger": "give_up", "source": "COOLING", "dest": "IDLE"},
        {
            "trigger": "expose",
            "source": "COLD",
            "dest": "EXPOSING",
            "conditions": has_exposure,
            "unless": busy,
        },
        {"trigger": "stop", "source": "EXPOSING", "dest": "COLD"},
        {"trigger": "burn", "source": "*", "dest": "FAULT", "who": "worker"},
        {"trigger": "clear", "source": "FAULT", "dest": "IDLE"},
        {"trigger": "end", "source": "*", "dest": "END"},
    ],
    no_functions,
)
EXPOSED = Memory(goal="EXPOSING", args={"exposure_s": 2})

# ---- the ready-made ones ------------------------------------------------------------------------


def test_the_smallest_runs_from_its_start_until_it_is_ended() -> None:
    """INIT, RUNNING, END, and ENDING while the worker leaves."""
    story = Story("boot [ready] [sees] end [exits 0] [gone]", lifecycle=SMALLEST)

    assert story.states == ["INIT", "RUNNING", "ENDING", "END"]
    assert only(story.effects, ev.Leave) == [ev.Leave(0)]


def test_nobody_pauses_the_smallest() -> None:
    """A word of another lifecycle is no word here."""
    story = Story("boot [ready] [sees]", lifecycle=SMALLEST)

    assert said(story.play("pause RUNNING start")) == [
        "pause invalid",
        "RUNNING noop",
        "start invalid",
    ]


ACQUIRING = "boot [ready] configure [sees] acquire [sees]"


def test_the_instrument_is_configured_before_it_acquires() -> None:
    """`acquire` out of IDLE is refused, and everything else leads along the table."""
    story = Story("boot [ready]", lifecycle=INSTRUMENT)

    told = said(story.play("acquire configure [sees] acquire [sees] pause [sees] abort [sees]"))

    assert told[0] == "acquire refused"
    assert [word for word in told[1:] if word.endswith(("refused", "invalid", "failed"))] == []
    assert story.states == ["INIT", "IDLE", "CONFIGURED", "ACQUIRING", "PAUSED", "CONFIGURED"]


# What anyone may say in each state of the instrument, written by hand.
SAYS = {
    "INIT": "end",
    "IDLE": "configure end",
    "CONFIGURED": "acquire end release",
    "ACQUIRING": "abort end pause",
    "PAUSED": "abort end resume",
    "FAULT": "clear end",
    "BACKOFF": "end reset",
    "FAILED": "end reset",
    "ENDING": "",
    "END": "",
}


def test_what_anyone_may_say_to_the_instrument() -> None:
    """By hand, state for state; `fault` is the worker's, the deadlines' triggers are anyone's."""
    table = compile_table(INSTRUMENT)

    assert {
        state.name: " ".join(sorted(triggers)) for state, triggers in table.allowed.items()
    } == SAYS


def test_a_fault_is_reached_by_the_worker_and_left_by_anyone() -> None:
    """It is nobody's goal: the goal stays what somebody asked for."""
    story = Story(ACQUIRING, lifecycle=INSTRUMENT)

    by_worker = story.play("[asks fault] [sees]")

    assert steps(by_worker) == ["ACQUIRING fault FAULT"]
    assert story.goal == "ACQUIRING"
    assert said(story.play("FAULT fault clear [sees]")) == [
        "FAULT noop",
        "fault noop",
        "clear accepted",
        "clear done",
    ]
    assert story.goal == "IDLE"


# ---- deadlines ----------------------------------------------------------------------------------


def test_a_state_whose_time_is_over_fires_its_trigger() -> None:
    """PAUSED lasts 600 s, then `abort`: by the daemon, with the reason in the event."""
    story = Story(f"{ACQUIRING} pause", lifecycle=INSTRUMENT)
    paused_at = story.now

    effects = story.play("(state)")

    assert story.now == paused_at + 600
    assert steps(effects) == ["PAUSED abort CONFIGURED"]
    assert events(effects)[0]["source"] == "daemon"
    assert events(effects)[0]["reason"] == "PAUSED lasted 600 s"
    assert story.armed[ev.Timer.STATE] == story.now + 3600  # CONFIGURED has a deadline of its own


def test_leaving_a_state_cancels_its_deadline() -> None:
    """Coming back starts it anew."""
    story = Story(f"{ACQUIRING} pause [sees] +500 resume", lifecycle=INSTRUMENT)
    assert ev.Timer.STATE not in story.armed

    story.play("[sees] pause")

    assert story.armed[ev.Timer.STATE] == story.now + 600


@pytest.mark.parametrize("way_out", ["end", "[exits 1]", "SIGTERM", "[asks fault]"])
def test_every_way_out_cancels_the_deadline(way_out: str) -> None:
    """Also those that no user's table names: a signal, the worker's death."""
    story = Story(f"{ACQUIRING} pause", lifecycle=INSTRUMENT)

    story.play(way_out)

    assert ev.Timer.STATE not in story.armed


def test_an_outdated_deadline_is_nothing() -> None:
    """It was on its way when the state was left."""
    story = Story(f"{ACQUIRING} pause resume", lifecycle=INSTRUMENT)

    assert story.happen(ev.Passed(ev.Timer.STATE)) == []


def test_a_deadline_does_not_change_the_goal() -> None:
    """Only a command does: the next worker is asked for what somebody wanted."""
    story = Story(f"{ACQUIRING} pause [sees] (state)", lifecycle=INSTRUMENT)

    assert story.goal == "PAUSED"


# ---- acting states ------------------------------------------------------------------------------


def test_a_word_that_leads_through_an_acting_state_is_done_at_its_end() -> None:
    """`cool` is done when the worker was seen COLD, not while it is COOLING."""
    story = Story("boot [ready]", lifecycle=CAMERA)

    assert said(story.play("cool#a [sees]")) == ["cool accepted"]
    assert story.goal == "COLD"
    assert said(story.play("[asks cooled]")) == []
    assert said(story.play("[sees]")) == ["cool done"]


def test_an_acting_state_that_takes_too_long_fails_the_word() -> None:
    """Back in IDLE; the sender reads why."""
    story = Story("boot [ready] cool#a [sees]", lifecycle=CAMERA)

    effects = story.play("(state)")

    assert steps(effects) == ["COOLING give_up IDLE"]
    assert said(effects) == ["cool failed"]
    assert answers(effects)[0]["reason"] == "superseded by give_up: COOLING lasted 30 s"


def test_a_fault_on_the_way_fails_the_word() -> None:
    """With the worker's reason."""
    story = Story("boot [ready] cool#a [sees]", lifecycle=CAMERA)

    effects = story.play("[asks burn]")

    assert answers(effects)[0]["verdict"] == "failed"
    assert answers(effects)[0]["reason"] == "superseded by burn: its own idea"


def test_a_newer_word_takes_the_place_of_one_under_way() -> None:
    """`give_up` while COOLING: the first is failed, the second done."""
    story = Story("boot [ready] cool#a [sees]", lifecycle=CAMERA)

    assert said(story.play("give_up#b [sees]")) == [
        "cool failed",
        "give_up accepted",
        "give_up done",
    ]


def test_leaving_with_0_in_an_acting_state_is_a_crash() -> None:
    """The work was not finished: it hadn't begun."""
    story = Story("boot [ready] cool [sees] [exits 0]", lifecycle=CAMERA)

    assert story.state == "BACKOFF"


def test_leaving_with_0_at_work_is_finished() -> None:
    """Whatever the working state is called."""
    story = Story("boot [ready] cool [sees] [asks cooled] [sees]", lifecycle=CAMERA)
    story.send("expose", args={"exposure_s": 1})

    story.play("[sees] [exits 0] [gone]")

    assert story.states[-2:] == ["ENDING", "END"]


# ---- conditions ---------------------------------------------------------------------------------


def cold() -> Story:
    """Return a story that has come to COLD."""
    return Story("boot [ready] cool [sees] [asks cooled] [sees]", lifecycle=CAMERA)


@pytest.mark.fault("S01")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "has_exposure: say how long to expose"),
        ({"args": {"exposure_s": "0"}}, "has_exposure: say how long to expose"),
        (
            {"args": {"exposure_s": "long"}},
            "the condition has_exposure failed: ValueError: could not convert string to float:"
            " 'long'",
        ),
        (
            {"args": {"exposure_s": 1}, "by": "night shift"},
            "the condition unless busy isn't met",
        ),
    ],
)
def test_a_condition_refuses_and_nothing_has_changed(fields: dict[str, Any], reason: str) -> None:
    """The reason is the first line of its docstring; one that raises refuses."""
    story = cold()
    before = story.snapshot()

    effects = story.send("expose", **fields)

    assert [(a["verdict"], a["reason"]) for a in answers(effects)] == [("refused", reason)]
    assert story.snapshot() == before
    assert said(story.send("expose", args={"exposure_s": 1})) == ["expose accepted"]


@pytest.mark.fault("S15")
def test_a_condition_is_asked_once() -> None:
    """When its trigger is to be fired; not to find out what is allowed, and by no other word."""
    asked: list[str] = []

    def counts(request: Request) -> bool:
        asked.append(request.by)
        return True

    steady = [{"name": "WORK", "worker": "works"}, "REST"]
    ways: list[dict[str, Any]] = [
        {"trigger": "ready", "source": "INIT", "dest": "REST"},
        {"trigger": "go", "source": "REST", "dest": "WORK", "conditions": counts},
        {"trigger": "rest", "source": "WORK", "dest": "REST"},
        {"trigger": "end", "source": "*", "dest": "END"},
    ]
    story = Story("boot [ready] [sees]", lifecycle=define(["INIT", *steady, "END"], ways, print))

    story.play("rest status ping nonsense")
    assert asked == []
    story.send("go", by="me")

    assert asked == ["me"]
    assert story.state == "WORK"


def test_a_condition_knows_the_args_that_the_worker_has() -> None:
    """They are kept with the goal: a second `expose` needs no new ones."""
    story = cold()
    story.send("expose", args={"exposure_s": 1})

    assert said(story.play("[sees] stop [sees] expose [sees]"))[-2:] == [
        "expose accepted",
        "expose done",
    ]


def test_a_state_s_name_is_judged_like_the_trigger() -> None:
    """Nobody gets around a condition by another word."""
    story = cold()

    assert said(story.play("EXPOSING")) == ["EXPOSING refused"]


# ---- coming back --------------------------------------------------------------------------------


def test_the_goal_comes_back_in_two_steps() -> None:
    """COOLING, the worker's own `cooled`, then EXPOSING with the args of the last time."""
    story = Story("boot [ready] [sees] [asks cooled] [sees]", lifecycle=CAMERA, memory=EXPOSED)

    assert story.states == ["INIT", "IDLE", "COOLING", "COLD", "EXPOSING"]
    assert only(story.effects, ev.StartWorker)[0].args == {"exposure_s": 2}
    assert {event["source"] for event in events(story.effects)} == {"worker", "daemon"}


def test_each_step_waits_for_the_worker() -> None:
    """The second is not taken before the first was seen."""
    memory = Memory(goal="ACQUIRING")
    story = Story("boot [ready]", lifecycle=INSTRUMENT, memory=memory)
    assert story.state == "CONFIGURED"

    story.play("[sees]")

    assert story.state == "ACQUIRING"


@pytest.mark.parametrize(
    ("word", "last"), [("release", "IDLE"), ("end", "ENDING"), ("SIGTERM", "ENDING")]
)
def test_a_word_on_the_way_is_the_last_one_heard(word: str, last: str) -> None:
    """Somebody decides otherwise between two steps: the rest of the way is dropped."""
    story = Story("boot [ready]", lifecycle=INSTRUMENT, memory=Memory(goal="ACQUIRING"))

    story.play(f"{word} [sees]")

    assert story.state == last


def test_a_crash_on_the_way_begins_the_way_anew() -> None:
    """The next worker is led along all of it."""
    story = Story("boot [ready] [exits 1] [gone] (backoff)", lifecycle=CAMERA, memory=EXPOSED)

    story.play("[ready] [sees] [asks cooled] [sees]")

    assert story.state == "EXPOSING"


def test_a_goal_that_the_lifecycle_no_longer_has_is_dropped_and_told() -> None:
    """The settings were changed between two boots."""
    story = Story("boot [ready]", lifecycle=SMALLEST, memory=Memory(goal="PAUSED"))

    assert story.state == "RUNNING"
    dropped = {"goal": "PAUSED", "new": "RUNNING"}
    assert ev.Note("goal.dropped", dropped) in only(story.effects, ev.Note)


# ---- programs that can't be told everything -----------------------------------------------------

DUMB = Capabilities(frozenset())
PAUSABLE = Capabilities(frozenset({"PAUSED", "RUNNING"}))
READING = Capabilities(frozenset(), lines=True)


def test_a_program_goes_on_to_its_work() -> None:
    """It works from its start, and can't be told to wait in READY."""
    story = Story("boot [ready]", capabilities=PAUSABLE)

    assert story.states == ["INIT", "READY", "RUNNING"]


@pytest.mark.parametrize(
    ("capabilities", "word", "reason"),
    [
        (
            DUMB,
            "pause",
            'this program can\'t be told PAUSED: worker.signals.PAUSED = "SIG..." or'
            ' worker.input = "states" would allow it',
        ),
        (
            PAUSABLE,
            "stop",
            'this program can\'t be told READY: worker.signals.READY = "SIG..." or'
            ' worker.input = "states" would allow it',
        ),
    ],
)
def test_what_it_cannot_be_told_is_refused_with_the_cure(
    capabilities: Capabilities, word: str, reason: str
) -> None:
    """By the setting that would allow it; and nothing has changed."""
    story = Story("boot [ready]", capabilities=capabilities)
    before = story.snapshot()

    effects = story.play(word)

    assert [(a["verdict"], a["reason"]) for a in answers(effects)] == [("refused", reason)]
    assert story.snapshot() == before


def test_end_can_always_be_told() -> None:
    """It is SIGTERM, if nothing else is named."""
    for capabilities in (DUMB, PAUSABLE, READING):
        story = Story("boot [ready]", capabilities=capabilities)
        assert said(story.play("end [exits 0] [gone]")) == ["end accepted", "end done"]


def test_done_says_that_nobody_was_seen() -> None:
    """A program can't acknowledge."""
    story = Story("boot [ready]", capabilities=PAUSABLE)

    final = answers(story.play("pause#a"))[-1]

    assert (final["verdict"], final["observed"]) == ("done", False)


@pytest.mark.parametrize("history", ["boot", "boot [ready]"])
def test_args_are_refused_where_they_would_be_lost(history: str) -> None:
    """A program without `input = "states"` can't be told them once it runs."""
    story = Story(history, capabilities=PAUSABLE)
    before = story.snapshot()

    refused = answers(story.send("pause", args={"n": 1}))
    by_lines = Story("boot [ready]", capabilities=READING).send("start", args={"n": 1})

    assert refused[-1]["reason"].startswith("args don't reach this program while it runs")
    assert story.snapshot() == before
    assert only(by_lines, ev.Show)[0].args == {"n": 1}


def test_a_program_without_ears_obeys_end_alone() -> None:
    """Of all words, what a program that knows nothing obeys is END, and who it is."""
    table = compile_table(INSTRUMENT, DUMB)
    decisions = table.decisions[INSTRUMENT.states["ACQUIRING"]]

    fired = {word for word, decision in decisions.items() if decision.kind is DecisionKind.FIRE}

    assert fired == {"end", "ending"}
