"""The link itself, on a loop, with a real broker and some that are none."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from itertools import combinations
from typing import Any, cast

import hiredis
import pytest

from statusd.wire import connection
from statusd.wire.address import Address
from statusd.wire.backoff import backoff_s
from statusd.wire.connection import Connection
from statusd.wire.link import FORGIVE_S, Link, LinkState
from statusd.wire.outbox import Outbox
from statusd.wire.patterns import glob
from tests.tools import Broker, Proxy, free_port
from tests.tools.waiting import until

HELLO = b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"


class Told:
    """A listener that writes down what a link tells it."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, bytes]] = []
        self.changes: list[LinkState] = []
        self.not_forgiven: list[int] = []
        self.failures: list[str] = []
        self.refused_channels: dict[str, str] = {}
        self.again: list[str] = []
        self.replies: list[tuple[object, object]] = []
        self.outbox: Outbox | None = None

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Write down a message."""
        self.heard.append((channel, payload))

    def read_complete(self) -> None:
        """Take no notice."""

    def link_changed(self, link: Link) -> None:
        """Write down the new state."""
        self.changes.append(link.state)
        if link.state is LinkState.DOWN:
            self.not_forgiven.append(link.backoff.failures)

    def link_failed(self, link: Link) -> None:
        """Write down why."""
        self.failures.append(link.trouble)

    def channel_refused(self, channel: str, reason: str) -> None:
        """Write down what isn't heard, and why."""
        self.refused_channels[channel] = reason

    def channel_heard(self, channel: str) -> None:
        """Write down what is heard after all."""
        self.again.append(channel)

    def put(self, link: Link, *line: str | int) -> None:
        """Send a command on ``link``, and write down the reply."""
        if self.outbox is None:
            self.outbox = link.outbox.open(self.refused)
        self.outbox.put(line, self.replied)

    def replied(self, line: Any, reply: object) -> bool:
        """Write down a reply."""
        self.replies.append((line, reply))
        return True

    def refused(self, line: Any, reason: str) -> None:
        """Write down an error that nobody has waited for."""
        self.replies.append((line, hiredis.ReplyError(reason)))


Story = Callable[[Link, Told], Awaitable[None]]


def play(story: Story, port: int, *channels: str, draw: float = 0.0, user: str = "") -> Told:
    """Run a story with a link to ``port`` and close it afterwards; a user is the own password."""
    told = Told()

    async def live() -> None:
        link = Link(
            Address(port=port, username=user, password=user),
            "test",
            told,
            draw=lambda: draw,
            clock=lambda: 0.0,
            channels=channels,
        )
        link.start()
        try:
            await story(link, told)
        finally:
            await link.close()

    asyncio.run(live())
    return told


async def listening(link: Link, told: Told) -> None:
    """Wait until the link is up."""
    await until(lambda: link.state is LinkState.LISTENING, f"listening; {told.failures}")


@pytest.mark.fault("N18")
def test_it_listens_only_after_each_confirmation(each_broker: Broker) -> None:
    """All names and patterns are subscribed by then, at the broker's word."""
    channels = ("a", "b", "c.*", "d[12]")

    async def story(link: Link, told: Told) -> None:
        await listening(link, told)
        client = each_broker.client(decode_responses=True)
        assert [n for _, n in client.pubsub_numsub("a", "b")] == [1, 1]
        assert client.pubsub_numpat() == 2

    told = play(story, each_broker.port, *channels)

    assert told.changes == [LinkState.LISTENING]


@pytest.mark.fault("N19", "N10")
def test_half_a_confirmation_is_none(broker: Broker) -> None:
    """The stream stops after the first channel: never up, and tried anew."""
    with Proxy(broker.port) as proxy:
        proxy.half(len(b"%7\r\n") + 150)

        async def story(link: Link, told: Told) -> None:
            await until(lambda: told.failures, "a failure")
            assert told.changes == []
            proxy.pass_()
            await listening(link, told)

        told = play(story, proxy.port, *(f"channel-{n}" for n in range(50)))

    assert "channels confirmed within" in told.failures[0]


VITAL, CHANNELS = "vital", ("vital", "a", "lab.*")
SOME = [some for count in range(4) for some in combinations(CHANNELS, count)]


def let_in(broker: Broker, *channels: str) -> None:
    """Let the user ``ear`` hear these as well; whatever it hears, it goes on to hear."""
    rules = ("on", ">ear", "+@all", *(f"&{channel}" for channel in channels))
    broker.client().execute_command("ACL", "SETUSER", "ear", *rules)  # type: ignore[no-untyped-call]  # redis-py


@pytest.mark.parametrize("allowed", SOME, ids=" ".join)
def test_a_refused_channel_costs_that_channel(
    allowed: tuple[str, ...], each_broker: Broker
) -> None:
    """The others are heard; but none is without the vital one, or beside it."""
    let_in(each_broker, *allowed)

    async def story(link: Link, told: Told) -> None:
        link.subscriptions.vital = VITAL
        if VITAL not in allowed or len(allowed) == 1:
            await until(lambda: told.failures, "a failure")
            assert (told.changes, told.refused_channels) == ([], {})
            assert "NOPERM" in told.failures[0]
            return
        await listening(link, told)
        assert tuple(link.subscriptions.heard) == allowed
        assert told.refused_channels.keys() == set(CHANNELS) - set(allowed)
        assert all(why.startswith("NOPERM") for why in told.refused_channels.values())
        spoken = {"a": "a", "lab.*": "lab.1"}
        for channel, name in spoken.items():
            assert each_broker.client().publish(name, "x") == (channel in allowed)
        heard = [(name.encode(), b"x") for channel, name in spoken.items() if channel in allowed]
        await until(lambda: told.heard == heard, "what is allowed")

    play(story, each_broker.port, *CHANNELS, user="ear")


def test_a_right_that_comes_is_noticed(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same connection, and told once."""
    monkeypatch.setattr(connection, "RETRY_S", 0.02)
    let_in(broker, VITAL, "a")

    async def story(link: Link, told: Told) -> None:
        await listening(link, told)
        let_in(broker, "lab.*")
        await until(lambda: told.again, "the channel")
        assert broker.client().publish("lab.1", "x") == 1
        await until(lambda: told.heard == [(b"lab.1", b"x")], "the message")

    told = play(story, broker.port, *CHANNELS, user="ear")

    assert (told.again, told.changes) == (["lab.*"], [LinkState.LISTENING])


ANEW: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "one is added": (("vital", "a", "b"), ()),
    "one that is refused is added": (("vital", "a", "b", "no"), ("no",)),
    "one is taken away": (("vital", "b"), ()),
    "a pattern takes the place": (("vital", "lab.*"), ()),
    "a refused one takes the place": (("vital", "no"), ("no",)),
}
"""What is wanted then -> what of it is refused; at first it is `vital` and `a`."""


@pytest.mark.parametrize(("wanted", "refused"), ANEW.values(), ids=ANEW.keys())
def test_other_channels_are_confirmed_one_by_one(
    wanted: tuple[str, ...], refused: tuple[str, ...], broker: Broker
) -> None:
    """The link isn't lost over it, if anything beside the vital one is left."""
    let_in(broker, VITAL, "a", "b", "lab.*")

    async def story(link: Link, told: Told) -> None:
        link.subscriptions.vital = VITAL
        await listening(link, told)
        link.listen_to(wanted)
        assert not link.is_answered
        assert set(link.subscriptions.heard) <= {VITAL, "a"}
        heard = [channel for channel in wanted if channel not in refused]
        if heard == [VITAL]:
            await until(lambda: told.changes[-1] is LinkState.DOWN, "the loss")
            assert "NOPERM" in link.trouble
            return
        await until(lambda: link.is_answered, "each answer")
        assert link.subscriptions.heard == heard
        assert tuple(told.refused_channels) == refused
        assert told.changes == [LinkState.LISTENING]
        link.listen_to((VITAL, "a"))
        assert link.subscriptions.refused == {}

    play(story, broker.port, VITAL, "a", user="ear")


@pytest.mark.fault("M01")
def test_messages_arrive_as_they_are(each_broker: Broker) -> None:
    """Any bytes, in order, and once, though a name and two patterns fit."""
    payloads = [b"", b"END", bytes(range(256)), b"x" * 300_000, b"last"]

    async def story(link: Link, told: Told) -> None:
        await listening(link, told)
        for payload in payloads:
            each_broker.client().publish("room.1", payload)
        await until(lambda: len(told.heard) == len(payloads), "all messages")

    told = play(story, each_broker.port, "room.1", "room.*", "r*")

    assert told.heard == [(b"room.1", payload) for payload in payloads]


@pytest.mark.parametrize(
    "pattern", ["*", "l?b", "l[ab]b", "l[^a]b", "l[a-c]b", r"l\*b", "l[]b", "l["]
)
def test_our_globs_are_the_brokers(pattern: str, each_broker: Broker) -> None:
    """Who would hear a channel by the broker's word hears it by ours."""
    channels = ["lab", "lbb", "ldb", "l*b", "l", "l[", "l]b", "lb", "laab"]
    client = each_broker.client()
    pubsub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
    pubsub.psubscribe(pattern)
    pubsub.get_message(timeout=2)

    broker_says = [name for name in channels if client.publish(name, "x") == 1]

    pubsub.close()
    assert [name for name in channels if glob(pattern.encode()).fits(name.encode())] == broker_says


def test_replies_come_in_order_and_errors_are_values(each_broker: Broker) -> None:
    """A command that the broker refuses costs the link nothing."""

    async def story(link: Link, told: Told) -> None:
        told.put(link, "SET", "a", "1")
        assert told.outbox is not None
        told.outbox.put(("XADD", "a", "*", "f", "v"))  # an error is told in any case
        told.put(link, "INCR", "a")
        await listening(link, told)
        await until(lambda: len(told.replies) == 3, "three replies")
        assert abs((link.server.ahead_s or 0) - 1.8e9) < 1e9  # our wall clock stands at 0

    told = play(story, each_broker.port)

    replies = [reply for _, reply in told.replies]
    assert (replies[0], replies[2]) == (b"OK", 2)
    assert isinstance(replies[1], hiredis.ReplyError)
    assert told.changes == [LinkState.LISTENING]


@pytest.mark.fault("N15")
def test_what_had_no_reply_is_sent_again(broker: Broker) -> None:
    """In order, by the next connection; an entry with an id of its own does not double."""
    with Proxy(broker.port) as proxy:

        async def story(link: Link, told: Told) -> None:
            await listening(link, told)
            proxy.swallow()
            for n in range(1, 4):
                told.put(link, "XADD", "s", f"1-{n}", "n", n)
            link.flush()
            proxy.cut()
            await until(lambda: told.changes[-1] is LinkState.DOWN, "the link to be lost")
            proxy.pass_()
            await until(lambda: len(told.replies) == 3, "three replies")

        play(story, proxy.port)

    entries: Any = broker.client().xrange("s")
    assert [fields[b"n"] for _, fields in entries] == [b"1", b"2", b"3"]


def test_a_frozen_broker_is_not_waited_for(broker: Broker) -> None:
    """Something is in flight and nothing comes back: the link is in doubt after 4 s."""

    async def story(link: Link, told: Told) -> None:
        await listening(link, told)
        broker.freeze()
        told.put(link, "PING")
        link.flush()
        await until(lambda: told.changes[-1] is LinkState.DOWN, "doubt", 8)
        broker.thaw()
        await until(lambda: told.replies, "the reply after all")

    told = play(story, broker.port)

    assert told.changes[:2] == [LinkState.LISTENING, LinkState.DOWN]


@pytest.mark.fault("N22")
@pytest.mark.parametrize("turns", range(4))
def test_a_link_that_is_hurried_and_closed_at_once_is_closed(turns: int) -> None:
    """The end of a wait and its cancellation meet; the link must not go on for ever."""

    async def story(link: Link, told: Told) -> None:
        await until(lambda: told.failures, "a refused connection")
        link.hurry()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(5) as patience:
            await link.close()
        assert not patience.expired()

    told = play(story, free_port(), draw=0.99)

    assert told.changes == []


def test_a_link_in_a_hurry_waits_no_longer() -> None:
    """Whatever it was waiting for; and from then on its waits are short again."""

    async def live() -> None:
        link = Link(Address(port=1), "t", Told(), draw=lambda: 0.5, clock=lambda: 0.0)
        link.backoff.failures = 9
        waiting = asyncio.create_task(link.backoff.wait(1000.0))
        await asyncio.sleep(0)
        link.hurry()
        async with asyncio.timeout(10):
            await waiting
        assert link.backoff.failures == 0

    asyncio.run(live())


def test_the_back_off_doubles_up_to_its_cap() -> None:
    """Its mean goes from 0.05 s to 1 s, with full jitter: a fleet doesn't come at once."""
    means = [backoff_s(failures, 0.5) for failures in range(8)]

    assert means == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0])
    assert backoff_s(10_000, 0.999) < 2
    assert backoff_s(3, 0.0) == 0


@pytest.mark.fault("N22", "X28")
def test_only_a_while_of_listening_ends_the_back_off(broker: Broker) -> None:
    """Neither a connection that is accepted, nor one that is confirmed and lost at once."""
    with Proxy(broker.port) as proxy:
        proxy.cut()

        async def story(link: Link, told: Told) -> None:
            await until(lambda: len(told.failures) >= 3, "three failures")
            for moments_s in (0.0, 0.0, FORGIVE_S):
                proxy.pass_()
                await listening(link, told)
                over = asyncio.get_running_loop().time() + moments_s
                await until(lambda over=over: asyncio.get_running_loop().time() > over, "a while")  # type: ignore[misc]  # bound now
                proxy.cut()
                await until(lambda: link.state is LinkState.DOWN, "the loss")

        told = play(story, proxy.port, "a")

    assert [count > 0 for count in told.not_forgiven] == [True, True, False]


@pytest.mark.fault("X28")
def test_a_replica_is_not_asked_twenty_times_a_second(broker: Broker) -> None:
    """It lets in, and refuses to write: each time the wait is longer, until it is the master."""
    client = broker.client()
    client.replicaof("127.0.0.1", str(free_port()))
    client.config_set("replica-serve-stale-data", "yes")

    async def story(link: Link, told: Told) -> None:
        told.put(link, "SET", "a", "1")
        await until(lambda: link.refused >= 4, "refusals", 15)
        assert link.backoff.failures >= 4
        assert told.replies == []
        client.replicaof("NO", "ONE")
        await until(lambda: told.replies, "the write")
        assert link.refused == 0

    told = play(story, broker.port, draw=0.5)

    assert told.replies[0][1] == b"OK"


class Patient:
    """A follower that never catches up."""

    def confirmed(self) -> None:
        """Ask for nothing."""

    def lost(self) -> None:
        """It never had anything."""

    def replied(self, line: Any, reply: object) -> None:
        """Nothing was asked."""


@pytest.mark.fault("R04")
def test_a_connection_that_is_lost_early_leaves_nothing(broker: Broker) -> None:
    """Each has a buffer of 64 KiB, and an idle daemon's collector comes every hour."""
    gc.collect()
    gc.disable()
    try:
        with Proxy(broker.port) as proxy:

            async def story(link: Link, told: Told) -> None:
                link.follower = Patient()
                await until(lambda: link.state is LinkState.CATCHING_UP, "its channels")
                proxy.cut()
                await until(lambda: len(told.failures) > 3, "failures")
                assert sum(isinstance(one, Connection) for one in gc.get_objects()) <= 1

            play(story, proxy.port, "a")
    finally:
        gc.enable()


class Stranger(asyncio.Protocol):
    """Answers whatever comes with what ``answer`` makes of it."""

    def __init__(
        self, answer: Callable[[bytes], bytes], open_ones: list[asyncio.Transport]
    ) -> None:
        self._answer = answer
        self._open_ones = open_ones

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection, to end it."""
        self._transport = cast("asyncio.Transport", transport)
        self._open_ones.append(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        answer = self._answer(data)
        if not answer:
            self._transport.close()
        elif answer is not SILENCE:
            self._transport.write(answer)


SILENCE = b"silence"
"""What stands for no answer; an empty one hangs up."""
TAKEN_OFF = b">3\r\n+%s\r\n$1\r\na\r\n:1\r\n"
STRANGERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "an echo": (lambda data: data, "no Redis that speaks RESP3"),
    "a web server": (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "not RESP"),
    "silence": (lambda _: SILENCE, "0 of 1 channels confirmed"),
    "an old Redis": (lambda _: b"-ERR unknown command 'HELLO'\r\n", "doesn't speak RESP3"),
    "one that hangs up": (lambda _: b"", "before it answered HELLO 3: is the server up?"),
    "one that confirms another channel": (
        lambda _: HELLO + b"+OK\r\n>3\r\n+subscribe\r\n$1\r\nb\r\n:1\r\n",
        "an unrequested subscribe",
    ),
    "one that answers for a channel": (
        lambda _: HELLO + b"+OK\r\n*2\r\n+1\r\n+1\r\n+OK\r\n",
        "no answer to SUBSCRIBE: b'OK'",
    ),
    "one that answers what nobody asked": (
        lambda _: HELLO + b"+OK\r\n*2\r\n+1\r\n+1\r\n>3\r\n+subscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n",
        "an unrequested reply",
    ),
    "RESP2": (lambda _: b"*0\r\n", "no Redis that speaks RESP3"),
    "one that takes us off": (
        lambda _: (
            HELLO
            + b"+OK\r\n>3\r\n+subscribe\r\n$1\r\na\r\n:1\r\n>3\r\n+unsubscribe\r\n$1\r\na\r\n:0\r\n"
        ),
        "an unrequested unsubscribe",
    ),
}


@pytest.mark.fault("N30")
@pytest.mark.parametrize("who", sorted(STRANGERS))
def test_who_is_no_broker_is_not_believed(who: str) -> None:
    """Told in words, thrown away, tried again; no exception escapes."""
    answer, complaint = STRANGERS[who]
    told = Told()

    async def live() -> None:
        loop, troubles, open_ones = (
            asyncio.get_running_loop(),
            list[str](),
            list[asyncio.Transport](),
        )
        server = await loop.create_server(lambda: Stranger(answer, open_ones), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        loop.set_exception_handler(lambda _, context: troubles.append(str(context)))
        link = Link(
            Address(port=port), "t", told, draw=lambda: 0.9, clock=lambda: 0.0, channels=("a",)
        )
        link.start()
        await until(lambda: told.failures or LinkState.DOWN in told.changes, "doubt")
        reason = link.trouble or told.failures[0]
        await link.close()
        await until(lambda: all(one.is_closing() for one in open_ones), "the other side to notice")
        server.close()
        assert complaint in reason
        assert troubles == []

    asyncio.run(live())
