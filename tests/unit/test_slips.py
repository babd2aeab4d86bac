"""Tests of `statusd.cli.slips`: what was meant by a verb that there is none of."""

from __future__ import annotations

from pathlib import Path

import pytest

from statusd.cli import VERBS
from statusd.cli.slips import ELSEWHERE, suggestion
from statusd.core.lifecycle import BUILT_IN
from statusd.core.vocabulary import BUILT_IN_WORDS, EVERYBODYS
from statusd.core.words import compile_table


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, of a user without any."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_the_words_are_those_of_the_built_in_lifecycle() -> None:
    """All of them, and no other."""
    assert compile_table(BUILT_IN).vocabulary == BUILT_IN_WORDS


@pytest.mark.parametrize("word", sorted({*EVERYBODYS, "PAUSED", "End"} - {*VERBS}))
def test_a_word_is_sent(word: str) -> None:
    """Each word of the built-in lifecycle, and each management word, in either case."""
    assert suggestion(word, VERBS) == f", did you mean `statusd send {word}`?"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("puase", "`statusd send pause`"),
        ("kill", "`statusd send end`"),
        ("statsu", "status"),
        ("chekc", "check"),
        *ELSEWHERE.items(),
    ],
)
def test_what_is_called_otherwise_is_named(typed: str, told: str) -> None:
    """A slip of a verb or of a word; what other programs call it."""
    assert suggestion(typed, VERBS) == f", did you mean {told}?"
    assert suggestion("xyzzy", VERBS) == ""


OWN = """[lifecycle]
states = ["INIT", {name = "OPEN"}]
transitions = [{trigger = "acquire"}]
"""


@pytest.mark.parametrize("word", ["acquire", "OPEN"])
def test_a_lifecycle_of_ones_own_has_words_too(word: str, here: Path) -> None:
    """Those that stand in ./statusd.toml, whatever else does."""
    before = suggestion(word, VERBS)
    (here / "statusd.toml").write_text(OWN)

    assert (before, suggestion(word, VERBS)) == ("", f", did you mean `statusd send {word}`?")


@pytest.mark.parametrize(
    "toml",
    [
        "[lifecycle]\nstates = 3\ntransitions = [3, {}, {trigger = 4}]",
        "lifecycle = 3",
        "[[[",
    ],
)
def test_settings_that_make_no_sense_have_no_words(toml: str, here: Path) -> None:
    """A verb that there is none of is what is told of."""
    (here / "statusd.toml").write_text(toml)

    assert suggestion("acquire", VERBS) == ""
