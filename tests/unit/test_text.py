"""Foreign text for human eyes: nothing of it does anything."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.core.text import MOST_MARKS, SHOWN, shown
from tests.tools.hostile import HOSTILE, arrived


@given(st.text() | st.binary() | st.integers() | st.lists(st.text(max_size=3), max_size=3))
def test_whatever_it_is_one_printable_line_comes_of_it(value: object) -> None:
    """Also of what isn't UTF-8; and no pile of accents reaches into the lines around it."""
    text = shown(value)

    assert text.isprintable()
    assert len(text) <= (SHOWN + 3) * len("\\U0010ffff")
    assert shown(value, ascii_only=True).isascii()
    piles = "".join("m" if unicodedata.category(sign)[0] == "M" else " " for sign in text).split()
    assert max(map(len, piles), default=0) <= MOST_MARKS


@given(st.text().filter(lambda text: text.isprintable() and text.isascii()))
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    """Up to its length."""
    assert shown(text, None) == text
    assert shown(text, 5) == (text if len(text) <= 5 else f"{text[:5]}...")


def test_it_is_as_python_writes_it() -> None:
    """So that a reader can still tell what it was."""
    assert shown("a\x1b[2J\n\u202e\x9b\ud800") == "a\\x1b[2J\\n\\u202e\\x9b\\ud800"
    assert shown(b"a\xff\n") == "a\\xff\\n"
    assert shown("Übertragung läuft, 进行中") == "Übertragung läuft, 进行中"
    assert shown("ü", ascii_only=True) == "\\xfc"
    assert arrived(shown(HOSTILE, None)) == []
    assert arrived(HOSTILE) != []


class Bad:
    """Something that can't be shown."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no")


@pytest.mark.parametrize("value", [Bad(), 10**5000], ids=["fails", "huge"])
def test_what_has_no_text_is_named(value: object) -> None:
    """Showing something raises nothing."""
    assert shown(value).startswith("<")
