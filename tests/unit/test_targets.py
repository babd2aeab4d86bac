"""Tests of `statusd.fleet.targets`: whom a command is for, and what is sent to them."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.core.errors import ConfigError
from statusd.core.lifecycle import BUILT_IN
from statusd.core.messages import EVERYBODY, Target
from statusd.core.vocabulary import BUILT_IN_WORDS
from statusd.core.words import compile_table
from statusd.fleet.response_collector import UnitInfo
from statusd.fleet.targets import Globs, hears, message_to, vocabulary


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


def unit(alive: bool = True, **document: Any) -> UnitInfo:
    """Return a unit with such a document; or one that has ended."""
    return UnitInfo("a", 1, not alive, "", document)


def test_a_word_is_known_if_some_units_lifecycle_has_it() -> None:
    """The document has those of an own one; else it is the built-in one."""
    own, built_in = unit(words=["open", "END"], ends_within_s=7.0), unit(ends_within_s=7.0)

    assert vocabulary([built_in]) == compile_table(BUILT_IN).vocabulary
    assert vocabulary([own]) == ("open", "END")
    assert set(vocabulary([own, built_in])) == {"open", *BUILT_IN_WORDS}
    assert vocabulary([own, unit(alive=False, words=["shut"])]) == ("open", "END")


@pytest.mark.parametrize(
    "stranger", [unit(state="RUNNING"), UnitInfo("a", 1, False, "", {}, "?", True)]
)
def test_what_an_older_daemon_knows_cant_be_told(stranger: UnitInfo) -> None:
    """Nor what one whose document can't be read does: then nothing is called unknown."""
    assert vocabulary([unit(ends_within_s=7.0), stranger]) == ()
    assert vocabulary([]) == ()


def test_a_document_may_have_anything_in_it() -> None:
    """Half a character, or a pattern that takes for ever."""
    assert not hears("scan:7", hearing("\ud800*", "*" * 100_000))
