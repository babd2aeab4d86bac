"""Tests of `statusd.web.mirror`: what is said of the broker, and what is kept of a unit."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.web.broadcast import Broadcast
from statusd.web.mirror import NOT_ASKED, SAMPLE_S, SAMPLES, Curve, Mirror


class World:
    """A mirror that asks nobody, and its clock."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.broadcast = Broadcast("ab")
        nobody: Any = None
        self.mirror = Mirror(nobody, "statusd", self.broadcast, lambda: self.now)

    def noted(self, what: str, reason: str = "") -> tuple[bool, str]:
        """Note it, a second later; return what is said then."""
        self.now += 1
        self.mirror._note(what, reason)
        return self.mirror.broker.is_up, self.mirror.broker.reason


def test_a_broker_is_up_when_all_was_answered() -> None:
    """Documents and histories: before both were asked it isn't; one that fails says why."""
    world = World()
    assert world.mirror.broker.reason == NOT_ASKED

    assert world.noted("histories") == (False, NOT_ASKED)
    assert world.noted("documents") == (True, "")
    assert world.noted("documents", "NOPERM get") == (False, "NOPERM get")
    assert world.noted("histories", "NOPERM xread") == (False, "NOPERM get; NOPERM xread")
    assert world.noted("documents", "NOPERM xread") == (False, "NOPERM xread")
    assert world.noted("documents") == (False, "NOPERM xread")
    assert world.noted("histories") == (True, "")


def test_why_comes_before_what_nobody_has_asked_yet() -> None:
    """The one says what to do."""
    assert World().noted("histories", "refused") == (False, "refused")


def test_since_when_and_when_it_was_heard() -> None:
    """The one changes when it goes or comes, the other with each answer; only news are told."""
    world = World()
    began = world.mirror.broker.since
    world.noted("documents")
    world.noted("histories")
    up = world.mirror.broker
    world.noted("documents")
    assert (world.mirror.broker.since, world.mirror.broker.heard > up.heard) == (up.since, True)

    told = world.broadcast.position
    world.noted("documents")
    assert world.broadcast.position == told
    heard = world.mirror.broker.heard
    world.noted("documents", "refused")
    world.noted("histories", "refused")
    away = world.mirror.broker
    assert began < up.since < away.since
    assert away.heard == heard
    assert world.broadcast.position == "ab-2"


@pytest.mark.parametrize("bad", [{}, {"progress": None, "worker": None}, {"worker": {}}])
def test_a_curve_has_what_is_known(bad: dict[str, Any]) -> None:
    """And null for the rest; a whole number of any size that a record may have."""
    curve = Curve()
    curve.add(100.0, bad)
    used = {"cpu": 0.12345, "memory": 2**62}
    curve.add(104.0, {"progress": {"step": 7}, "worker": {"resources": used}})

    assert curve.record() == [[100.0, None, None, None], [104.0, 7.0, 0.123, float(2**62)]]


def test_a_curve_is_bounded() -> None:
    """In how near its points are, and in how many there are; a clock that is set stops it not."""
    curve = Curve()
    for second in range(int(2 * SAMPLES * SAMPLE_S)):
        curve.add(float(second), {})
    points = curve.record()

    assert len(points) == SAMPLES
    assert points[-1][0] == 2 * SAMPLES * SAMPLE_S - SAMPLE_S
    curve.add(3.0, {})
    assert curve.record()[-1][0] == 3.0
