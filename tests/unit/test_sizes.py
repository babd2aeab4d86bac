"""Tests of `statusd.core.sizes`: sizes of memory, written and shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.core.sizes import UNITS, parse_size, size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 * 2**30),
        ("500MB", 500_000_000),
        ("1.5 gib", 3 * 2**29),
        (" 64KiB ", 65536),
        ("1048576", 1048576),
        ("7B", 7),
        ("1TB", 10**12),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    """In whatever case, with a blank or without; a bare number is in bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2G", "G is no unit of memory, did you mean 2GiB?"),
        ("512m", "m is no unit of memory, did you mean 512MiB?"),
        ("3 parsec", "parsec is no unit of memory: B, KB"),
        ("-1GiB", "a size is written"),
        ("1e9", "a size is written"),
        ("9" * 400, "a size is written"),
        ("٣GiB", "a size is written"),
        ("", "a size is written"),
    ],
)
def test_what_is_none_is_refused(text: str, why: str) -> None:
    """With the nearest one that there is: `2G` may be either of two."""
    with pytest.raises(ValueError, match=r"memory|size") as told:
        parse_size(text)

    assert why in str(told.value)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (2**31, "2 GiB"),
        (2**31 + 2**28, "2.2 GiB"),
        (10**9, "953.7 MiB"),
        (3 * 2**40, "3 TiB"),
        (5000 * 2**40, "5000 TiB"),
    ],
)
def test_a_size_is_shown(size: int, text: str) -> None:
    """In the largest unit that fits, with no more digits than anybody reads."""
    assert size_text(size) == text


@given(st.integers(2**20, 2**50), st.integers(1, 2**20))
def test_what_is_over_a_limit_is_never_shown_as_the_limit(limit: int, more: int) -> None:
    """It is rounded up."""
    number = size_text(limit + more, over=True).split()[0]

    assert float(number) * UNITS[size_text(limit + more).split()[1]] >= limit + more


def test_every_unit_is_read_and_means_what_it_says() -> None:
    """Those of thousands and those of 1024."""
    assert {unit: parse_size(f"1{unit}") for unit in UNITS} == UNITS
