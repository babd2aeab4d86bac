"""Tests of `statusd.fleet.targets`: whom a command is for, and what is sent to them."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.core.errors import ConfigError
from statusd.core.messages import EVERYBODY, Target
from statusd.fleet.response_collector import UnitInfo
from statusd.fleet.targets import Globs, hears, message_to


def made(word: str = "pause", expires: str = "", **target: Globs) -> tuple[dict[str, Any], Target]:
    """Return the message of a command that says nothing else."""
    return message_to("fleet:reply:1", word, args=None, by="me", expires=expires, **target)


def hearing(*channels: str) -> UnitInfo:
    """Return a unit that listens on these channels."""
    return UnitInfo("gpu", 1, False, "", {"channels": list(channels)})


def test_a_command_to_everybody_says_no_more_than_it_must() -> None:
    """A word, from whom, and where to the answer goes."""
    message, target = made(name=None, tag=None)

    assert len(message.pop("id")) == 32
    assert message == {"command": "pause", "by": "me", "reply_to": "fleet:reply:1"}
    assert target == EVERYBODY


def test_one_glob_is_a_list_of_one() -> None:
    """And some are what they are."""
    message, target = made(name="gpu-*", tag=("lab", "night"))

    assert message["target"] == {"name": ["gpu-*"], "tag": ["lab", "night"]}
    assert target == Target(name=("gpu-*",), tag=("lab", "night"))


@pytest.mark.parametrize("wrong", [{"word": "no word"}, {"expires": "soon"}, {"name": ()}])
def test_what_is_no_command_is_refused_before_it_is_sent(wrong: dict[str, Any]) -> None:
    """Its units would only say so."""
    with pytest.raises(ConfigError):
        made(**wrong)


def test_who_hears_a_channel_stands_in_the_document() -> None:
    """By its name, or a pattern that it fits."""
    assert hears("scan:7", hearing("other", "scan:7"))
    assert hears("scan:7", hearing("scan:?"))
    assert not hears("scan:71", hearing("scan:?", "scan:7"))
    assert not hears("scan:7", hearing())


def test_a_document_may_have_anything_in_it() -> None:
    """Half a character, or a pattern that takes for ever."""
    assert not hears("scan:7", hearing("\ud800*", "*" * 100_000))
