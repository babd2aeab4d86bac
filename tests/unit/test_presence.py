"""Tests of `statusd.daemon.presence`: claims, without a broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from statusd.core.outbox import Line, Outbox
from statusd.core.unit import Identity
from statusd.daemon.presence import Holder, Presence
from statusd.wire.names import Names

ME = Identity("a", boot=7)


class Held:
    """A presence with a broker that is played by the test."""

    def __init__(self, last_boot: int = 0) -> None:
        self.outbox = Outbox()
        self.ousted: list[Holder] = []
        self.presence = Presence(
            self.outbox,
            Names("statusd", "a"),
            lambda: ME,
            last_boot=last_boot,
            wall=lambda: 0.0,
            ousted=self.ousted.append,
        )

    def taken(self) -> list[Line]:
        """Return what is to be sent, and count it as sent."""
        return self.outbox.take(100)

    def look(self, reply: Any) -> None:
        """Beat, and let the broker say who holds the name."""
        self.presence.beat()
        for line in self.taken():
            self.presence.replied(line, reply if line[0] == "GET" else b"OK")


def owner(boot: int) -> bytes:
    """Return an owner key."""
    return b'{"boot":%d,"host":"elsewhere","pid":1}' % boot


def test_a_beat_claims_a_free_name_and_looks_who_has_it() -> None:
    """Only if it is free; nothing goes into the roster before that is known."""
    held = Held()
    held.presence.beat()

    claim, look = held.taken()
    assert claim[:2] == ("SET", "statusd:owner:{a}")
    assert claim[3:] == ("NX", "EX", 10)
    assert look == ("GET", "statusd:owner:{a}")


def test_a_name_that_is_ours_is_renewed_and_registered() -> None:
    """With its boot in the roster."""
    held = Held()
    held.look(owner(7))

    renewal, entry = held.taken()
    assert renewal[3:] == ("XX", "EX", 10)
    assert entry[:3] == ("HSET", "statusd:roster", "a")
    assert '"boot":7,"left":false' in str(entry[3])
    assert held.ousted == []


def test_a_name_that_is_another_s_is_told() -> None:
    """And nothing is written."""
    held = Held()
    held.look(owner(8))

    assert held.ousted == [Holder(8, "elsewhere", 1)]
    assert held.taken() == []


@pytest.mark.parametrize("reply", [None, b"", b"{}", b"junk", RuntimeError("NOPERM"), 3])
def test_what_is_no_owner_changes_nothing(reply: Any) -> None:
    """The next beat looks again."""
    held = Held()
    held.look(reply)

    assert (held.ousted, held.taken()) == ([], [])


def test_leaving_gives_the_name_up_and_says_so() -> None:
    """The roster keeps the unit, as one that has left."""
    held = Held()
    held.presence.leave()

    gone, entry = held.taken()
    assert gone == ("DEL", "statusd:owner:{a}")
    assert '"left":true' in str(entry[3])


async def start(held: Held, *answers: tuple[bytes | None, bytes | None, int]) -> int | Holder:
    """Let the broker answer each look in turn: owner, entry in the roster, time left in ms."""
    left = iter(answers)

    def flush() -> None:
        lines = [line for line in held.taken() if line[0] in ("GET", "HGET", "PTTL")]
        for line, reply in zip(lines, next(left), strict=True):
            held.presence.replied(line, reply)

    return await held.presence.take_name(flush, replace=False)


def test_the_start_takes_a_free_name() -> None:
    """And tells the boot to rise above."""
    assert asyncio.run(start(Held(), (None, b'{"boot": 9}', -2))) == 9
    assert asyncio.run(start(Held(), (None, None, -2))) == 0


def test_the_start_takes_the_name_of_our_own_last_life() -> None:
    """Its boot stands in our state file, whose lock we hold."""
    assert asyncio.run(start(Held(last_boot=5), (owner(5), b'{"boot": 5}', 9000))) == 5


def test_the_start_is_refused_by_a_holder_that_renews() -> None:
    """Not by one that only hasn't expired yet."""
    alive = [(owner(5), None, 6000), (owner(5), None, 5750), (owner(5), None, 10000)]
    dead = [(owner(5), None, 600), (owner(5), None, 350), (None, b'{"boot": 5}', -2)]

    assert asyncio.run(start(Held(), *alive)) == Holder(5, "elsewhere", 1)
    assert asyncio.run(start(Held(), *dead)) == 5


def test_the_start_does_not_wait_for_a_broker_that_is_away() -> None:
    """The beats will tell."""
    held = Held()
    held.presence.unreachable()

    assert asyncio.run(held.presence.take_name(lambda: None, replace=False)) == 0
