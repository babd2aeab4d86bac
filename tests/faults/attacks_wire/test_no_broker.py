"""What others may say, and no unit ends or falls silent by it: what is no broker."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from functools import partial
from typing import Any

import pytest

from statusd import logs
from statusd.core.unit import Identity
from statusd.unit.name_lease import NameLease
from statusd.unit.stream_position import NOWHERE, StreamPosition
from statusd.wire.address import Address
from statusd.wire.link import Link, LinkState
from statusd.wire.names import Names
from statusd.wire.roster import Roster
from tests.conftest import BROKERS, Run
from tests.faults.attacks_wire.attacked import Subscriber, answer, assert_well
from tests.faults.outages import wait_for
from tests.tools import Broker, free_port, wait_until
from tests.tools.liar import RIGHT, XINFO, Liar
from tests.tools.variants import nightly
from tests.tools.waiting import until

PARTS = [
    *(b"_\r\n", b"#t\r\n", b"#f\r\n", b",1.5\r\n", b",inf\r\n", b",nan\r\n", b":7\r\n", b":-9\r\n"),
    *(
        b"(1234567890123456789012345678901234567890\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
    ),
    *(
        b"+OK\r\n",
        b"+\r\n",
        b"$0\r\n\r\n",
        b"$4\r\n\xff\xfe\x00\x1b\r\n",
        b"*0\r\n",
        b"%0\r\n",
        b"~0\r\n",
    ),
    *(
        b"*1\r\n_\r\n",
        b"*2\r\n$1\r\nx\r\n$1\r\ny\r\n",
        b"*2\r\n$400\r\n" + b"9" * 400 + b"\r\n:1\r\n",
    ),
    *(
        b"%1\r\n_\r\n_\r\n",
        b"%1\r\n*1\r\n:1\r\n:1\r\n",
        b"%1\r\n+length\r\n+x\r\n",
        b"~1\r\n%0\r\n",
    ),
    *(
        b"*1\r\n-ERR nested\r\n",
        b"-\r\n",
        b"-\xff\xfe\r\n",
        b"-ERR x\x1b[2J\r\n",
        b"!5\r\nERR x\r\n",
    ),
    *(
        b"|1\r\n+a\r\n+b\r\n:1\r\n",
        b">0\r\n",
        b">1\r\n_\r\n",
        b">1\r\n:1\r\n",
        b">1\r\n+message\r\n",
    ),
    *(
        b">3\r\n+message\r\n_\r\n_\r\n",
        b">3\r\n+message\r\n:1\r\n*0\r\n",
        b">2\r\n-ERR x\r\n+a\r\n",
    ),
    *(b">4\r\n+pmessage\r\n_\r\n_\r\n_\r\n", b">3\r\n+message\r\n+mychannel\r\n%0\r\n"),
    *(
        b">3\r\n+subscribe\r\n+other\r\n:1\r\n",
        b">3\r\n+unsubscribe\r\n_\r\n:0\r\n",
        b">1\r\n*0\r\n",
    ),
    *(b"%1\r\n+statusd:commands\r\n*1\r\n_\r\n", b"%1\r\n+c\r\n*1\r\n*2\r\n+1e999-0\r\n*0\r\n"),
    *(
        b"%1\r\n+c\r\n*1\r\n*2\r\n+1-1\r\n*1\r\n:5\r\n",
        b"%1\r\n+c\r\n:3\r\n",
        b"%1\r\n+c\r\n*1\r\n+x\r\n",
    ),
    *(
        b"*" + b"1\r\n*" * 12 + b"0\r\n",
        b"$99999999999\r\n",
        b"*-2\r\n",
        b":99999999999999999999\r\n",
    ),
    *(b".\r\n", b"HTTP/1.1 400\r\n\r\n", b"\x00\x01", b"-NOPERM no\r\n", b"-MOVED 1 a:1\r\n"),
]
"""Well formed or not, none of it is the answer to anything that we ask, or says nothing."""

HEARING = [
    *(b"HELLO", b"CLIENT", b"TIME", b"SUBSCRIBE", b"PUSH", b"GETRANGE", b"XINFO", b"XREVRANGE"),
    b"XREAD",
]

SENDING = [b"HELLO", b"TIME", b"GETRANGE", b"HSTRLEN", b"PTTL", b"HGET", b"SET", b"HSET"]
"""What the links of a unit ask."""

BACK = b"%3\r\n+length\r\n:0\r\n+last-generated-id\r\n+1-1\r\n+entries-added\r\n:1\r\n"
"""A stream that has gone back: its end is asked for."""


def nonsense(chance: random.Random) -> bytes:
    """Return several parts, or one that holds others."""
    parts = [chance.choice(PARTS) for _ in range(chance.randint(1, 3))]
    head = chance.choice([b"", b"*%d\r\n", b">%d\r\n", b"~%d\r\n", b"|%d\r\n", b"%%%d\r\n"])
    return (head % (len(parts) // 2 or 1) if b"%d" in head else head) + b"".join(parts)


@pytest.fixture
def chance() -> random.Random:
    """Chance, with its seed printed so that what failed can be made again."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.mark.timeout(3600)  # of many rounds; each wait in them has its own limit
@pytest.mark.fault("X20")
@pytest.mark.parametrize("asked", HEARING, ids=bytes.decode)
def test_whatever_a_broker_says_costs_the_link_at_most(
    asked: bytes, chance: random.Random, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question of a hearing link is answered by each kind of reply; then rightly: it hears."""
    told = [*PARTS, *(nonsense(chance) for _ in range(20 * rounds))]
    monkeypatch.setitem(RIGHT, b"XINFO", BACK if asked == b"XREVRANGE" else XINFO)

    async def live() -> None:
        loop, troubles = asyncio.get_running_loop(), list[str]()
        loop.set_exception_handler(lambda _, context: troubles.append(str(context)))
        with Liar(free_port()) as liar:
            for said in told:
                before = liar.lied
                liar.wrong = partial(answer, asked, said)
                subscriber = Subscriber(liar.port, READ if asked == b"XREVRANGE" else NOWHERE)
                subscriber.link.start()
                await until(lambda before=before: liar.lied > before, f"a lie: {said!r}")  # type: ignore[misc]  # bound now
                await asyncio.sleep(0.002)
                assert (troubles, subscriber.link.is_overdue(loop.time())) == ([], False), said
                await subscriber.link.close()
            await heard_again(liar)
        assert troubles == []

    asyncio.run(live())


READ = StreamPosition("5-5", 5, ("5-5",))


async def heard_again(liar: Liar) -> None:
    """Answer a link rightly that was lied to."""
    subscriber = Subscriber(liar.port, NOWHERE)
    subscriber.link.start()
    await until(lambda: liar.lied, "a lie")
    liar.wrong = partial(answer, b"", b"")
    subscriber.link.doubt("it was lied to")
    await until(lambda: subscriber.link.state is LinkState.LISTENING, "a link")
    await subscriber.link.close()


@pytest.mark.timeout(3600)  # of many rounds; each wait in them has its own limit
@pytest.mark.fault("X20")
def test_a_unit_lives_on_at_a_hostile_broker_and_hears_a_real_one(
    chance: random.Random, rounds: int, run: Run
) -> None:
    """From its start on both links are told whatever there is; then a broker has the port."""
    port = free_port()
    with Liar(port) as liar:
        asked = (*HEARING, *SENDING, b"XADD", b"PUBLISH")
        liar.wrong = lambda: (chance.choice(asked), nonsense(chance))
        unit = run("tests.workers:obedient", f"redis://127.0.0.1:{port}/0")
        unit.wait_state("READY", 40)
        for turn in range(20 * rounds):
            if turn >= 2 * rounds and liar.lied > rounds:
                break
            wait_for(time.monotonic() + 1.0)
            liar.hang_up()  # not every lie is one that costs the link
        assert liar.lied > rounds
        assert unit.exit_code() is None
    with Broker(BROKERS["valkey"], port=port) as broker:
        wait_until(lambda: broker.client().publish("mychannel", "start") == 1, 15, "a listener")
        unit.wait_state("RUNNING")
        assert_well(unit, broker)
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit() == 0


@pytest.mark.fault("X20")
def test_a_reply_without_an_end_costs_the_sending_link(run: Run) -> None:
    """Every later reply is a part of it: bytes come, and yet nothing is answered any more."""
    port = free_port()
    with Liar(port) as liar:
        liar.wrong = partial(answer, b"PUBLISH", b"*1000000\r\n")
        unit = run("tests.workers:obedient", f"redis://127.0.0.1:{port}/0")

        unit.wait_logged("link.lost", 20, link="sends")


@pytest.mark.fault("X20")
@pytest.mark.parametrize("said", [*PARTS[::12], *nightly(*PARTS[4::12], *PARTS[8::12])])
@pytest.mark.parametrize("asked", [b"GETRANGE", b"HSTRLEN", b"PTTL", b"HGET"], ids=bytes.decode)
def test_a_start_at_a_hostile_broker_is_a_start(said: bytes, asked: bytes) -> None:
    """The name is asked for before anything runs: what is answered then ends nobody."""
    holder: Any = None

    async def live() -> None:
        nonlocal holder
        loop, troubles = asyncio.get_running_loop(), list[str]()
        loop.set_exception_handler(lambda _, context: troubles.append(str(context)))
        with Liar(free_port()) as liar:
            liar.wrong = lambda: (asked, said)
            sender = Sender(liar.port)
            sender.link.start()
            holder = await sender.lease.take_name(sender.link.flush, replace=False)
            await sender.link.close()
        assert troubles == []

    asyncio.run(live())

    assert holder == 0


class Sender(Subscriber):
    """What a daemon takes its name with."""

    def __init__(self, port: int) -> None:
        self.link = Link(
            *(Address(port=port), "test", self), draw=lambda: 0.0, clock=time.monotonic
        )
        outbox = self.link.outbox.open(lambda line, reason: None)
        self.lease = NameLease(
            outbox,
            Roster(outbox, logs.get()),
            Names("statusd", "unit"),
            lambda: Identity("unit", boot=7),
            last_boot=0,
            wall=time.time,
            lost=lambda holder: None,
            confirmed=lambda: None,
            log=logs.get(),
        )
