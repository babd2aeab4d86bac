"""Tests of `statusd.core.answers`: the book of verdicts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statusd.core.answers import (
    REMEMBERED_IDS,
    Answer,
    Answers,
    Moment,
    Verdict,
    remembered_by_each,
)
from statusd.core.errors import BadMessage
from statusd.core.messages import Command, to_json
from statusd.core.unit import Identity

ME = Identity("counter", boot=7)


def command(word: str = "start", *, id: str = "a", reply_to: str = "") -> Command:
    """Return a command received at 10.0."""
    return Command(word, "redis:mychannel", 10.0, id=id, reply_to=reply_to)


def book() -> Answers:
    """Return an empty book of a unit that is RUNNING since event 4, at 10.5."""
    return Answers(ME, Moment("RUNNING", 4, 10.5))


def kinds(verdicts: list[Verdict]) -> list[tuple[str, str]]:
    """Return (word, verdict) of each."""
    return [(verdict.fields["command"], verdict.fields["verdict"]) for verdict in verdicts]


def test_a_verdict_says_who_answers_what_and_when() -> None:
    """The fields in the order of the wire, and the channel of the sender beside them."""
    verdict = book().make(command(reply_to="statusd:reply:1"), Answer.NOOP, "already RUNNING", x=1)

    assert list(verdict.fields.items()) == [
        ("verdict", "noop"),
        ("id", "a"),
        ("name", "counter"),
        ("boot", 7),
        ("seq", 4),
        ("command", "start"),
        ("source", "redis:mychannel"),
        ("state", "RUNNING"),
        ("reason", "already RUNNING"),
        ("x", 1),
        ("ms", 500.0),
    ]
    assert verdict.reply_to == "statusd:reply:1"


def test_a_verdict_on_a_plain_word_has_no_id_and_needs_no_reason() -> None:
    """What isn't there is left out."""
    verdict = book().make(command(id=""), Answer.DONE)

    assert {"id", "reason"}.isdisjoint(verdict.fields)


@pytest.mark.parametrize("answer", Answer)
def test_a_command_is_open_until_its_final_verdict(answer: Answer) -> None:
    """Accepted and postponed leave it open; each other one closes it."""
    answers = book()
    answers.make(command(), Answer.ACCEPTED)

    answers.make(command(), answer)

    assert ("a" in answers.open) is (not answer.is_final)


def test_a_plain_word_is_never_open() -> None:
    """Nobody could ask for it again."""
    answers = book()

    answers.make(command(id=""), Answer.ACCEPTED)

    assert answers.open == {}


def test_a_command_that_was_never_heard_has_no_verdict() -> None:
    """Nor has a plain word, however often it comes."""
    answers = book()
    answers.make(command(id=""), Answer.DONE)

    assert answers.again("a") is None
    assert answers.again("") is None


def test_a_command_heard_again_gets_what_was_written_down() -> None:
    """Whole, as it was; marked as a repeat, to the channel of now."""
    moment = Moment("READY", 3, 10.5)
    answers = Answers(ME, moment)
    first = answers.make(command(), Answer.REFUSED, "no", allowed=["start"])
    moment.state, moment.seq, moment.now = "RUNNING", 4, 12.0

    again = answers.again("a", "statusd:reply:2")

    assert again == Verdict({**first.fields, "repeat": True}, "statusd:reply:2")
    assert "repeat" not in first.fields


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("statusd:reply:1", "statusd:reply:1"),
        ("", ""),
        ("mychannel", ""),
        ("statusd:verdicts", ""),
        ("other:reply:1", ""),
    ],
)
def test_replies_stay_on_the_namespaces_own_reply_channels(asked: str, used: str) -> None:
    """Nobody makes a unit talk anywhere else, be it to a command, to junk, or a second time."""
    answers = book()
    error = BadMessage("no", b"{}", {"id": "b", "reply_to": asked})

    verdicts = [
        answers.make(command(reply_to=asked), Answer.DONE),
        answers.again("a", asked),
        answers.invalid(error, "redis:c", 10.0),
    ]

    assert [verdict.reply_to for verdict in verdicts if verdict] == 3 * [used]


def test_a_message_that_is_no_command_is_answered_with_what_could_be_read() -> None:
    """Its word and id if it had any, else its first forty bytes, escaped."""
    answers = book()

    known = answers.invalid(BadMessage("no", b"{}", {"id": "a", "command": "end"}), "redis:c", 10.0)
    junk = answers.invalid(BadMessage("no", b"\xff" + 100 * b"a"), "redis:c", 10.0)

    assert [known.fields[key] for key in ("verdict", "id", "command", "reason")] == [
        *("invalid", "a", "end", "no")
    ]
    assert "id" not in junk.fields
    assert junk.fields["command"] == "\\xff" + 39 * "a"


def test_the_newest_verdict_is_the_one_that_is_repeated() -> None:
    """Accepted, then done: done it is."""
    answers = book()
    answers.make(command(), Answer.ACCEPTED)
    answers.make(command(), Answer.DONE)

    again = answers.again("a")

    assert again is not None
    assert again.fields["verdict"] == "done"


def test_a_repeat_is_not_written_down() -> None:
    """An open command stays open, a closed one closed."""
    answers = book()
    answers.make(command(id="open"), Answer.ACCEPTED)
    answers.make(command(id="closed"), Answer.DONE)

    answers.again("open")
    answers.again("closed")

    assert set(answers.open) == {"open"}


def test_who_followed_is_told_together_and_once() -> None:
    """In the order in which they came."""
    answers = book()
    answers.following += [command("start", id="a"), command("pause", id="")]

    first = answers.close_following(Answer.FAILED, "time")
    second = answers.close_following(Answer.DONE)

    assert kinds(first) == [("start", "failed"), ("pause", "failed")]
    assert {verdict.fields["reason"] for verdict in first} == {"time"}
    assert second == []


def test_who_waited_for_the_end_is_told_together_and_once() -> None:
    """`end` and `force` are done."""
    answers = book()
    answers.ending += [command("end", id="a"), command("force", id="b")]

    first = answers.close_ending()
    second = answers.close_ending()

    assert kinds(first) == [("end", "done"), ("force", "done")]
    assert second == []


def test_a_displaced_command_is_answered_once() -> None:
    """Whatever takes its place answers for it."""
    answers = book()
    answers.make(command(), Answer.POSTPONED)
    answers.postponed = command()

    first = answers.displace(Answer.REFUSED, "superseded by pause")
    second = answers.displace(Answer.REFUSED, "superseded by stop")

    assert kinds(first) == [("start", "refused")]
    assert second == []
    assert answers.open == {}


def test_so_many_ids_are_remembered_and_no_more() -> None:
    """The oldest is forgotten first; one that was answered once more is young again."""
    answers = book()
    for n in range(REMEMBERED_IDS):
        answers.make(command(id=f"{n}"), Answer.ACCEPTED if n == 0 else Answer.DONE)
    answers.make(command(id="0"), Answer.DONE)

    answers.make(command(id="one more"), Answer.DONE)

    known = [n for n in range(REMEMBERED_IDS) if answers.again(f"{n}") is not None]
    assert known == [0, *range(2, REMEMBERED_IDS)]


def test_many_units_of_one_daemon_share_what_is_remembered() -> None:
    """Few remember as much as one alone, many an equal share, and each something."""
    shares = {units: remembered_by_each(units) for units in (0, 1, 4, 40, 1000)}

    assert shares == {0: 10_000, 1: 10_000, 4: 10_000, 40: 1000, 1000: 200}


def test_a_unit_remembers_its_share() -> None:
    """The newest, also when the share is made smaller."""
    answers = book()
    for n in range(5):
        answers.make(command(id=f"{n}"), Answer.DONE)

    answers.remembered = 2
    answers.make(command(id="5"), Answer.DONE)

    assert [n for n in range(6) if answers.again(f"{n}") is not None] == [4, 5]


@settings(deadline=None)
@given(st.sampled_from(Answer), *4 * [st.text(max_size=8)], st.floats(0, 1e6))
def test_a_text_is_that_of_its_fields(
    answer: Answer, word: str, source: str, id: str, reason: str, received: float
) -> None:
    """Made by a template, it is what `json` would have made, whatever stands in it."""
    moment = Moment("RUN%sNING", 4, received + 0.5)
    answers = Answers(Identity('100 % "counter"', boot=7), moment)
    asked = Command(word, source, received, id=id)

    plain = answers.make(asked, answer, reason)
    more = answers.make(asked, answer, reason, allowed=["start"])

    assert plain.text == to_json(json.loads(plain.text)) == to_json(plain.fields)
    assert more.text == to_json(more.fields)
    assert [*plain.fields.items(), ("allowed", ["start"])] == [
        *((key, value) for key, value in more.fields.items() if key not in ("allowed",)),
        ("allowed", ["start"]),
    ]
    assert (plain.kind, plain.id) == (more.kind, more.id) == (answer.value, id)
