"""Redis' glob patterns: the same answers as its own matcher, in a time that nobody can blow up."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statusd.wire.patterns import MOST_BYTES, Glob, glob

SIGNS = st.binary(max_size=12) | st.lists(
    st.sampled_from([bytes([sign]) for sign in b"ab-[]^\\*?!&~|."]), max_size=14
).map(b"".join)


def redis_says(pattern: bytes, name: bytes) -> bool:
    """`stringmatchlen` of Redis, as it stands there: for short names, as it is exponential."""
    while pattern and name:
        sign = pattern[:1]
        if sign == b"*":
            rest = pattern.lstrip(b"*")
            return not rest or any(redis_says(rest, name[at:]) for at in range(len(name) + 1))
        if sign == b"[":
            is_in, pattern = _class_says(pattern[1:], name[0])
            if not is_in:
                return False
        else:
            if sign == b"\\" and len(pattern) >= 2:
                pattern = pattern[1:]
            if sign != b"?" and pattern[0] != name[0]:
                return False
            pattern = pattern[1:]
        name = name[1:]
    return not name and not pattern.strip(b"*")


def _class_says(pattern: bytes, sign: int) -> tuple[bool, bytes]:
    negated = pattern[:1] == b"^"
    pattern = pattern[negated:]
    is_in = False
    while pattern and pattern[:1] != b"]":
        if pattern[:1] == b"\\" and len(pattern) >= 2:
            is_in |= pattern[1] == sign
            pattern = pattern[2:]
        elif len(pattern) >= 3 and pattern[1:2] == b"-":
            first, last = sorted((pattern[0], pattern[2]))
            is_in |= first <= sign <= last
            pattern = pattern[3:]
        else:
            is_in |= pattern[0] == sign
            pattern = pattern[1:]
    return is_in is not negated, pattern[1:]


@given(SIGNS, SIGNS)
@example(b"a*", b"a")
@example(b"*a*", b"a")
@example(b"a*a", b"a")
@example(b"ab*ba", b"aba")
@example(b"*ab", b"aab")
@example(b"*[^", b"a")
@example(b"[a-", b"b")
@example(b"\\", b"\\")
@example(b"?*?", b"a")
@example("é?".encode(), "éé".encode())
def test_a_pattern_fits_what_redis_own_matcher_lets_it_fit(pattern: bytes, name: bytes) -> None:
    """Any bytes, whatever is closed or not."""
    assert Glob(pattern).fits(name) is redis_says(pattern, name)


@given(SIGNS)
def test_every_byte_after_a_backslash_means_itself(name: bytes) -> None:
    """So any name can be written as a pattern, and such a pattern fits nothing else."""
    pattern = b"".join(b"\\" + bytes([sign]) for sign in name)

    assert Glob(pattern).fits(name)
    assert not Glob(pattern).fits(name + b"x")


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (b"lab.*.cam.*.cmd", b"lab." + b".cam." * 200),
        (b"lab.*.cam.*.cmd", b"lab." + b".cam." * 60_000),
        (b"*a" * 200 + b"b", b"a" * MOST_BYTES),
        (b"*" * 100_000, b"a" * MOST_BYTES),
        (b"*?" * 500 + b"b", b"a" * MOST_BYTES),
        (b"*" + b"?" * 1000 + b"b" * 20, b"a" * MOST_BYTES),
        (b"*" + b"a" * 500 + b"[bc]*", b"a" * MOST_BYTES),
        (b"[a-z]*" * 300 + b"0", b"a" * MOST_BYTES),
    ],
)
def test_no_pattern_and_no_name_take_long(pattern: bytes, name: bytes) -> None:
    """Stars that a regular expression would try against each other: hours, or 12 s at 300 KB."""
    began = time.process_time()

    for _ in range(10):
        Glob(pattern).fits(name)

    assert time.process_time() - began < 2


@pytest.mark.parametrize("pattern", [b"*", b"a*", b"*a", b"a" * (MOST_BYTES + 1), b"?*"])
def test_a_name_that_is_too_long_fits_nothing(pattern: bytes) -> None:
    """Not even the star; the longest one does."""
    assert not Glob(pattern).fits(b"a" * (MOST_BYTES + 1))
    assert Glob(pattern).fits(b"a" * MOST_BYTES) is (len(pattern) <= MOST_BYTES)


def test_a_pattern_is_compiled_once() -> None:
    """A fleet's units have the same few."""
    assert glob(b"lab.*") is glob(b"lab.*")
