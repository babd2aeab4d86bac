"""Tests of `statusd.supervision.hang_detector`: what is silence, and whose fault it is."""

from __future__ import annotations

import pytest

from statusd.supervision.hang_detector import HangDetector, look_every_s
from statusd.supervision.worker_channel import Pulse

EVERY_S = 0.5


class Looks:
    """A detector that looks every half second."""

    def __init__(self) -> None:
        self.now = 100.0
        self.detector = HangDetector()

    def __call__(self, pulse: Pulse, *, waits: bool = False, after_s: float = EVERY_S) -> float:
        self.now += after_s
        return self.detector.silent_s(pulse, self.now, is_waiting=waits, interval_s=EVERY_S)


def test_a_beat_is_a_sign_of_life() -> None:
    """From the first look on, silence is counted since the last one."""
    look = Looks()

    assert [look(Pulse(1)), look(Pulse(1)), look(Pulse(1)), look(Pulse(2)), look(Pulse(2))] == [
        *(0, 0.5, 1.0),
        *(0, 0.5),
    ]


def test_taking_in_a_state_is_one_too() -> None:
    """A worker that acknowledges hasn't hung."""
    look = Looks()
    look(Pulse(1, seen=1))
    look(Pulse(1, seen=1))

    assert look(Pulse(1, seen=2)) == 0


def test_who_never_beats_is_never_silent() -> None:
    """It doesn't use the loop that beats."""
    look = Looks()

    assert [look(Pulse(0, seen=3)) for _ in range(5)] == [0] * 5


def test_who_waits_is_never_silent() -> None:
    """It was told to; when it is to work again, the time begins anew."""
    look = Looks()

    assert [look(Pulse(1), waits=True) for _ in range(5)] == [0] * 5
    assert look(Pulse(1)) == 0.5


def test_patience_that_was_asked_for_is_given() -> None:
    """Until the moment that the worker named; silence is counted from there."""
    look = Looks()
    look(Pulse(1))
    patient = Pulse(1, patience_until=look.now + 2)
    look(patient)

    silent = [look(patient) for _ in range(5)]

    assert silent == [-1.0, -0.5, 0, 0.5, 1.0]


@pytest.mark.fault("R03", "R07")
def test_our_own_sleep_is_not_its_fault() -> None:
    """The machine was suspended, or we were stopped: both begin anew."""
    look = Looks()
    look(Pulse(1))

    assert look(Pulse(1), after_s=3600) == 0
    assert look(Pulse(1)) == 0.5


@pytest.mark.parametrize("limit_s", [0.01, 0.5, 1, 10, 3600])
def test_a_hang_is_noticed_within_a_second_of_its_time(limit_s: float) -> None:
    """Whatever the limit is."""
    assert 0 < look_every_s(limit_s) < 1
