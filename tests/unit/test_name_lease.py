"""Tests of `statusd.unit.name_lease`: claims, without a broker."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from typing import Any

import pytest
from hiredis import ReplyError

from statusd import logs
from statusd.core.unit import Identity
from statusd.unit.lease_holder import LeaseHolder
from statusd.unit.name_lease import NameLease
from statusd.wire.names import Names
from statusd.wire.outbox import Outbox, RedisCommand
from statusd.wire.roster import Roster

ME = Identity("a", boot=7)


class Held:
    """A lease with a broker that is played by the test."""

    def __init__(self, last_boot: int = 0) -> None:
        self.outbox = Outbox()
        self.lost: list[LeaseHolder] = []
        self.confirmed = 0
        self.now = 100.0
        self.lease = NameLease(
            self.outbox,
            Roster(self.outbox, logs.get()),
            Names("statusd", "a"),
            lambda: ME,
            last_boot=last_boot,
            wall=lambda: 0.0,
            lost=self.lost.append,
            confirmed=self._confirm,
            log=logs.get(),
        )

    def taken(self) -> list[RedisCommand]:
        """Return what is to be sent, and count it as sent."""
        return self.outbox.take(100)

    def _confirm(self) -> None:
        self.confirmed += 1

    def beat(self, after_s: float = 3.0) -> list[RedisCommand]:
        """Beat that long after the last time, and return what is to be sent, as sent."""
        self.now += after_s
        self.lease.beat(self.now)
        return self.taken()

    def look(self, reply: Any, renewed: Any = None) -> None:
        """Beat; the claim isn't renewed, so let the broker say who holds the name."""
        lines = deque(self.beat())
        while lines:
            line = lines.popleft()
            if "IFEQ" in line:
                self.outbox.replied(renewed)
                lines.extend(self.taken())
            else:
                self.outbox.replied(reply if line[0] == "GETRANGE" else b"OK")


def mine(line: RedisCommand) -> bool:
    """Tell whether ``line`` renews our own claim, and no other, in one command."""
    claim = f'{{"boot":7,"host":"{socket.gethostname()}","pid":{os.getpid()}}}'
    return line == ("SET", "statusd:owner:{a}", claim, "IFEQ", claim, "EX", 10)


def owner(boot: int) -> bytes:
    """Return an owner key."""
    return b'{"boot":%d,"host":"elsewhere","pid":1}' % boot


def test_a_beat_renews_what_is_ours_in_one_command() -> None:
    """If it is ours, byte for byte; then that is enough until the beat after the next one."""
    held = Held()

    (renewal,) = held.beat()
    assert mine(renewal)
    held.outbox.replied(b"OK")
    (entry,) = held.taken()
    assert entry[:3] == ("HSET", "statusd:roster", "a")
    assert '"boot":7,"left":false' in str(entry[3])
    assert (held.confirmed, held.beat()) == (1, [])
    assert list(map(mine, held.beat())) == [True]


def test_a_beat_after_one_without_an_answer_asks_again() -> None:
    """The key lives for ten seconds: there is time for one more question, and a third."""
    held = Held()

    assert [list(map(mine, held.beat())) for _ in range(3)] == [[True]] * 3
    assert held.confirmed == 0


def test_a_name_that_is_not_renewed_is_claimed_if_it_is_free_and_looked_at() -> None:
    """Nothing goes into the roster before it is known whose it is."""
    held = Held()
    held.beat()
    held.outbox.replied(None)

    claim, look = held.taken()
    assert claim[:2] == ("SET", "statusd:owner:{a}")
    assert claim[3:] == ("NX", "EX", 10)
    assert look == ("GETRANGE", "statusd:owner:{a}", 0, 4096)


@pytest.mark.parametrize("reply", [b"QUEUED", 1, [b"OK"], ReplyError("OOM command not allowed")])
def test_a_renewal_that_is_none_is_no_renewal(reply: Any) -> None:
    """Whatever is said instead of OK: who holds the name is looked at, and the next beat asks."""
    held = Held()
    held.look(owner(8), reply)
    assert held.lost == [LeaseHolder(8, "elsewhere", 1)]

    held = Held()
    held.look(b"", reply)
    assert held.confirmed == 0
    assert list(map(mine, held.beat())) == [True]


def test_a_name_that_is_ours_after_all_is_renewed_and_registered_at_once() -> None:
    """The server may have lost the key, and the roster with it."""
    held = Held()
    held.beat()
    held.outbox.replied(b"OK")
    held.taken()
    held.outbox.replied(1)
    held.beat()
    held.look(owner(7))

    renewal, entry = held.taken()
    assert renewal[3:] == ("XX", "EX", 10)
    assert entry[:3] == ("HSET", "statusd:roster", "a")
    assert (held.lost, held.confirmed) == ([], 2)


@pytest.mark.parametrize("why", ["ERR syntax error", "NOPERM this user has no permissions"])
def test_a_server_that_can_not_compare_is_asked_as_ever(why: str) -> None:
    """Until the link is another: there may be a newer one at its end."""
    refused: list[str] = []
    held = Held()
    held.outbox.refused = lambda line, reason: refused.append(reason)
    held.look(owner(7), ReplyError(why))
    assert [line[0] for line in held.taken()] == ["SET", "HSET"]

    assert (held.beat(), held.confirmed) == ([], 1)
    assert [line[3] for line in held.beat()] == ["NX", 4096]
    held.lease.doubt()
    assert list(map(mine, held.beat())) == [True]
    assert refused == []


def test_who_is_in_doubt_asks_with_each_beat() -> None:
    """A history that refuses our events may be that of another, who holds the name."""
    held = Held()
    held.beat()
    held.outbox.replied(b"OK")
    held.taken()
    held.outbox.replied(1)
    held.lease.beat(held.now + 3, in_doubt=True)

    assert list(map(mine, held.taken())) == [True]


def test_another_link_is_a_reason_to_ask_at_once() -> None:
    """There may be another server behind it, which somebody else has taken the name on."""
    held = Held()
    held.beat()
    held.outbox.replied(b"OK")
    held.taken()
    held.outbox.replied(1)
    held.lease.doubt()

    assert list(map(mine, held.beat())) == [True]
    held.outbox.replied(b"OK")
    assert [line[0] for line in held.taken()] == ["HSET"]


def test_a_name_that_is_another_s_is_told() -> None:
    """And nothing is written."""
    held = Held()
    held.look(owner(8))

    assert held.lost == [LeaseHolder(8, "elsewhere", 1)]
    assert held.taken() == []


@pytest.mark.parametrize("reply", [None, b"", ReplyError("NOPERM no right"), ReplyError("OOM")])
def test_what_tells_no_owner_changes_nothing(reply: Any) -> None:
    """The next beat looks again."""
    held = Held()
    held.look(reply)

    assert (held.lost, held.confirmed, held.taken()) == ([], 0, [])
    assert list(map(mine, held.beat())) == [True]


POISON = [
    *(
        b"{}",
        b"junk",
        b"[]",
        b"\xff",
        b"[" * 4000,
        b"x" * 4097,
        3,
        True,
        {},
        ReplyError("WRONGTYPE"),
    ),
    *(b'{"boot":1e999,"host":"a","pid":1}', b'{"boot":%d,"host":"a","pid":1}' % 10**30),
    *(b'{"boot":true,"host":"a","pid":1}', b'{"boot":["1"],"host":"a","pid":1}'),
    *(b'{"boot":1,"host":["a"],"pid":1}', b'{"boot":1,"host":"\\u001b[2J","pid":1}'),
    *(b'{"boot":1,"host":"a","pid":%d}' % 10**30, b'{"boot":1,"host":"a","pid":-1}'),
    *(b'{"boot":-1,"host":"a","pid":1}', b'{"boot":1.5,"host":"a","pid":1}'),
    b'{"boot":1,"host":"%s","pid":1}' % (b"a" * 300),
]
"""What may stand in a key of ours instead of what we write there."""


@pytest.mark.parametrize("reply", POISON)
def test_an_owner_that_is_nobody_is_written_over(reply: Any) -> None:
    """Nobody holds a name by what nobody can read; without that it would never be ours again."""
    held = Held()
    held.look(reply)

    (claim,) = held.taken()
    assert (claim[:2], claim[3:]) == (("SET", "statusd:owner:{a}"), ("EX", 10))
    assert held.lost == []


def test_rights_of_an_older_version_will_do() -> None:
    """They lack GETRANGE: asked so no more, and the beat after knows."""
    held = Held()
    held.look(ReplyError("NOPERM this user has no permissions to run the 'getrange' command"))
    held.beat()
    held.outbox.replied(None)

    assert held.taken()[1] == ("GET", "statusd:owner:{a}")


def test_leaving_gives_the_name_up_and_says_so() -> None:
    """The roster keeps the unit, as one that has left."""
    held = Held()
    held.lease.leave()

    gone, entry = held.taken()
    assert gone == ("DEL", "statusd:owner:{a}")
    assert '"left":true' in str(entry[3])


async def start(held: Held, *answers: tuple[Any, Any, Any]) -> int | LeaseHolder:
    """Let the broker answer each look in turn: owner, entry in the roster, time left in ms."""
    left = iter(answers)
    entry: Any = None

    def flush() -> None:
        nonlocal entry
        lines = [line for line in held.taken() if line[0] != "PUBLISH"]
        if [line[0] for line in lines] == ["HGET"]:
            replies = [entry]
        else:
            assert [line[0] for line in lines] == ["GETRANGE", "PTTL", "HSTRLEN"]
            owner, entry, left_ms = next(left)
            replies = [owner, left_ms, len(entry) if isinstance(entry, bytes) else 0]
        for reply in replies:
            held.outbox.replied(reply)

    return await held.lease.take_name(flush, replace=False)


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

    assert asyncio.run(start(Held(), *alive)) == LeaseHolder(5, "elsewhere", 1)
    assert asyncio.run(start(Held(), *dead)) == 5


@pytest.mark.parametrize("left_ms", [-1, 10_001, 2**62])
def test_an_owner_that_never_runs_out_is_no_daemon(left_ms: int) -> None:
    """Each of them keeps its key for ten seconds; waited for, it would be for ever."""
    assert asyncio.run(start(Held(), (owner(5), b'{"boot": 5}', left_ms))) == 5


@pytest.mark.parametrize("value", POISON)
def test_the_start_is_not_refused_by_what_cannot_be_read(value: Any) -> None:
    """Neither by the owner nor by the roster: they are absent, or have a boot in spite of it."""
    assert asyncio.run(start(Held(), (value, value, -1))) in (0, 1)


def test_an_entry_of_the_roster_that_leaves_no_room_is_none() -> None:
    """Above the boot in it there must be others."""
    entry = b'{"boot": 253402300800000}'

    assert asyncio.run(start(Held(), (None, entry, -2))) == 0


def test_the_start_does_not_wait_for_a_broker_that_is_away() -> None:
    """The beats will tell."""
    held = Held()
    held.lease.unreachable()

    assert asyncio.run(held.lease.take_name(lambda: None, replace=False)) == 0
