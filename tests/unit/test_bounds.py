"""Tests of `statusd.core.bounds`: whatever comes is what it should be, or `Unreadable`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.core.bounds import MOST_COUNT, Unreadable, decimal, decode, fields, text, whole
from statusd.core.text import shown

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
READERS: list[Callable[[Any], Any]] = [
    lambda value: whole(value, MOST_COUNT),
    lambda value: decimal(value, MOST_COUNT),
    text,
    fields,
    lambda value: decode(value, 2),
]


@pytest.mark.fault("X18")
@pytest.mark.parametrize("read", READERS)
@given(value=ANYTHING)
def test_nothing_else_is_raised(read: Callable[[Any], Any], value: Any) -> None:
    """Of whatever type or size a value is."""
    with suppress(Unreadable):
        read(value)


@pytest.mark.fault("X18")
@given(value=ANYTHING)
def test_whatever_is_json_is_read_or_unreadable(value: Any) -> None:
    """Also what is no JSON for anybody else: infinite numbers."""
    try:
        payload = json.dumps(value).encode()
    except TypeError:
        return
    for read in (fields, lambda known: decode(known, 3)):
        with suppress(Unreadable):
            read(payload)


@pytest.mark.fault("X14", "X18")
@pytest.mark.parametrize(
    "said", [b"", b"-1", b"+1", b" 1", b"1_0", b"1.0", b"1e5", "\u0661", b"9" * 21, b"9" * 5000, 5]
)
def test_what_is_no_decimal_is_unreadable(said: object) -> None:
    """Digits, nothing else, and not too many."""
    with pytest.raises(Unreadable):
        decimal(said, MOST_COUNT)


@pytest.mark.fault("X18")
@pytest.mark.parametrize("payload", [b"[" * 4000, b'{"a":' * 800, b"1" * 4000, b"x" * 5000])
def test_depth_and_length_are_looked_at_before_anything_is_read(payload: bytes) -> None:
    """A parser would go as deep as the text, and convert as many digits as there are."""
    with pytest.raises(Unreadable):
        fields(payload)


def test_numbers_have_a_range_and_are_numbers() -> None:
    """A truth value is none."""
    assert [whole(0, 5), whole(5, 5), decimal(b"5", 5), decimal("0005", 5)] == [0, 5, 5, 5]
    for value in (True, -1, 6, 1.0, "1", None, [1]):
        with pytest.raises(Unreadable):
            whole(value, 5)


@given(st.binary() | st.text())
def test_what_is_shown_is_one_line_of_printable_signs(words: bytes | str) -> None:
    """Whoever wrote them, and however long they are."""
    assert shown(words).isprintable()
    assert len(shown(words, 20)) <= 20 * 10


def test_plain_words_are_shown_as_they_are() -> None:
    """So that an error of the broker can be looked for."""
    said = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert shown(said) == shown(said.encode()) == said
    assert shown(b"a\x1b[2J\n\xff") == "a\\x1b[2J\\n\\xff"
