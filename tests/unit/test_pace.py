"""Tests of `statusd.core.pace`: rules with rows, and no clock but the one of the test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.core.pace import Estimate, Pace

BEAT_S = 3.0


def worked(
    steps: Callable[[float], float], until: float, pace: Pace | None = None, at: float = 0.0
) -> Pace:
    """Return what has looked every three seconds at work that is at ``steps`` of the time."""
    pace = pace or Pace()
    while at <= until:
        pace.works(at, True)
        pace.look(1, math.floor(steps(at)))
        at += BEAT_S
    return pace


def about(rate: float, left_s: float | None, rel: float = 0.1) -> Any:
    """Return what an estimate is to be equal to."""
    return pytest.approx(rate, rel=rel), left_s and pytest.approx(left_s, rel=rel)


def seen(*rows: tuple[float, bool, int, float | None]) -> Pace:
    """Return what has seen time, whether there is work, run and step."""
    pace = Pace()
    for now, works, run, step in rows:
        pace.works(now, works)
        pace.look(run, step)
    return pace


@pytest.mark.parametrize("rate", [0.004, 0.05, 0.3, 2.0, 1234.5])
@pytest.mark.parametrize("until", [6.0, 60.0, 600.0, 6000.0])
def test_steady_work_has_its_rate(rate: float, until: float) -> None:
    """However slow or fast, from the third step on; what is left is what is left."""
    if rate * until < 3:
        return
    until += 0.01 / rate  # the clock of the step and ours needn't meet
    pace = worked(lambda at: at * rate, until)

    found, left_s = pace.estimate(2 * until * rate)

    assert found == pytest.approx(rate, rel=0.25 if until < 100 / rate else 0.05)
    assert left_s == pytest.approx(until, rel=0.4 if until < 100 / rate else 0.05)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(0, True, 1, None)],
        [(0, True, 1, 5)],
        [(0, True, 1, 5), (60, True, 1, 5)],
        [(0, True, 1, 0), (3, True, 1, 30)],
        [(0, False, 1, 0), (9, False, 1, 30)],
        [(0, True, 1, 0), (9, True, 1, 30), (12, True, 1, None)],
    ],
    ids=["nothing", "no step", "one", "still", "too short", "no work", "unsaid"],
)
def test_who_has_seen_too_little_says_so(rows: list[tuple[float, bool, int, float | None]]) -> None:
    """Rather than something that is wrong."""
    assert seen(*rows).estimate(100) == Estimate(None, None)


@pytest.mark.parametrize("total", [None, 0.0])
def test_without_a_total_there_is_a_rate_alone(total: float | None) -> None:
    """Nobody knows how long it takes then."""
    assert worked(lambda at: at * 2, 60).estimate(total) == about(2, None)


@pytest.mark.parametrize("total", [120.0, 60.0])
def test_of_what_is_done_nothing_is_left(total: float) -> None:
    """Also if it does more than it said; and however long it stands there."""
    assert worked(lambda at: at * 2, 60).estimate(total).left_s == 0
    assert worked(lambda at: min(at * 2, 120), 600).estimate(total).left_s == 0


def test_a_pause_does_not_count() -> None:
    """Neither for the rate nor for what is left, during it and after it."""
    before = worked(lambda at: at * 2, 60)
    told = before.estimate(1000)

    before.works(61, False)
    for at in range(63, 3600, 3):
        before.works(at, False)
        before.look(1, 122)
    paused = before.estimate(1000)
    before.works(3600, True)
    after = worked(lambda at: 122 + (at - 3600) * 2, 3660, before, 3600).estimate(1000)

    assert told.rate is not None
    assert paused == about(told.rate, told.left_s)
    assert after == about(2, (1000 - 242) / 2)


@pytest.mark.parametrize(
    ("run", "first"), [(2, 120.0), (2, 0.0), (1, 0.0), (1, 119.0)], ids=["run", "anew", "0", "back"]
)
def test_what_begins_anew_is_estimated_anew(run: int, first: float) -> None:
    """Another run, also where it goes on from where the last one was; a step that goes back."""
    pace = worked(lambda at: at * 2, 60)
    assert pace.estimate(1000).rate

    pace.works(63, True)
    pace.look(run, first)
    assert pace.estimate(1000) == Estimate(None, None)

    for at in range(66, 126, 3):
        pace.works(at, True)
        pace.look(run, first + (at - 63) * 5)
    assert pace.estimate(1000).rate == pytest.approx(5)


def test_a_step_that_is_unsaid_forgets_all() -> None:
    """NaN, and what is no number at all, is None on the page."""
    pace = worked(lambda at: at * 2, 60)
    pace.look(1, None)
    pace.look(1, 500)

    assert pace.estimate(1000) == Estimate(None, None)


def test_who_stands_still_for_long_knows_nothing_of_the_end() -> None:
    """The rate is 0 then; with the next steps both are known again: 30 s of it have counted."""

    def steps(at: float) -> float:
        return at * 2 if at < 60 else 120 + max(0.0, at - 600) * 2

    assert worked(steps, 75).estimate(1000).left_s is not None
    assert worked(steps, 120).estimate(1000) == Estimate(0.0, None)
    assert worked(steps, 660).estimate(1000) == about(2, 380, 0.3)


def test_long_steps_are_no_standstill() -> None:
    """What takes five minutes is waited for; while it lasts, what is left grows less."""
    minutes = worked(lambda at: at / 300, 3001)
    early = minutes.estimate(20).left_s
    late = worked(lambda at: 10, 3270, minutes, 3004).estimate(20)

    assert early == pytest.approx(3000, rel=0.05)
    assert late == about(1 / 300, 2730)
    assert worked(lambda at: 10, 4200, minutes, 3273).estimate(20) == Estimate(0.0, None)


@pytest.mark.parametrize("jump_at", [3.0, 60.0, 150.0, 240.0])
def test_a_jump_is_no_rate(jump_at: float) -> None:
    """A thousand images that were there already; wherever in what is remembered they are."""
    pace = worked(lambda at: at * 2 + (5000 if at >= jump_at else 0), 300)

    assert pace.estimate(None).rate == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("slow_s", [10.0, 30.0])
def test_what_comes_now_and_then_counts(slow_s: float) -> None:
    """Each tenth step is a calibration: a mean of all, not the median of single steps."""

    def steps(at: float) -> float:
        rounds, rest = divmod(at, 9 + slow_s)
        return rounds * 10 + min(rest, 9)

    assert worked(steps, 400).estimate(None).rate == pytest.approx(10 / (9 + slow_s), rel=0.15)


def test_another_speed_is_found_within_minutes() -> None:
    """It is the last minutes that count."""
    pace = worked(lambda at: at * 10 if at < 3600 else 36_000 + (at - 3600) * 2, 3600 + 300)

    assert pace.estimate(None).rate == pytest.approx(2, rel=0.1)


def test_whoever_looks_often_knows_no_less() -> None:
    """A status that is asked for ten times a second, and a document that is written then."""
    pace = Pace()
    for tick in range(6000):
        pace.works(tick / 10, True)
        pace.look(1, tick)

    assert pace.estimate(None).rate == pytest.approx(10, rel=0.01)


def test_the_work_of_a_step_counts_until_it_is_seen_to_wait() -> None:
    """A pause in the middle of a long exposure: the rest of it took its time."""
    pace = seen((0, True, 1, 0), (100, True, 1, 1), (200, True, 1, 2))
    pace.works(220, True)  # PAUSED, not seen yet
    pace.works(300, False)  # seen
    pace.look(1, 3)

    assert pace.estimate(10) == about(1 / 100, 700)


def test_a_clock_that_goes_back_takes_no_time_away() -> None:
    """Nor one that stands: it is as if nothing had been seen between."""
    pace = seen((0, True, 1, 0), (10, True, 1, 10), (5, True, 1, 10), (15, True, 1, 20))
    pace.works(15, True)
    pace.look(1, 20)

    assert pace.estimate(100) == Estimate(1.0, 80.0)


@pytest.mark.parametrize("step", [5e-324, 1e-300, 1e-9])
def test_what_takes_longer_than_anyone_lives_has_no_end_that_is_known(step: float) -> None:
    """Steps may be as small as they like: an infinity in the document had ended the unit."""
    pace = seen((0, True, 1, 0.0), (10, True, 1, step))

    assert pace.estimate(2.0**53).left_s is None


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e9),
            st.booleans(),
            st.integers(1, 3),
            st.none() | st.floats(0, 2.0**53),
        )
    ),
    st.none() | st.floats(0, 2.0**53),
)
def test_whatever_is_seen_can_be_told(
    rows: Iterable[tuple[float, bool, int, float | None]], total: float | None
) -> None:
    """Finite numbers that aren't negative, or None: also if a clock goes back."""
    estimate = seen(*rows).estimate(total)

    assert all(number is None or 0 <= number < math.inf for number in estimate)
