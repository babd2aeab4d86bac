"""Tests of `statusd.core.status`: what goes from daemon to daemon."""

from __future__ import annotations

import pytest

from statusd.core.events import (
    Save,
)
from statusd.core.messages import Command
from statusd.core.unit import Memory
from tests.unit.histories import WAYS, Story, answers, said


def test_commands_without_a_final_verdict_are_remembered() -> None:
    """By their ids; a plain word has nobody who waits."""
    for history, open_ids in [
        ("boot start#a", ["a"]),
        ("boot [ready] start#a", ["a"]),
        ("boot [ready] start#a [sees]", []),
        ("boot [ready] end#a", ["a"]),
        ("boot [ready] end#a force#b", ["a", "b"]),
        ("boot [ready] resume#a status#b xyzzy#c", []),
        ("boot [ready] start", []),
    ]:
        story = Story(history)

        assert [command.id for command in story.status.memory().open] == open_ids, history


def test_every_change_of_what_must_survive_is_saved() -> None:
    """Else the next daemon answers a command that was answered, or forgets one that wasn't."""
    turns = [
        ("boot", "start#a"),
        ("boot [ready]", "start#a"),
        ("boot [ready] start#a", "[sees]"),
        ("boot [ready] start#a", "(follow)"),
        ("boot [ready] start#a", "[exits 1]"),
        ("boot [ready] start#a", "[asks stop]"),
        ("boot [ready] end#a", "force#b"),
        ("boot [ready] end#a", "[gone]"),
        ("boot [exits 1] [gone] reset#a", "[ready]"),
        ("boot [ready] start [sees]", "[asks pause]"),
        ("boot [ready] start [sees]", "SIGTERM"),
        ("boot [ready] start [sees]", "[exits 1]"),
        (WAYS["BACKOFF"], "(backoff)"),
    ]
    unsaved = []

    for history, turn in turns:
        story = Story(history)
        memory = story.status.memory()
        effects = story.play(turn)
        assert story.status.memory() != memory, turn
        if Save() not in effects:
            unsaved.append((history, turn))

    assert unsaved == []


def test_what_the_last_daemon_left_open_is_answered() -> None:
    """Each command failed, for a restart is no obedience; asked again, the answer is the same."""
    left = Story("boot [ready] start#a").status.memory()
    story = Story(memory=left)

    effects = story.play("boot")
    again = story.play("start#a")

    assert said(effects) == ["start failed"]
    assert answers(effects)[0]["id"] == "a"
    assert answers(effects)[0]["reason"] == "the daemon was restarted"
    assert said(again) == ["start failed again"]
    assert story.status.memory().open == ()


def test_a_memory_is_the_same_on_the_other_side() -> None:
    """What one daemon leaves, the next one has: goal, args, run and last event."""
    story = Story("boot [ready]")
    story.send("start", args={"n": 3})
    story.play("[sees] SIGTERM [exits 0] [gone]")

    left = story.status.memory()
    taken_up = Story(memory=left).status.memory()

    assert taken_up == left
    assert left == Memory("RUNNING", {"n": 3}, 1, "7-4", ())


@pytest.mark.fault("J08")
def test_what_nobody_has_answered_yet_is_left_to_the_next() -> None:
    """Also by a daemon that never began: its name was taken, or it was killed before."""
    left = Memory(open=(Command("pause", "redis:c", 990.0, id="a"),))
    story = Story(memory=left)

    turned_back = story.status.memory()
    story.play("boot")

    assert turned_back.open == left.open
    assert story.status.memory().open == ()
