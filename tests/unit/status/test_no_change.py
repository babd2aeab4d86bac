"""Tests of `statusd.core.status`: what changes nothing, and why it doesn't."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.core.events import (
    Say,
)
from statusd.core.messages import Target
from tests.unit.histories import STATES, WAYS, Story, answers, events, only, said
from tests.unit.status.sets import CHANGES
from tests.unit.test_words import WRITTEN


@pytest.mark.parametrize("state", STATES)
def test_every_word_does_in_every_state_what_the_table_says(state: str) -> None:
    """The hand-written table, through the whole status; what is refused changes nothing."""
    for (where, word), meaning in WRITTEN.items():
        if where != state:
            continue
        story = Story(WAYS[state])
        before, goal = story.snapshot(), story.goal

        effects = story.send(word, id="x")

        verdict = answers(effects)[-1]["verdict"]
        expected = {"later": "postponed", "same": "noop", "no": "refused", "ask": "done"}
        expected |= {"-": "invalid", "kill": "accepted"}
        fired = [event["trigger"] for event in events(effects)]
        if meaning in expected:
            assert (word, verdict, fired) == (word, expected[meaning], [])
        else:
            assert (word, fired[0]) == (word, meaning)
            assert verdict == ("done" if story.state == "END" else "accepted")
        if meaning in ("no", "ask", "-"):
            assert only(effects, *CHANGES) == []
            assert (story.snapshot(), story.goal) == (before, goal)


def test_a_refusal_says_why_and_what_would_be_allowed() -> None:
    """The very example of the design; nothing has changed."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.send("resume", id="01JD", received=999.9996)

    assert effects == [Say(only(effects, Say)[0].verdict)]
    assert answers(effects) == [
        {
            "verdict": "refused",
            "id": "01JD",
            "name": "counter",
            "boot": 7,
            "seq": 1,
            "command": "resume",
            "source": "redis:mychannel",
            "state": "READY",
            "reason": "resume is not allowed in READY: it is for PAUSED, here it is start",
            "allowed": ["start", "end"],
            "ms": 0.4,
        }
    ]
    assert story.snapshot() == before


@pytest.mark.fault("S11")
def test_an_unknown_word_is_invalid_and_the_nearest_known_one_is_named() -> None:
    """Nothing has changed."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.play("strat")

    assert said(effects) == ["strat invalid"]
    assert answers(effects)[0]["did_you_mean"] == "start"
    assert answers(effects)[0]["allowed"] == ["start", "end"]
    assert story.snapshot() == before


@pytest.mark.fault("J16")
def test_the_opposite_of_a_word_is_not_suggested() -> None:
    """What leads back is, under the name that the lifecycle has for it (J16)."""
    assert answers(Story("boot [ready]").play("unpause"))[0]["did_you_mean"] == "resume"
    assert answers(Story("boot [ready]").play("quit"))[0]["did_you_mean"] == "end"
    assert "did_you_mean" not in answers(Story("boot [ready]").play("unstart"))[0]


def test_a_word_like_no_other_has_no_nearest() -> None:
    """A wild guess helps nobody."""
    assert "did_you_mean" not in answers(Story("boot").play("xyzzy"))[0]


def test_a_command_for_somebody_else_is_met_with_silence() -> None:
    """By name, tag or state; whatever else is wrong with it is none of our business."""
    story = Story("boot [ready]")
    before = story.snapshot()
    others = [
        Target(name=("gpu-*",)),
        Target(tag=("camera",)),
        Target(state=("RUNNING", "PAUSED")),
        Target(name=("counter",), tag=("demo",), state=("INIT",)),
    ]

    effects = [
        effect
        for n, target in enumerate(others)
        for word in ("start", "resume", "xyzzy", "status")
        for effect in story.send(
            word, id=f"{word}{n}", target=target, reply_to="elsewhere", boot=1, expired=True
        )
    ]

    assert effects == []
    assert story.snapshot() == before


def test_a_command_for_us_among_others_is_obeyed() -> None:
    """One pattern, one tag, one state has to fit, of each kind that is asked for."""
    for target in [
        Target(name=("gpu-*", "count*")),
        Target(tag=("camera", "gpu")),
        Target(state=("READY",)),
        Target(name=("counter",), tag=("demo",), state=("READY",)),
    ]:
        effects = Story("boot [ready]").send("start", target=target)

        assert said(effects) == ["start accepted"], target


def test_a_silence_leaves_no_trace() -> None:
    """The same id may come again for us, and is new then."""
    story = Story("boot [ready]")
    story.send("start", id="a", target=Target(state=("RUNNING",)))

    assert said(story.send("start", id="a", target=Target(state=("READY",)))) == ["start accepted"]


@pytest.mark.fault("M12")
@pytest.mark.parametrize(
    ("fence", "reason"),
    [
        ({"boot": 6}, "it is for boot 6, and this is boot 7"),
        ({"run": 1}, "it is for run 1, and this is run 2"),
        ({"boot": 7, "run": 1}, "it is for run 1, and this is run 2"),
    ],
)
def test_a_command_for_the_past_is_refused(fence: dict[str, Any], reason: str) -> None:
    """An END that was meant for the last run must not end this one (M12)."""
    story = Story("boot [exits 1] [gone] (backoff) [ready]")
    before = story.snapshot()

    effects = story.send("end", **fence)

    assert said(effects) == ["end refused"]
    assert answers(effects)[0]["reason"] == reason
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_a_command_for_this_very_run_is_obeyed() -> None:
    """Boot and run are ours."""
    story = Story("boot [exits 1] [gone] (backoff) [ready]")

    assert said(story.send("end", boot=7, run=2)) == ["end accepted"]


def test_a_reply_can_be_had_on_the_namespaces_reply_channels_alone() -> None:
    """Any other is invalid; nothing has changed."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.send("start", id="a", reply_to="mychannel")

    assert said(effects) == ["start invalid"]
    assert answers(effects)[0]["reason"] == '"reply_to" must begin with statusd:reply:'
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_nothing_is_ever_sent_to_a_foreign_reply_channel() -> None:
    """Not the complaint about it, nor the same complaint a second time."""
    story = Story("boot [ready]")

    first = story.send("start", id="a", reply_to="mychannel")
    second = story.send("start", id="a", reply_to="mychannel")
    repeated = story.send("resume", id="b") + story.send("resume", id="b", reply_to="mychannel")

    channels = {say.verdict.reply_to for say in only(first + second + repeated, Say)}
    assert channels == {""}


def test_every_verdict_of_a_command_goes_to_its_reply_channel() -> None:
    """The first and the last."""
    story = Story("boot [ready]")

    effects = story.send("start", reply_to="statusd:reply:7f3a") + story.play("[sees]")

    assert [say.verdict.reply_to for say in only(effects, Say)] == 2 * ["statusd:reply:7f3a"]


def test_an_expired_command_is_not_obeyed() -> None:
    """Nothing has changed, the goal neither."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.send("start", expires="2026-11-23T12:00:00Z", expired=True)

    assert said(effects) == ["start expired"]
    assert answers(effects)[0]["reason"] == "it was good until 2026-11-23T12:00:00Z"
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_a_command_that_will_expire_is_obeyed() -> None:
    """`expires` is no matter of the status but for the text."""
    story = Story("boot [ready]")

    assert said(story.send("start", expires="2026-11-23T12:00:00Z")) == ["start accepted"]


def test_a_question_is_answered_in_every_state() -> None:
    """`status` with the status document; neither changes anything."""
    for state in STATES:
        for word, document in [("status", True), ("ping", False)]:
            story = Story(WAYS[state])
            before = story.snapshot()

            effects = story.play(word)

            assert said(effects) == [f"{word} done"]
            assert [(type(effect), getattr(effect, "document", None)) for effect in effects] == [
                (Say, document)
            ]
            assert answers(effects)[0]["state"] == state
            assert story.snapshot() == before


def test_a_no_op_tells_whether_the_worker_was_seen_there() -> None:
    """`observed` is false as long as it is on its way."""
    story = Story("boot [ready] start [sees] pause")

    on_its_way = answers(story.play("pause"))
    arrived = answers(story.play("[sees] pause"))

    assert [(answer.get("observed"), answer["reason"]) for answer in on_its_way] == [
        (False, "already PAUSED, not seen yet")
    ]
    assert [(answer["verdict"], answer.get("observed")) for answer in arrived] == [
        ("done", None),
        ("noop", None),
    ]
