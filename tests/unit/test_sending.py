"""Tests of `statusd.daemon.sending`: at once, together, or with what is about to come."""

from __future__ import annotations

import pytest

from statusd.daemon.sending import SEEN_S, Sending
from tests.unit.worlds import Loop


class World:
    """A link that counts, and time that goes by when it is told to."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.sent: list[float] = []
        """When something was sent, in seconds from the beginning."""
        began = self.loop.now
        self.sending = Sending(self.loop, lambda: self.sent.append(self.loop.now - began))


def test_what_is_put_off_goes_out_in_time_by_itself() -> None:
    """Once, however many have asked for it."""
    world = World()
    world.sending.flush_soon()
    world.sending.flush_soon()
    assert world.sent == []

    world.loop.pass_by(1)

    assert [round(at, 6) for at in world.sent] == [SEEN_S]


def test_what_is_put_off_goes_out_with_what_comes_before() -> None:
    """And not a second time for its own sake; the next one has a time of its own."""
    world = World()
    world.sending.flush_soon()
    world.sending.flush()
    world.loop.pass_by(1)
    assert world.sent == [0]

    world.sending.flush_soon()
    world.loop.pass_by(1)

    assert [round(at, 6) for at in world.sent] == [0, 1 + SEEN_S]


def test_what_is_said_together_goes_out_in_one_piece() -> None:
    """Behind the last of it; at once, if one of them wants that, else soon."""
    world = World()
    with world.sending.together():
        world.sending.flush()
        world.sending.flush_soon()
        world.sending.flush()
        assert world.sent == []
    assert world.sent == [0]

    with world.sending.together():
        world.sending.flush_soon()
    assert world.sent == [0]
    world.loop.pass_by(1)
    assert [round(at, 6) for at in world.sent] == [0, SEEN_S]


def test_what_has_failed_in_the_middle_keeps_nothing_back() -> None:
    """What the others had said is sent."""
    world = World()

    def fail() -> None:
        with world.sending.together():
            world.sending.flush()
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        fail()

    assert world.sent == [0]
    world.sending.flush()
    assert world.sent == [0, 0]
