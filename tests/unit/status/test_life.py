"""Tests of `statusd.core.status`: a whole life, step by step, and what is told of it."""

from __future__ import annotations

from statusd.core.events import (
    Arm,
    Event,
    Leave,
    Save,
    Say,
    Show,
    StartWorker,
    Timer,
)
from statusd.core.unit import Memory
from tests.unit.histories import WAYS, Story, events, number, only, said


def test_a_life_goes_from_init_to_end_by_words() -> None:
    """From INIT to END, each word accepted when it is obeyed and done when it was seen."""
    story = Story("boot [ready]")

    told = said(story.play("start [sees] pause [sees] resume [sees] stop [sees] end"))
    last = story.play("[exits 0] [gone]")

    assert told == [
        *("start accepted", "start done"),
        *("pause accepted", "pause done"),
        *("resume accepted", "resume done"),
        *("stop accepted", "stop done"),
        "end accepted",
    ]
    assert said(last) == ["end done"]
    assert only(last, Leave) == [Leave(0)]
    assert " ".join(story.states) == "INIT READY RUNNING PAUSED RUNNING READY ENDING END"


def test_boot_starts_the_first_worker() -> None:
    """In INIT, with a deadline for being ready; no transition, hence no event."""
    effects = Story().play("boot")

    assert effects == [StartWorker(1, number("INIT"), 0, {}), Arm(Timer.READY, 30.0), Save()]


def test_a_new_daemon_goes_on_counting_runs() -> None:
    """A run's number is never used twice, and the worker gets the args of the last time."""
    effects = Story(memory=Memory(run=7, args={"n": 3})).play("boot")

    assert only(effects, StartWorker) == [StartWorker(8, number("INIT"), 0, {"n": 3})]


def test_a_transition_is_shown_recorded_and_saved() -> None:
    """The worker hears of it first; then the world, and whoever asked for it."""
    effects = Story("boot [ready]").play("start")

    order = [type(effect).__name__ for effect in only(effects, Show, Event, Say, Arm)]
    assert order == ["Show", "Event", "Say", "Arm"]
    assert Save() in effects
    assert only(effects, Show) == [Show(1, number("RUNNING"), 2)]
    assert only(effects, Arm) == [Arm(Timer.FOLLOW, 600.0)]


def test_an_event_says_what_happened_and_who_made_it_happen() -> None:
    """With the sender's own id, name and args where there are some."""
    story = Story("boot [ready]")

    effects = story.send("RUNNING", id="01JD", by="ops@desk", args={"n": 3})

    assert events(effects) == [
        {
            "event": "7-2",
            "name": "counter",
            "boot": 7,
            "seq": 2,
            "run": 1,
            "old": "READY",
            "new": "RUNNING",
            "trigger": "start",
            "source": "redis:mychannel",
            "by": "ops@desk",
            "id": "01JD",
            "args": {"n": 3},
        }
    ]


def test_an_event_leaves_out_what_nobody_said() -> None:
    """A plain word has no id, no name and no args."""
    effects = Story("boot [ready]").play("start")

    assert set(events(effects)[0]) == {
        *("event", "name", "boot", "seq", "run", "old", "new", "trigger", "source")
    }


def test_events_are_a_chain() -> None:
    """Numbered without a gap, each begins where the last one ended, ids are boot and number."""
    story = Story(WAYS["FAILED"])

    story.play("reset [ready] start [sees] SIGTERM [exits 0] [gone]")

    chain = events(story.effects)
    assert [event["seq"] for event in chain] == list(range(1, len(chain) + 1))
    assert [event["event"] for event in chain] == [f"7-{event['seq']}" for event in chain]
    assert [event["old"] for event in chain] == [
        "INIT",
        *(event["new"] for event in chain[:-1]),
    ]
    assert chain[-1]["new"] == "END"


def test_the_first_event_names_the_last_one_of_the_last_boot() -> None:
    """So that a reader sees whether it missed something in between; the others needn't."""
    story = Story("boot [ready] start", memory=Memory(last_event="6-41"))

    assert [event.get("previous") for event in events(story.effects)] == ["6-41", None]
    assert story.status.memory().last_event == "7-2"


def test_the_first_boot_of_all_has_nothing_before_it() -> None:
    """No `previous` at all."""
    story = Story("boot [ready]")

    assert "previous" not in events(story.effects)[0]
