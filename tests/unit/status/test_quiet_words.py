"""Tests of `statusd.core.status`: quiet words."""

from __future__ import annotations

from statusd.core.events import (
    Commanded,
    Say,
)
from statusd.core.messages import Command
from tests.unit.histories import STATES, WAYS, Story
from tests.unit.status.sets import quiet
from tests.unit.test_words import WRITTEN


def test_a_quiet_word_is_one_that_changes_nothing() -> None:
    """What it would be answered is what it is answered in full; all others are not quiet."""
    for state in STATES:
        story = Story(WAYS[state])
        for word in sorted({word for _, word in WRITTEN}):
            command = Command(word, "redis:mychannel", story.now)
            before = story.snapshot()

            verdict = quiet(story.status, command)

            assert story.snapshot() == before
            meaning = WRITTEN[state, word]
            if verdict is None:
                assert meaning not in ("no",), word
            else:
                assert meaning in ("no", "same"), word
                assert story.happen(Commanded(command)) == [Say(verdict)]
                assert story.snapshot() == before


def test_a_no_op_that_sets_the_goal_is_not_quiet() -> None:
    """It changes something."""
    story = Story("boot [ready] start [sees] [asks pause] [sees]")

    assert quiet(story.status, Command("pause", "redis:c")) is None
    assert quiet(story.status, Command("PAUSED", "redis:c")) is None
    story.play("pause")
    assert quiet(story.status, Command("pause", "redis:c")) is not None
