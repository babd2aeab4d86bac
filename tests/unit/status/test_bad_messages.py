"""Tests of `statusd.core.status`: messages that are no commands."""

from __future__ import annotations

from statusd.core.errors import BadMessage
from statusd.core.events import (
    InvalidMessage,
    Say,
)
from statusd.core.messages import to_json
from tests.unit.histories import Story, answers, only, said
from tests.unit.status.sets import CHANGES


def test_a_bad_message_with_an_id_is_answered_singly() -> None:
    """With as much of it as could be read; nothing has changed."""
    story = Story("boot [ready]")
    before = story.snapshot()
    error = BadMessage(
        'unknown key "wort"', b"{}", {"id": "a", "command": "end", "reply_to": "statusd:reply:1"}
    )

    effects = story.happen(InvalidMessage(error, "redis:mychannel", story.now))

    assert said(effects) == ["end invalid"]
    assert answers(effects)[0]["id"] == "a"
    assert answers(effects)[0]["reason"] == 'unknown key "wort"'
    assert only(effects, Say)[0].verdict.reply_to == "statusd:reply:1"
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_a_bad_message_cannot_choose_a_foreign_reply_channel() -> None:
    """It is answered on the namespace's channel only."""
    error = BadMessage("no", b"{}", {"id": "a", "reply_to": "mychannel"})

    effects = Story("boot").happen(InvalidMessage(error, "redis:mychannel"))

    assert [say.verdict.reply_to for say in only(effects, Say)] == [""]


def test_a_bad_message_is_shown_safely() -> None:
    """Forty bytes of it at most; as JSON it is one line of printable ASCII."""
    error = BadMessage("no", b"\x1b[2J\xff\n" + 100 * b"a")

    verdict = Story("boot").status.commands.invalid(error, "redis:c", 0.0)

    assert verdict.fields["command"] == "\x1b[2J\\xff\n" + 34 * "a"
    assert to_json(verdict.fields).isprintable()
    assert to_json(verdict.fields).isascii()


def test_a_bad_message_cannot_close_somebody_elses_command() -> None:
    """Its id is in use: a command gets one final verdict, and stays open until then."""
    story = Story("boot [ready] start#a")
    error = BadMessage("no", b"{}", {"id": "a", "command": "start"})

    story.happen(InvalidMessage(error, "redis:mychannel", story.now))

    assert [command.id for command in story.status.memory().open] == ["a"]
    story.play("[sees]")
    final = [
        answer
        for answer in answers(story.effects)
        if answer.get("id") == "a" and answer["verdict"] != "accepted" and "repeat" not in answer
    ]
    assert [answer["verdict"] for answer in final] == ["done"]
