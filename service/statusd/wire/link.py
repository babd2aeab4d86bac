"""A link to the broker that tells the truth about itself and is thrown away when in doubt.

One class for both directions: a link with channels hears, one without sends. Rules of this file:
being subscribed is a state that only the confirmation of each channel brings; a connection is
never used after an error, and whatever can't be read is one; the first connection is made like
every later one.

    DOWN -> CONNECTING -> CONFIRMING (n of m) -> CATCHING_UP (the follower reads) -> LISTENING

What is heard before a link with a follower has caught up waits for that: what was sent first is
told first.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import hiredis

from statusd.core.bounds import MOST_BOOT, MOST_COUNT, Unreadable, decimal, whole
from statusd.core.errors import StatusdError, Unavailable
from statusd.core.text import shown
from statusd.wire.address import Address
from statusd.wire.dial import find_master
from statusd.wire.names import is_pattern
from statusd.wire.outbox import Outgoing, RedisCommand
from statusd.wire.patterns import MOST_BYTES, glob
from statusd.wire.resp import NOTHING, complaint, pack_all, reader

CONNECT_S = 2.0
"""The longest wait for a connection, and again for the broker's confirmations, in seconds."""
REPLY_S = 4.0
"""A sending link that waits so long for any reply is in doubt."""
LATE_S = 1.0
"""A look that comes so much too late says nothing of the broker, and is repeated."""
BACKOFF_S = (0.05, 1.0)
"""The first and the longest mean wait before another connection, in seconds."""
MAX_MESSAGE = 64 * 1024 * 1024
"""A reply that is longer than this (bytes) and still not whole puts the link in doubt."""
BUFFER = 64 * 1024
"""So many bytes are read at once."""
MOST_IN_FLIGHT = 1024
"""So many commands are sent ahead of their replies."""

MOST_EARLY = 10_000
"""So many messages wait for the link to have caught up; more of them are told at once."""
FORGIVE_S = 5.0
"""A link that was up for so long, and could write, begins with short waits when it is lost."""
MASTER_S = 2.0
"""How often the Sentinels are asked whether the master is still the same, in seconds."""

_MOST_ROUTES = 1024
_DOUBTFUL = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "UNBLOCKED")
"""Errors that say nothing of the command: the server isn't, or isn't any more, the right one."""
_WRITES = ("SET", "XADD", "HSET", "DEL")
"""Whoever carries these out is a master; a replica answers everything else as well."""


class LinkState(enum.Enum):
    """What a link knows of itself."""

    DOWN = "DOWN"
    CONNECTING = "CONNECTING"
    CONFIRMING = "CONFIRMING"
    CATCHING_UP = "CATCHING_UP"
    LISTENING = "LISTENING"


_LISTENING = LinkState.LISTENING


class Listener(Protocol):
    """Whom a link tells what it hears; all calls come from the loop's own thread."""

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take one message."""

    def settle(self) -> None:
        """All that had arrived together has been told."""

    def link_changed(self, link: Link) -> None:
        """``link.state`` is new: it is LISTENING, or it is no longer."""

    def link_failed(self, link: Link) -> None:
        """Another attempt to connect failed; ``link.trouble`` says why."""


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


@dataclass(frozen=True, slots=True)
class Server:
    """What the broker says of itself, and how far its clock is ahead of `Link.clock`, in seconds.

    ``ahead_s`` is None as long as the broker hasn't told the time.
    """

    software: str = ""
    version: str = ""
    ahead_s: float | None = None


def backoff_s(failures: int, draw: float) -> float:
    """Return the wait before the next connection, in seconds: doubling, capped, fully jittered.

    Args:
        failures: how many have failed since the link was up last.
        draw: a number in [0, 1); 0.5 gives the mean.
    """
    first_s, longest_s = BACKOFF_S
    return min(longest_s, first_s * 2.0 ** min(failures, 16)) * 2 * draw


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
        self.names = tuple(c.encode() for c in channels if not is_pattern(c))
        self.patterns = tuple(c.encode() for c in channels if is_pattern(c))
        self.outbox = Outgoing()
        self.state = LinkState.DOWN
        self.trouble = ""
        self.server = Server()
        self.clock = clock
        self.follower: Follower | None = None
        self.heard_all: Callable[[], None] = lambda: None
        """Called when other channels, on the same connection, are all confirmed."""
        self.proved: Callable[[], None] = lambda: None
        """Called when a connection has written something for the first time."""
        self.ignored = 0
        """So many messages had a channel with too long a name."""
        self.client_id = 0
        """What the broker calls the present connection."""
        self.refused = 0
        """So many connections in a row were given up for an error of the broker."""
        self._draw = draw
        self.failures = 0
        """How many were lost or failed since one was up for a while."""
        self.ticks = 0
        """How many connections were tried."""
        self._due = 0.0
        self._up_at = 0.0
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def start(self) -> None:
        """Begin to connect, and never stop trying. Must be called on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def hurry(self) -> None:
        """Try again now instead of when the back-off is over."""
        self.failures = 0
        self._hurry.set()

    def listen_to(self, channels: Sequence[str]) -> None:
        """Hear other channels from now on, without losing a message on those that stay."""
        self.names = tuple(c.encode() for c in channels if not is_pattern(c))
        self.patterns = tuple(c.encode() for c in channels if is_pattern(c))
        if self._connection is not None:
            self._connection.subscribe_anew()

    @property
    def hears_all(self) -> bool:
        """Tell whether every channel that was asked for is confirmed."""
        connection = self._connection
        return connection is not None and connection.is_confirmed and self.state is _LISTENING

    def take_time(self, reply: object) -> None:
        """Take note of the broker's clock.

        Raises:
            Unreadable: that is no reply to TIME; an error is one, and says nothing.
        """
        if isinstance(reply, hiredis.ReplyError):
            return
        if not isinstance(reply, list) or len(reply) != 2:
            raise Unreadable("the reply to TIME is none")
        seconds, micros = decimal(reply[0], MOST_BOOT // 1000), decimal(reply[1], 999_999)
        self.server = replace(self.server, ahead_s=seconds + micros / 1e6 - self.clock())

    def broker_time(self) -> float | None:
        """Return the broker's wall clock in seconds, or None as long as it hasn't told it."""
        ahead_s = self.server.ahead_s
        return None if ahead_s is None else self.clock() + ahead_s

    def doubt(self, reason: str) -> None:
        """Throw the present connection away, and make another."""
        if self._connection is not None:
            self._connection.doubt(reason)

    def heard_at(self) -> float:
        """Return when the broker said something last (loop's time); now, without a connection."""
        connection = self._connection
        return connection.heard_at if connection is not None else asyncio.get_running_loop().time()

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

    async def close(self) -> None:
        """Hang up for good."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.state = LinkState.DOWN

    async def _keep(self) -> None:
        """Live through one connection after the other; the only place that reconnects."""
        loop = asyncio.get_running_loop()
        while True:
            self.ticks += 1
            self._due = loop.time() + CONNECT_S + LATE_S
            connection = Connection(self)
            try:
                self.trouble = await self._live(connection)
            finally:
                connection.abort()
                self._connection = None
            self._left()
            wait_s = backoff_s(self.failures, self._draw())
            self.failures += 1
            self._due = loop.time() + wait_s + LATE_S
            # Not wait_for: before Python 3.12 it may lose a cancellation (cpython issue 86296).
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._hurry.wait()
            self._hurry.clear()

    async def _live(self, connection: Connection) -> str:
        """Return why ``connection`` can't be used any more."""
        self.state = LinkState.CONNECTING
        try:
            async with asyncio.timeout(CONNECT_S):
                address = await self._find()
                await connection.open(address)
            self.state, self._connection = LinkState.CONFIRMING, connection
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

    async def _find(self) -> Address:
        """Return where the broker is now; asks the Sentinels if there are any."""
        if not self.address.sentinels:
            return self.address
        with _threads_are_few():
            return await asyncio.to_thread(find_master, self.address)

    async def _watch_master(self, connection: Connection, there: Address) -> None:
        """Doubt a connection to a server that isn't the master any more.

        It may still echo whatever we send, and yet nobody else speaks there.
        """
        while True:
            await asyncio.sleep(MASTER_S)
            try:
                now = await self._find()
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
        self.client_id = 0
        if was is _LISTENING and self._is_forgiven():
            self.failures = 0
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

    def confirmed(self) -> None:
        """The connection is greeted and each channel confirmed (called by the connection)."""
        if self.state is _LISTENING:
            self.heard_all()
            return
        if self.follower is None:
            self.caught_up()
        else:
            self.state = LinkState.CATCHING_UP
            self.follower.confirmed()

    def caught_up(self) -> None:
        """What was missed has been read: from here on we listen."""
        self.state, self.trouble = _LISTENING, ""
        self._up_at = asyncio.get_running_loop().time()
        if self.names or self.patterns:  # to hear is all that it has to
            self.refused = 0
        if self._connection is not None:
            self._connection.tell_early()
        self.listener.link_changed(self)
        self.flush()

    def flush(self) -> None:
        """Send what waits in the outbox, if the link is up and not too far ahead of the replies."""
        connection, outbox = self._connection, self.outbox
        if connection is None or self.state is not _LISTENING:
            return
        lines = outbox.take(MOST_IN_FLIGHT)
        if lines:
            connection.send(lines)


class Connection(asyncio.BufferedProtocol):
    """One epoch of a link: greeted once, never used after the first doubt.

    Args:
        link: whose it is; gets what is heard and replied.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._listener = link.listener
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._reader = reader()
        self._transport: asyncio.Transport | None = None
        self._greeting: list[RedisCommand] = []
        self._asked: deque[RedisCommand] = deque()
        self._early: list[tuple[bytes, bytes]] | None = None if link.follower is None else []
        """What was heard before the link had caught up; None since then."""
        self._unconfirmed = set(link.names) | set(link.patterns)
        self._ahead = 0
        """So many replies come before one that can refuse a channel."""
        self._unwanted: set[bytes] = set()
        self._subscribed = (frozenset(link.names), frozenset(link.patterns))
        self._routes: dict[bytes, bytes] = {}
        self._globs = [(pattern, glob(pattern)) for pattern in link.patterns]
        # A buffer of our own: a plain Protocol costs three system calls of memory for each message.
        self._buffer = bytearray(BUFFER)
        self._unfinished = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._confirming: asyncio.TimerHandle | None = None
        self.heard_at = self._told_at = 0.0
        """When the broker said something last, and a whole reply (loop's time)."""
        self._speaks = False
        """Every reply from now on is to a line of the outbox."""
        self._sends = False
        """And something was written already."""
        self.pushed_at = 0.0
        """When the broker pushed something last (loop's time): replies prove no subscription."""

    async def open(self, address: Address) -> None:
        """Connect to ``address`` and greet.

        Raises:
            OSError, StatusdError: as the system, TLS or the password file has it.
        """
        self._greeting = [*address.greeting(self._link.client_name), ("TIME",)]
        if address.path:
            await self._loop.create_unix_connection(lambda: self, address.path)
            return
        tls = address.tls.context() if address.tls else None
        with _threads_are_few():  # a name is looked up in one
            await self._loop.create_connection(lambda: self, address.host, address.port, ssl=tls)

    def abort(self) -> None:
        """Throw the connection away, with what is still in its buffers."""
        for timer in (self._deadline, self._confirming):
            if timer is not None:
                timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_confirmed(self) -> bool:
        """Tell whether the broker has confirmed each channel that it was asked for."""
        return not self._unconfirmed

    def send(self, lines: Sequence[RedisCommand]) -> None:
        """Write ``lines`` at once; their replies come in order."""
        transport = self._transport
        if transport is None:
            return
        transport.write(pack_all(lines))
        if self._deadline is None:
            self.heard_at = self._told_at = self._loop.time()
            self._deadline = self._loop.call_later(REPLY_S, self._check_replies)

    def ask(self, lines: Sequence[RedisCommand]) -> None:
        """Write ``lines`` for the link's follower; their replies come in order."""
        self._asked.extend(lines)
        self.send(lines)

    def tell_early(self) -> None:
        """Tell what came before the link had caught up, and from now on everything at once."""
        early, self._early = self._early, None
        for channel, payload in early or ():
            self._listener.hear(channel, payload)

    @property
    def _tell(self) -> Callable[[bytes, bytes], None]:
        """Who takes a message now. A method of ours is never kept: who refers to himself stays
        until the collector comes, for many minutes and with his buffer.
        """
        return self._listener.hear if self._early is None else self._hear_early

    def _hear_early(self, channel: bytes, payload: bytes) -> None:
        assert self._early is not None
        self._early.append((channel, payload))
        if len(self._early) >= MOST_EARLY:  # better out of turn than not at all
            self.tell_early()

    def subscribe_anew(self) -> None:
        """Ask for what the link wants to hear now and doesn't yet, and give up the rest."""
        wanted = (frozenset(self._link.names), frozenset(self._link.patterns))
        lines: list[RedisCommand] = []
        for now, then, prefix in zip(wanted, self._subscribed, ("", "P"), strict=True):
            added, removed = sorted(now - then), sorted(then - now)
            lines += [(f"{prefix}SUBSCRIBE", *added)] if added else []
            lines += [(f"{prefix}UNSUBSCRIBE", *removed)] if removed else []
            self._unconfirmed |= set(added)
            self._unwanted |= set(removed)
        self._subscribed = wanted
        self._routes.clear()
        self._globs = [(pattern, glob(pattern)) for pattern in self._link.patterns]
        if lines and self._transport is not None:
            self._transport.write(pack_all(lines))
        self._ahead = len(self._asked)
        if self._unconfirmed and self._confirming is None:
            self._confirm_within(REPLY_S)

    def _confirm_within(self, patience_s: float) -> None:
        self._confirming = self._loop.call_later(patience_s, self._unconfirmed_too_long, patience_s)

    def _check_replies(self) -> None:
        self._deadline = None
        if not self._link.outbox.in_flight and not self._asked:
            return
        # Whatever comes is a sign of life where a reply may stand behind megabytes of messages;
        # where there are replies alone, only a whole one is.
        silent_s = self._loop.time() - (self._told_at if self._speaks else self.heard_at)
        if silent_s >= REPLY_S + LATE_S:
            # We were stopped or starved: the loop tells timers before it reads what has arrived.
            self.heard_at += silent_s - REPLY_S + LATE_S
            self._told_at += silent_s - REPLY_S + LATE_S
            self._deadline = self._loop.call_later(LATE_S, self._check_replies)
        elif silent_s >= REPLY_S:
            self.doubt(f"no reply for {silent_s:.0f} s")
        else:
            self._deadline = self._loop.call_later(REPLY_S - silent_s, self._check_replies)

    def doubt(self, reason: str) -> None:
        """Never use this connection again, for ``reason``."""
        self._sends = self._speaks = False
        if not self.lost.done():
            self.lost.set_result(shown(reason))
        self.abort()

    # ---- asyncio.BufferedProtocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, name ourselves and subscribe in one write."""
        self._transport = cast(asyncio.Transport, transport)
        _set_socket_options(transport.get_extra_info("socket"))
        lines = list(self._greeting)
        if self._link.names:
            lines.append(("SUBSCRIBE", *self._link.names))
        if self._link.patterns:
            lines.append(("PSUBSCRIBE", *self._link.patterns))
        self._transport.write(pack_all(lines))
        self._confirm_within(CONNECT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side hung up, or the system gave the connection up."""
        self.doubt(str(exc) if exc else "closed by the broker")

    def get_buffer(self, sizehint: int) -> bytearray:
        """Say where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what arrived: the hot path."""
        self.heard_at = self._loop.time()
        gets, pushed, outbox = self._reader.gets, False, self._link.outbox
        hear, push, error = self._tell, hiredis.PushNotification, hiredis.ReplyError
        try:
            self._reader.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type]  # the stub knows bytes only
            reply = gets()
            if reply is NOTHING:
                self._watch_length(nbytes)
                return
            self._unfinished = 0
            self._told_at = self.heard_at
            while reply is not NOTHING:
                if type(reply) is push:
                    pushed = True
                    if reply[0] == b"message":
                        hear(reply[1], reply[2])
                    else:
                        self._take_push(reply)
                        hear = self._tell
                        if self.lost.done():
                            break
                elif type(reply) is error or not (self._sends and outbox.passed()):
                    self._take_reply(reply)
                    hear = self._tell
                    if self.lost.done():
                        break
                reply = gets()
        except hiredis.ProtocolError as broken:
            self.doubt(f"not RESP: {broken}")
        except Exception as error:  # the one place: what can't be read costs the link, no more
            self.doubt(f"what it says can't be read: {type(error).__name__}: {error}")
        if pushed:
            self.pushed_at = self.heard_at
        self._listener.settle()
        if self._speaks and not outbox.in_flight:
            self._link.flush()

    def _watch_length(self, more: int) -> None:
        self._unfinished += more
        if self._unfinished > MAX_MESSAGE:
            self.doubt(f"a message longer than {MAX_MESSAGE} bytes")

    # ---- what the broker says ----------------------------------------------------------------

    def _take_push(self, push: list[Any]) -> None:
        kind = push[0]
        if kind == b"pmessage":
            if len(push[2]) > MOST_BYTES:  # nobody calls a channel so in good faith
                self._link.ignored += 1
            elif self._route(push[2]) == push[1]:
                self._tell(push[2], push[3])
        elif kind in (b"subscribe", b"psubscribe"):
            if push[1] not in self._unconfirmed:
                self.doubt(f"an unrequested {kind.decode()}")
            self._unconfirmed.discard(push[1])
            self._maybe_confirmed()
        elif kind in (b"unsubscribe", b"punsubscribe") and push[1] in self._unwanted:
            self._unwanted.discard(push[1])
        elif kind in (b"unsubscribe", b"punsubscribe"):
            self.doubt(f"an unrequested {kind.decode()}")

    def _route(self, channel: bytes) -> bytes:
        """Return the one subscription by which a message on ``channel`` counts.

        The broker delivers it once for the name and once for each pattern that fits.
        """
        route = self._routes.get(channel)
        if route is None:
            fitting = (pattern for pattern, known in self._globs if known.fits(channel))
            route = channel if channel in self._link.names else next(fitting, b"")
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[channel] = route
        return route

    def _take_reply(self, reply: object) -> None:
        is_error = isinstance(reply, hiredis.ReplyError)
        if self._greeting:
            self._take_greeting(self._greeting.pop(0), reply)
        elif is_error and str(reply).startswith(_DOUBTFUL):
            self._link.refused += 1
            self.doubt(str(reply))
        elif is_error and self._unconfirmed and not self._ahead:
            self.doubt(str(reply))
        elif self._asked:
            line = self._asked.popleft()
            self._ahead = max(0, self._ahead - 1)
            if self._link.follower is not None:
                self._link.follower.replied(line, reply)
        elif self._link.outbox.in_flight:
            self._take_reply_to_line(reply, is_error=is_error)
        else:
            self.doubt(f"an unrequested reply: {str(reply)[:80]}")

    def _take_reply_to_line(self, reply: object, *, is_error: bool) -> None:
        """Take a reply that is an error, or awaited, or comes before the first good write."""
        link = self._link
        if not (self._sends or is_error) and link.outbox.oldest[0] in _WRITES:
            self._sends = self._speaks
            link.refused = 0
            link.proved()
        if is_error or not link.outbox.passed():
            link.outbox.replied(reply)

    def _take_greeting(self, line: RedisCommand, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            if line[0] not in ("CLIENT", "TIME"):
                self.doubt(complaint(reply, line))
                return
        elif line[0] == "HELLO":
            why = self._take_hello(reply)
            if why:
                self.doubt(why)
                return
        elif line[0] == "TIME":
            self._link.take_time(reply)
        elif reply != b"OK":
            raise Unreadable(f"the reply to {line[0]!r} is none")
        self._maybe_confirmed()

    def _take_hello(self, reply: object) -> str:
        """Take in who the broker is; return what speaks against it."""
        link = self._link
        # Whoever listens there may be no Redis, or even we: a connection to a dead port of this
        # machine can meet itself (simultaneous open, RFC 9293 3.5).
        if not isinstance(reply, dict) or reply.get(b"proto") != 3:
            return "whoever answers there is no Redis that speaks RESP3"
        if link.address.sentinels and reply.get(b"role") != b"master":
            return "the Sentinels send us to a server that is no master"
        link.server = replace(_server(reply), ahead_s=link.server.ahead_s)
        link.client_id = whole(reply.get(b"id", 0), MOST_COUNT)
        return ""

    def _maybe_confirmed(self) -> None:
        if self._unconfirmed or self._greeting or self.lost.done():
            return
        if self._confirming is not None:
            self._confirming.cancel()
            self._confirming = None
        self._speaks = not (self._link.names or self._link.patterns)
        self._link.confirmed()

    def _unconfirmed_too_long(self, patience_s: float) -> None:
        self._confirming = None
        total = len(self._link.names) + len(self._link.patterns)
        done = total - len(self._unconfirmed)
        what = f"{done} of {total} channels confirmed" if total else "no answer"
        self.doubt(f"{what} within {patience_s:g} s")


@contextlib.contextmanager
def _threads_are_few() -> Iterator[None]:
    """Raise Unavailable where Python says in its own way that there is no thread to be had."""
    try:
        yield
    except RuntimeError as error:
        if "thread" not in str(error):
            raise
        limits = "the limit on processes is reached (ulimit -u, TasksMax=)"
        raise Unavailable(f"no thread is to be had: {limits}") from None


def _server(reply: dict[bytes, object]) -> Server:
    # Valkey calls itself redis here, for old clients' sake; its own name stands in INFO only.
    return Server(shown(reply.get(b"server", b""), 40), shown(reply.get(b"version", b""), 40))


def _set_socket_options(sock: socket.socket | None) -> None:
    """Ask the kernel to notice a dead peer too: the second line, behind our own deadlines."""
    if sock is None or sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 8000)
