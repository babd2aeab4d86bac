"""Tests of `statusd.complaints`: how often the same trouble is logged."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.complaints import MOST_S, Complaints


class Day:
    """Complaints with a clock that the test turns, and a log that it reads."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[tuple[float, Any]] = []
        self.complaints = Complaints(lambda: self.now, self)

    def warning(self, event: str, **fields: Any) -> None:
        """Be told a line."""
        assert (event, fields["reason"]) == ("x.failed", "why")
        self.told.append((self.now, fields.get("count")))

    def complain(self, *moments: float) -> list[tuple[float, Any]]:
        """Complain at each of the moments; return when there was a line, and the number in it."""
        self.told = []
        for self.now in moments:
            self.complaints.report("x", "x.failed", reason="why")
        return self.told


@pytest.mark.fault("X28")
def test_a_trouble_that_lasts_is_told_more_and_more_seldom() -> None:
    """At once, after 10 s, after 20 more, and so on, each time with how often it came."""
    told = Day().complain(*range(72))

    assert told == [(0, None), (10, 10), (30, 20), (70, 40)]


@pytest.mark.fault("X28")
def test_a_day_of_it_is_a_few_lines() -> None:
    """Twenty a second for a day: two hundred lines."""
    told = Day().complain(*range(86_400))

    assert len(told) < 86_400 / MOST_S + 10


def test_a_trouble_that_was_over_is_new() -> None:
    """When it was quiet for a whole wait, or somebody knows."""
    day = Day()

    assert day.complain(0, 11, 100) == [(0, None), (11, None), (100, None)]
    assert day.complaints.forget("x")
    assert day.complain(101) == [(101, None)]
    assert not day.complaints.forget("y")


@pytest.mark.fault("X28")
def test_a_trouble_may_count_for_itself() -> None:
    """What it says of its number stands, also when it is told again: it is no reason to end."""
    day = Day()

    for day.now in (0, 2, 11):
        day.complaints.report("x", "x.failed", reason="why", count=7)

    assert day.told == [(0, 7), (11, 7)]
