"""A link whose follower has yet to read what was missed: what was sent first is told first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from statusd.wire.address import Address
from statusd.wire.link import Link, LinkState
from statusd.wire.outbox import RedisCommand
from tests.integration.test_link import Told
from tests.tools import Broker
from tests.tools.waiting import until


class Reads:
    """A follower that asks when the test does, and says by itself that it has read all, or not."""

    def __init__(self) -> None:
        self.replies: list[object] = []
        self.then: Callable[[], object] = lambda: None

    def confirmed(self) -> None:
        """Ask nothing yet."""

    def lost(self) -> None:
        """Begin anew, some day."""

    def replied(self, line: RedisCommand, reply: object) -> None:
        """Write it down, and do what is to be done then."""
        self.replies.append(reply)
        self.then()


def follow(broker: Broker, story: Callable[[Link, Told, Reads], Awaitable[None]]) -> None:
    """Run a story with a link that hears ``a`` and waits for its follower."""

    async def live() -> None:
        told, reads = Told(), Reads()
        link = Link(
            *(Address(port=broker.port), "test", told),
            draw=lambda: 0.0,
            clock=lambda: 0.0,
            channels=("a",),
        )
        link.follower = reads
        link.start()
        try:
            await until(lambda: link.state is LinkState.CATCHING_UP, "its channels")
            await story(link, told, reads)
        finally:
            await link.close()

    asyncio.run(live())


def test_what_is_heard_meanwhile_is_told_afterwards_and_in_its_order(broker: Broker) -> None:
    """Nothing of it before; and what comes then is told at once."""
    client = broker.client()

    async def story(link: Link, told: Told, reads: Reads) -> None:
        for word in ("one", "two"):
            client.publish("a", word)
        link.ask(("PING",))  # its reply comes behind them
        await until(lambda: reads.replies, "the reply")
        assert (told.heard, link.state) == ([], LinkState.CATCHING_UP)

        link.caught_up()

        assert told.heard == [(b"a", b"one"), (b"a", b"two")]
        client.publish("a", "three")
        await until(lambda: told.heard[2:] == [(b"a", b"three")], "the third")

    follow(broker, story)


def test_what_comes_in_one_read_with_the_last_answer_is_told(broker: Broker) -> None:
    """The link listens from that answer on, in the middle of what has arrived."""

    async def story(link: Link, told: Told, reads: Reads) -> None:
        reads.then = link.caught_up

        link.ask(("PUBLISH", "a", "mine"))  # the broker sends the reply, and the message behind it

        await until(lambda: told.heard == [(b"a", b"mine")], "what we have said ourselves")

    follow(broker, story)
