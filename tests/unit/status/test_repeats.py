"""Tests of `statusd.core.status`: the same command again."""

from __future__ import annotations

import pytest

from tests.unit.histories import Story, answers, only, said
from tests.unit.status.sets import CHANGES


@pytest.mark.fault("M11")
def test_the_same_id_again_is_answered_but_not_obeyed_again() -> None:
    """It gets the verdict that stands in the book, and the state stays."""
    story = Story("boot [ready]")

    first = said(story.play("start#a start#a"))
    second = said(story.play("[sees] start#a"))
    third = story.play("pause#b [sees] start#a")

    assert first == ["start accepted", "start accepted again"]
    assert second == ["start done", "start done again"]
    assert said(third) == ["pause accepted", "pause done", "start done again"]
    assert answers(third)[-1]["state"] == "RUNNING"
    assert answers(third)[-1]["seq"] == 2
    assert story.state == "PAUSED"


@pytest.mark.fault("M11")
def test_a_repeated_end_ends_once() -> None:
    """While the worker is leaving, and when all is over (M11)."""
    story = Story("boot [ready] end#a")

    again = story.play("end#a")
    over = story.play("[exits 0] [gone] end#a")

    assert (said(again), only(again, *CHANGES)) == (["end accepted again"], [])
    assert said(over) == ["end done", "end done again"]
    assert story.states.count("ENDING") == 1


def test_a_refused_id_stays_refused() -> None:
    """Also when the word would be allowed by now: the sender was told no."""
    story = Story("boot [ready] pause#a start [sees]")
    before = story.snapshot()

    effects = story.play("pause#a")

    assert said(effects) == ["pause refused again"]
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_the_recorded_verdict_speaks_of_the_recorded_word() -> None:
    """An id used twice with different words: the unit must not say that the second was done."""
    story = Story("boot [ready] start#a [sees]")

    effects = story.play("end#a")

    assert story.state == "RUNNING"
    assert said(effects) == ["start done again"]


def test_a_recorded_refusal_still_says_what_was_allowed() -> None:
    """The same id again gets the recorded verdict, whole."""
    story = Story("boot [ready]")

    (first,) = answers(story.play("resume#a"))
    (again,) = answers(story.play("resume#a"))

    assert again == first | {"repeat": True}


def test_a_plain_word_is_new_each_time() -> None:
    """It has no id to be known by."""
    story = Story("boot [ready] start [sees]")

    assert said(story.play("pause [sees] resume [sees] pause [sees]")) == [
        *("pause accepted", "pause done"),
        *("resume accepted", "resume done"),
        *("pause accepted", "pause done"),
    ]
