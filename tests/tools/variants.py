"""Few variants of a test in every run, and all of them at night: see the marker ``nightly``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def nightly(*values: Any) -> list[ParameterSet]:
    """Return the values, each of them for the night."""
    return [pytest.param(value, marks=pytest.mark.nightly) for value in values]


def some(values: Iterable[Any], few: int) -> list[Any]:
    """Return the values, all but the first few of them for the night."""
    known = list(values)
    return [*known[:few], *nightly(*known[few:])]


def pairs(firsts: Sequence[Any], seconds: Sequence[Any]) -> list[ParameterSet]:
    """Return all pairs; in every run there are so many that each value is in one of them."""
    step = min(len(firsts), len(seconds))
    return [
        pytest.param(one, other, marks=[pytest.mark.nightly] if (i - j) % step else [])
        for i, one in enumerate(firsts)
        for j, other in enumerate(seconds)
    ]
