"""One connection to the broker: greeted once, its replies in order, never used after a doubt.

Rules of this file: whatever comes is the answer to the oldest question, a message, or a doubt; what
can't be read is a doubt, and so is silence where an answer is due.

Length: one conversation with the broker, each answer beside its question.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol, cast

import hiredis

from statusd.core.text import shown
from statusd.wire.address import Address
from statusd.wire.greeting import UNGREETED
from statusd.wire.outbox import Outgoing, RedisCommand
from statusd.wire.reach import connect
from statusd.wire.resp import NOTHING, pack_all, reader
from statusd.wire.subscriptions import ASKING, Subscriptions

CONNECT_S = 2.0
"""The longest wait for a connection, and again for the broker's confirmations, in seconds."""
REPLY_S = 4.0
"""A sending connection that waits so long for any reply is in doubt."""
RETRY_S = 5.0
"""A channel that was refused is asked for again after this time: the right may be there by then."""
LATE_S = 1.0
"""A look that comes so much too late says nothing of the broker, and is repeated."""
MAX_MESSAGE = 64 * 1024 * 1024
"""A reply that is longer than this (bytes) and still not whole puts the connection in doubt."""
BUFFER = 64 * 1024
"""So many bytes are read at once."""

_DOUBTFUL = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "UNBLOCKED")
"""Errors that say nothing of the command: the server isn't, or isn't any more, the right one."""
_WRITES = ("SET", "XADD", "HSET", "DEL")
"""Whoever carries these out is a master; a replica answers everything else as well."""
_CONFIRMATIONS = (b"subscribe", b"psubscribe", b"unsubscribe", b"punsubscribe")


class Hearer(Protocol):
    """Whom a connection tells its messages."""

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take one message."""

    def read_complete(self) -> None:
        """All that had arrived together has been told."""


class Events(Protocol):
    """Whom a connection tells what becomes of it; all calls come from the loop's own thread."""

    def greeted(self, line: RedisCommand, reply: object) -> str:
        """The broker replied to a line of the greeting; return what speaks against it.

        Raises:
            Unreadable: it is no answer to that.
        """

    def confirmed(self) -> None:
        """It is greeted, and the broker has answered for each channel that it was asked for."""

    def answered(self, line: RedisCommand, refusal: str) -> None:
        """The broker has carried out a ``line`` of the subscriptions, or refuses it so."""

    def replied(self, line: RedisCommand, reply: object) -> None:
        """The broker replied to what was asked by `Connection.ask`.

        Raises:
            Unreadable: it is no answer to that.
        """

    def wrote(self) -> None:
        """It has written something for the first time."""

    def turned_away(self) -> None:
        """The server isn't the right one any more, as it says itself; doubt follows."""

    def flush(self) -> None:
        """There is room for what waits in the outboxes."""


class Connection(asyncio.BufferedProtocol):
    """One epoch of a link.

    Args:
        events: whom to tell what becomes of it.
        hearer: whom to tell its messages; another one may take his place at any time.
        outbox: gets the replies to what `send` was given of it.
        subscriptions: what is to be heard.
    """

    def __init__(
        self,
        events: Events,
        hearer: Hearer,
        outbox: Outgoing,
        subscriptions: Subscriptions,
    ) -> None:
        self.hearer = hearer
        self._events = events
        self._outbox = outbox
        self._subscriptions = subscriptions
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Done when it can't be used any more; says why."""
        self._reader = reader()
        self._transport: asyncio.Transport | None = None
        self._greeting: deque[RedisCommand] = deque()
        self._asked: deque[RedisCommand] = deque()
        # A buffer of our own: a plain Protocol costs three system calls of memory for each message.
        self._buffer = bytearray(BUFFER)
        self._unfinished = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.heard_at = self._told_at = 0.0
        """When the broker said something last, and a whole reply (loop's time)."""
        self._speaks = False
        """Every reply from now on is to a line of the outbox."""
        self._sends = False
        """And something was written already."""
        self.answer_s = 0.0
        """How long the broker took to answer the greeting; 0 before that."""
        self._made_at = 0.0
        self.pushed_at = 0.0
        """When the broker pushed something last (loop's time): replies prove no subscription."""

    async def open(self, address: Address, client_name: str) -> None:
        """Connect to ``address`` and greet.

        Raises:
            OSError, StatusdError: as the system, TLS or the password file has it.
        """
        self._greeting.extend((*address.greeting(client_name), ("TIME",)))
        await connect(self, address)

    def abort(self) -> None:
        """Throw the connection away, with what is still in its buffers."""
        for timer in self._timers.values():
            timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def doubt(self, reason: str) -> None:
        """Never use this connection again, for ``reason``."""
        self._sends = self._speaks = False
        if not self.lost.done():
            self.lost.set_result(shown(reason))
        self.abort()

    def send(self, lines: Sequence[RedisCommand]) -> None:
        """Write ``lines`` at once; their replies come in order."""
        transport = self._transport
        if transport is None:
            return
        transport.write(pack_all(lines))
        if "reply" not in self._timers:
            self.heard_at = self._told_at = self._loop.time()
            self._timers["reply"] = self._loop.call_later(REPLY_S, self._check_replies)

    def ask(self, lines: Sequence[RedisCommand]) -> None:
        """Write ``lines`` that are none of the outbox; their replies come in order."""
        self._asked.extend(lines)
        self.send(lines)

    def subscribe(self) -> None:
        """Ask for what is wanted and neither heard nor asked for, and give up the rest."""
        self._stop("retry")
        lines = self._subscriptions.changes()
        if lines and self._transport is not None:
            self._asked.extend(lines)
            self._transport.write(pack_all(lines))
        if self._subscriptions.unanswered and "confirm" not in self._timers:
            self._confirm_within(REPLY_S)

    def _stop(self, timer: str) -> None:
        if timer in self._timers:
            self._timers.pop(timer).cancel()

    def _confirm_within(self, patience_s: float) -> None:
        timer = self._loop.call_later(patience_s, self._unconfirmed_too_long, patience_s)
        self._timers["confirm"] = timer

    def _unconfirmed_too_long(self, patience_s: float) -> None:
        del self._timers["confirm"]
        self.doubt(f"{self._subscriptions.progress() or 'no answer'} within {patience_s:g} s")

    def _check_replies(self) -> None:
        del self._timers["reply"]
        if not self._outbox.in_flight and not self._asked:
            return
        # Whatever comes is a sign of life where a reply may stand behind megabytes of messages;
        # where there are replies alone, only a whole one is.
        silent_s = self._loop.time() - (self._told_at if self._speaks else self.heard_at)
        if silent_s >= REPLY_S + LATE_S:
            # We were stopped or starved: the loop tells timers before it reads what has arrived.
            self.heard_at += silent_s - REPLY_S + LATE_S
            self._told_at += silent_s - REPLY_S + LATE_S
            silent_s = REPLY_S - LATE_S
        if silent_s >= REPLY_S:
            self.doubt(f"no reply for {silent_s:.0f} s")
        else:
            again_s = REPLY_S - silent_s
            self._timers["reply"] = self._loop.call_later(again_s, self._check_replies)

    # ---- asyncio.BufferedProtocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, name ourselves and subscribe in one write."""
        self._transport = cast(asyncio.Transport, transport)
        self._made_at = self._loop.time()
        self._asked.extend(self._subscriptions.begin())
        self._transport.write(pack_all((*self._greeting, *self._asked)))
        self._confirm_within(CONNECT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side hung up, or the system gave the connection up."""
        why = str(exc) if exc else "closed by the broker"
        is_greeted = not self._greeting or self._greeting[0][0] != "HELLO"
        self.doubt(why if is_greeted else f"{why}, {UNGREETED}")

    def get_buffer(self, sizehint: int) -> bytearray:
        """Say where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what arrived: the hot path."""
        self.heard_at = self._loop.time()
        gets, pushed, outbox = self._reader.gets, False, self._outbox
        hear, push, error = self.hearer.hear, hiredis.PushNotification, hiredis.ReplyError
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
                        hear = self.hearer.hear
                        if self.lost.done():
                            break
                elif type(reply) is error or not (self._sends and outbox.passed()):
                    self._take_reply(reply)
                    hear = self.hearer.hear
                    if self.lost.done():
                        break
                reply = gets()
        except hiredis.ProtocolError as broken:
            self.doubt(f"not RESP: {broken}")
        except Exception as error:  # the one place: what can't be read costs the link, no more
            self.doubt(f"what it says can't be read: {type(error).__name__}: {error}")
        if pushed:
            self.pushed_at = self.heard_at
        self.hearer.read_complete()
        if self._speaks and not outbox.in_flight:
            self._events.flush()

    def _watch_length(self, more: int) -> None:
        self._unfinished += more
        if self._unfinished > MAX_MESSAGE:
            self.doubt(f"a message longer than {MAX_MESSAGE} bytes")

    # ---- what the broker says ----------------------------------------------------------------

    def _take_push(self, push: list[Any]) -> None:
        kind = push[0]
        if kind == b"pmessage":
            if self._subscriptions.counts(push[1], push[2]):
                self.hearer.hear(push[2], push[3])
        elif kind in _CONFIRMATIONS:
            line = (kind.decode().upper(), push[1])
            if not self._asked or self._asked[0] != line:
                self.doubt(f"an unrequested {kind.decode()}")
                return
            self._events.answered(self._asked.popleft(), "")
            if line[0] in ASKING:
                self._maybe_confirmed()

    def _take_reply(self, reply: object) -> None:
        is_error = isinstance(reply, hiredis.ReplyError)
        if self._greeting:
            self.answer_s = self.answer_s or self.heard_at - self._made_at
            why = self._events.greeted(self._greeting.popleft(), reply)
            if why:
                self.doubt(why)
            self._maybe_confirmed()
        elif is_error and str(reply).startswith(_DOUBTFUL):
            self._events.turned_away()
            self.doubt(str(reply))
        elif self._asked:
            self._take_answer(self._asked.popleft(), reply)
        elif self._outbox.in_flight:
            self._take_reply_to_line(reply, is_error=is_error)
        else:
            self.doubt(f"an unrequested reply: {str(reply)[:80]}")

    def _take_answer(self, line: RedisCommand, reply: object) -> None:
        """Take the reply to what was asked; a channel has one only if it is refused."""
        if line[0] in ASKING and isinstance(reply, hiredis.ReplyError):
            self._events.answered(line, shown(str(reply)))
            self._maybe_confirmed()
        elif line[0] in (*ASKING, "UNSUBSCRIBE", "PUNSUBSCRIBE"):
            self.doubt(f"no answer to {line[0]!s}: {str(reply)[:80]}")
        else:
            self._events.replied(line, reply)

    def _take_reply_to_line(self, reply: object, *, is_error: bool) -> None:
        """Take a reply that is an error, or awaited, or comes before the first good write."""
        outbox = self._outbox
        if not (self._sends or is_error) and outbox.oldest[0] in _WRITES:
            self._sends = self._speaks
            self._events.wrote()
        if is_error or not outbox.passed():
            outbox.replied(reply)

    def _maybe_confirmed(self) -> None:
        if self._subscriptions.unanswered or self._greeting or self.lost.done():
            return
        self._stop("confirm")
        if self._subscriptions.refused:
            self._stop("retry")
            self._timers["retry"] = self._loop.call_later(RETRY_S, self.subscribe)
        self._speaks = not self._subscriptions.wanted
        self._events.confirmed()
