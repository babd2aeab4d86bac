"""Tests of `statusd.core.policy`: which death is followed by another try, and when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statusd.core.policy import Policy, Restart, Restarts


def restarts(draw: float = 1.0, **policy: Any) -> Restarts:
    """Return a memory of no deaths, with chance always ``draw``; 1.0 for no jitter at all."""
    return Restarts(Policy(**policy), lambda: draw)


def test_the_wait_doubles_until_it_is_the_longest() -> None:
    """From the first wait on, with each death."""
    patient = restarts(backoff_s=(1.0, 30.0), budget=100, window_s=1e9)

    waits = [patient.after_death(float(n)) for n in range(8)]

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_the_wait_stays_the_longest_however_many_died() -> None:
    """A power of two is bounded, a float isn't: 2.0**1024 would raise."""
    patient = restarts(backoff_s=(1.0, 30.0), budget=10_000, window_s=1e9)

    waits = [patient.after_death(float(n)) for n in range(2_000)]

    assert set(waits[5:]) == {30.0}


@pytest.mark.parametrize(("draw", "wait_s"), [(0.0, 6.0), (0.5, 7.0), (1.0, 8.0)])
def test_chance_takes_off_a_quarter_at_most(draw: float, wait_s: float) -> None:
    """So that a hundred units whose broker came back don't start their workers as one."""
    assert restarts(draw, backoff_s=(8.0, 30.0)).after_death(0.0) == wait_s


def test_chance_never_makes_the_longest_wait_longer() -> None:
    """The longest is the longest."""
    assert restarts(1.0, backoff_s=(60.0, 30.0)).after_death(0.0) == 30.0


def test_the_budget_is_the_number_of_restarts() -> None:
    """Three tries are granted, the fourth death is the last."""
    stern = restarts(budget=3)

    tries = [stern.after_death(0.0) is not None for _ in range(5)]

    assert tries == [True, True, True, False, False]


def test_without_a_budget_there_is_no_second_try() -> None:
    """Zero means zero."""
    assert restarts(budget=0).after_death(0.0) is None


def test_old_deaths_are_forgotten() -> None:
    """Those before the window count for nothing; the one right at its edge still does."""
    forgetful = restarts(budget=1, window_s=60.0)

    tries = [forgetful.after_death(now) for now in (0.0, 60.0, 120.0, 180.5)]

    assert tries == [1.0, None, None, 1.0]


def test_the_wait_is_short_again_after_a_healthy_time() -> None:
    """It counts the deaths within the window, not of a lifetime."""
    forgetful = restarts(window_s=60.0)

    waits = [forgetful.after_death(now) for now in (0.0, 1.0, 2.0, 62.5, 200.0)]

    assert waits == [1.0, 2.0, 4.0, 1.0, 1.0]


@pytest.mark.parametrize("restart", [Restart.ON_FAILURE, Restart.ALWAYS])
def test_both_kinds_of_restart_grant_the_same(restart: Restart) -> None:
    """They differ in what counts as a death, which is not for this page to say."""
    assert restarts(restart=restart).after_death(0.0) == 1.0


def test_never_means_never() -> None:
    """Whatever the budget; and nothing is counted."""
    stern = restarts(restart=Restart.NEVER, budget=100)

    assert [stern.after_death(float(n)) for n in range(3)] == [None, None, None]


def test_clearing_forgets_every_death() -> None:
    """Somebody said reset: the whole budget, and a short wait."""
    stern = restarts(budget=2)
    for _ in range(3):
        stern.after_death(0.0)

    stern.clear()

    assert [stern.after_death(0.0) for _ in range(3)] == [1.0, 2.0, None]


def test_the_policy_of_a_unit_that_says_nothing() -> None:
    """The defaults of the design; an instance is a value."""
    policy = Policy()

    assert (policy.restart, policy.backoff_s) == (Restart.ON_FAILURE, (1.0, 30.0))
    assert (policy.budget, policy.window_s, policy.exit_on_failed) == (5, 60.0, False)
    assert (policy.ready_timeout_s, policy.stop_timeout_s, policy.kill_timeout_s) == (30, 60, 2)
    assert policy.signal_stop_timeout_s == 5
    assert policy == Policy()


@pytest.mark.fault("W16")
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0.0, 100.0), max_size=30),
    st.integers(0, 5),
    st.floats(0.0, 1.0, exclude_max=True),
)
def test_no_window_ever_grants_more_than_the_budget(
    gaps: list[float], budget: int, draw: float
) -> None:
    """Whenever they die; and each wait is within its bounds."""
    stern = restarts(draw, budget=budget, window_s=60.0, backoff_s=(1.0, 30.0))
    now, granted = 0.0, []

    for gap in gaps:
        now += gap
        wait_s = stern.after_death(now)
        if wait_s is not None:
            granted.append(now)
            assert 0.75 <= wait_s <= 30.0

    assert all(
        sum(1 for other in granted if 0.0 <= one - other <= 60.0) <= budget for one in granted
    )
