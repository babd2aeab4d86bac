"""Tests of `tests.tools.waiting`."""

import time

import pytest

from tests.tools import wait_until

pytestmark = pytest.mark.nightly  # it tests what tests are made with


def test_the_first_truthy_value_is_returned() -> None:
    """Falsy values are passed over, and looking stops with the first other one."""
    values = iter([None, 0, "", "there", "later"])

    assert wait_until(lambda: next(values), 5.0, "a value") == "there"
    assert next(values) == "later"


def test_a_wait_in_vain_says_for_what_and_what_it_saw() -> None:
    """The error names the thing, the last value and the time."""
    with pytest.raises(AssertionError, match=r"waited 0\.0\d s for the moon; .* was \[\]"):
        wait_until(list, 0.02, "the moon")


def test_it_looks_once_even_without_time() -> None:
    """A time of zero is a plain look."""
    assert wait_until(lambda: 7, 0.0, "seven") == 7


def test_the_limit_is_kept() -> None:
    """It waits as long as it was told, and not much longer."""
    began = time.monotonic()

    with pytest.raises(AssertionError):
        wait_until(lambda: False, 0.1, "nothing")

    assert 0.1 <= time.monotonic() - began < 1.0


def test_an_error_of_the_predicate_is_passed_on() -> None:
    """What goes wrong in looking isn't taken for "not yet"."""
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 // 0, 5.0, "a number")
