"""A link to the broker that tells the truth about itself and is thrown away when in doubt.

One class for both directions: a link with channels hears, one without sends. Rules of this file:
being subscribed is a state that only the confirmation of each channel brings; a connection is
never used after an error, and whatever can't be read is one; the first connection is made like
every later one.

    DOWN -> CONNECTING -> CONFIRMING (n of m) -> CATCHING_UP (the follower reads) -> LISTENING

What is heard before a link with a follower has caught up waits for that: what was sent first is
told first.

Length: the life of a link, from the first attempt to the end, is read here in one piece.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from statusd.core.errors import StatusdError, Unavailable
from statusd.core.text import shown
from statusd.wire.address import Address
from statusd.wire.backoff import Backoff
from statusd.wire.connection import CONNECT_S, LATE_S, Connection, Hearer
from statusd.wire.early import Early
from statusd.wire.outbox import Outgoing, RedisCommand
from statusd.wire.reach import find
from statusd.wire.server import Server
from statusd.wire.subscriptions import Subscriptions

MOST_IN_FLIGHT = 1024
"""So many commands are sent ahead of their replies."""
FORGIVE_S = 5.0
"""A link that was up for so long, and could write, begins with short waits when it is lost."""
MASTER_S = 2.0
"""How often the Sentinels are asked whether the master is still the same, in seconds."""


class LinkState(enum.Enum):
    """What a link knows of itself."""

    DOWN = "DOWN"
    CONNECTING = "CONNECTING"
    CONFIRMING = "CONFIRMING"
    CATCHING_UP = "CATCHING_UP"
    LISTENING = "LISTENING"


_LISTENING = LinkState.LISTENING


class Listener(Hearer, Protocol):
    """Whom a link tells what it hears; all calls come from the loop's own thread."""

    def link_changed(self, link: Link) -> None:
        """``link.state`` is new: it is LISTENING, or it is no longer."""

    def link_failed(self, link: Link) -> None:
        """Another attempt to connect failed; ``link.trouble`` says why."""

    def channel_refused(self, channel: str, reason: str) -> None:
        """The broker doesn't let us hear ``channel``, again perhaps; the others are heard."""

    def channel_heard(self, channel: str) -> None:
        """``channel`` was refused, and is heard now."""


class Follower(Protocol):
    """Who asks more of a hearing link than what its channels bring: the stream's reader."""

    def confirmed(self) -> None:
        """A new connection hears its channels: ask (`Link.ask`), then say `Link.caught_up`."""

    def lost(self) -> None:
        """The connection that was confirmed is lost."""

    def replied(self, line: RedisCommand, reply: object) -> None:
        """The broker replied to what was asked; an error is a `hiredis.ReplyError` value.

        Raises:
            Unreadable: it is no answer to that.
        """


class Link:
    """Keeps one connection to the broker for as long as the daemon lives.

    Args:
        address: the broker.
        client_name: how CLIENT LIST shows us.
        listener: whom to tell.
        draw: returns a number in [0, 1), for the jitter of the back-off.
        clock: a clock in seconds that nobody sets, to compare with the broker's.
        channels: names and glob patterns to hear; empty for a link that sends.
    """

    def __init__(
        self,
        address: Address,
        client_name: str,
        listener: Listener,
        *,
        draw: Callable[[], float],
        clock: Callable[[], float],
        channels: Sequence[str] = (),
    ) -> None:
        self.address = address
        self.client_name = client_name
        self.listener = listener
        self.subscriptions = Subscriptions(channels)
        self.outbox = Outgoing()
        self.state = LinkState.DOWN
        self.trouble = ""
        self.server = Server(clock)
        self.follower: Follower | None = None
        self.all_answered: Callable[[], None] = lambda: None
        """Called when other channels, on the same connection, are all confirmed or refused."""
        self.proved: Callable[[], None] = lambda: None
        """Called when a connection has written something for the first time."""
        self.refused = 0
        """So many connections in a row were given up for an error of the broker."""
        self.backoff = Backoff(draw)
        self.ticks = 0
        """How many connections were tried."""
        self._due = 0.0
        self._up_at = 0.0
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect, and never stop trying. Must be called on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def hurry(self) -> None:
        """Try again now instead of when the back-off is over."""
        self.backoff.hurry()

    def listen_to(self, channels: Sequence[str]) -> None:
        """Hear other channels from now on, without losing a message on those that stay."""
        self.subscriptions.want(channels)
        if self._connection is not None:
            self._connection.subscribe()

    @property
    def is_answered(self) -> bool:
        """Tell whether every channel that was asked for is confirmed or refused."""
        return self.state is _LISTENING and not self.subscriptions.unanswered

    def doubt(self, reason: str) -> None:
        """Throw the present connection away, and make another."""
        if self._connection is not None:
            self._connection.doubt(reason)

    def heard_at(self) -> float:
        """Return when the broker said something last (loop's time); now, without a connection."""
        connection = self._connection
        return connection.heard_at if connection is not None else asyncio.get_running_loop().time()

    @property
    def progress(self) -> tuple[int, float]:
        """What changes with each attempt to connect, and whenever the broker says something."""
        return self.ticks, self._connection.heard_at if self._connection is not None else 0.0

    @property
    def answer_s(self) -> float:
        """How long the broker took to answer the present connection's greeting, in seconds."""
        return self._connection.answer_s if self._connection is not None else 0.0

    def unheard_s(self, now: float) -> float:
        """Return for how long the broker has pushed nothing, in seconds (loop's time)."""
        return now - self._connection.pushed_at if self._connection is not None else 0.0

    def is_overdue(self, now: float) -> bool:
        """Tell whether the next attempt, or its end, should have come by now (loop's time).

        A connection that stands is never overdue, however silent: it has deadlines of its own.
        """
        if self._task is None or self._task.done():
            return True
        if self._connection is not None:
            return self._connection.lost.done()
        return now > self._due

    def ask(self, *lines: RedisCommand) -> None:
        """Send what the follower wants to know; lost with the connection if it has no reply."""
        if self._connection is not None:
            self._connection.ask(lines)

    def flush(self) -> None:
        """Send what waits in the outbox, if the link is up and not too far ahead of the replies."""
        connection, outbox = self._connection, self.outbox
        if connection is None or self.state is not _LISTENING:
            return
        lines = outbox.take(MOST_IN_FLIGHT)
        if lines:
            connection.send(lines)

    async def close(self) -> None:
        """Hang up for good."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.state = LinkState.DOWN

    # ---- the life ------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Live through one connection after the other; the only place that reconnects."""
        loop = asyncio.get_running_loop()
        while True:
            self.ticks += 1
            self._due = loop.time() + CONNECT_S + LATE_S
            hearer = self.listener if self.follower is None else Early(self.listener)
            connection = Connection(self, hearer, self.outbox, self.subscriptions)
            try:
                self.trouble = await self._live(connection)
            finally:
                connection.abort()
                self._connection = None
            self._left()
            wait_s = self.backoff.next_s()
            self._due = loop.time() + wait_s + LATE_S
            await self.backoff.wait(wait_s)

    async def _live(self, connection: Connection) -> str:
        """Return why ``connection`` can't be used any more."""
        self.state = LinkState.CONNECTING
        try:
            async with asyncio.timeout(CONNECT_S):
                address = await find(self.address)
                await connection.open(address, self.client_name)
            self.state, self._connection = LinkState.CONFIRMING, connection
            connection.subscribe()  # to what is wanted since it was made
            return await self._until_lost(connection, address)
        except TimeoutError:
            return f"no connection within {CONNECT_S:g} s"
        except (OSError, UnicodeError, StatusdError) as error:
            return shown(getattr(error, "strerror", None) or error)
        except Exception as error:  # e.g. what a Sentinel says: no reason to stay away for good
            return shown(f"{type(error).__name__}: {error}")

    async def _until_lost(self, connection: Connection, address: Address) -> str:
        if not self.address.sentinels:
            return await connection.lost
        watching = asyncio.create_task(self._watch_master(connection, address))
        try:
            return await connection.lost
        finally:
            watching.cancel()

    async def _watch_master(self, connection: Connection, there: Address) -> None:
        """Doubt a connection to a server that isn't the master any more.

        It may still echo whatever we send, and yet nobody else speaks there.
        """
        while True:
            await asyncio.sleep(MASTER_S)
            try:
                now = await find(self.address)
            except Unavailable:  # no Sentinel can be asked: no news
                continue
            except Exception as error:  # what it says can't be read
                connection.doubt(f"the Sentinels: {type(error).__name__}: {error}")
                return
            if (now.host, now.port) != (there.host, there.port):
                connection.doubt(f"the master is {now} now")

    def _left(self) -> None:
        was, self.state = self.state, LinkState.DOWN
        self.outbox.rewind()
        self.server.client_id = 0
        if was is _LISTENING and self._is_forgiven():
            self.backoff.failures = 0
        if self.follower is not None and was in (LinkState.CATCHING_UP, _LISTENING):
            self.follower.lost()
        if was is _LISTENING:
            self.listener.link_changed(self)
        else:
            self.listener.link_failed(self)

    def _is_forgiven(self) -> bool:
        """Tell whether the connection that is lost was a good one."""
        is_old = asyncio.get_running_loop().time() - self._up_at >= FORGIVE_S
        return is_old and not self.refused

    def caught_up(self) -> None:
        """What was missed has been read: from here on we listen."""
        self.state, self.trouble = _LISTENING, ""
        self._up_at = asyncio.get_running_loop().time()
        if self.subscriptions.wanted:  # to hear is all that it has to
            self.refused = 0
        if self._connection is not None:
            early, self._connection.hearer = self._connection.hearer, self.listener
            if isinstance(early, Early):
                early.hand_on()
        self.listener.link_changed(self)
        self.flush()

    # ---- what the connection tells -------------------------------------------------------------

    def greeted(self, line: RedisCommand, reply: object) -> str:
        """Take the reply to a line of the greeting; return what speaks against the broker."""
        must_be_master = bool(self.address.sentinels)
        return self.server.greeted(line, reply, must_be_master=must_be_master)

    def confirmed(self) -> None:
        """The connection is greeted and each channel confirmed or refused."""
        if objection := self.subscriptions.objection():
            self.doubt(objection)
            return
        for channel, reason in list(self.subscriptions.refused.items()):
            self.listener.channel_refused(channel, reason)
        if self.state is not LinkState.CONFIRMING:
            self.all_answered()
        elif self.follower is None:
            self.caught_up()
        else:
            self.state = LinkState.CATCHING_UP
            self.follower.confirmed()

    def answered(self, line: RedisCommand, refusal: str) -> None:
        """Take note of what is heard."""
        if self.subscriptions.answered(line, refusal):
            self.listener.channel_heard(cast(bytes, line[1]).decode())

    def replied(self, line: RedisCommand, reply: object) -> None:
        """Pass on what the follower has asked for."""
        if self.follower is not None:
            self.follower.replied(line, reply)

    def wrote(self) -> None:
        """The server is a master: whatever was refused before is over."""
        self.refused = 0
        self.proved()

    def turned_away(self) -> None:
        """Count it: who is turned away again and again waits longer."""
        self.refused += 1
