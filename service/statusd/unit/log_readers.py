"""Who reads what the worker prints, and what he is sent: only while he asks for it, and no flood.

A reader asks on the unit's own channel (or its socket) and is sent the last lines; if he follows,
what comes, for as long as his lease runs. Rules of this file: the worker never waits for a reader;
what comes is encoded once for all who read the same; what is more than a second may bring is left
out and counted; without a reader nothing here is ever called.

Length: a lease, from the question to its end, is read together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import hiredis

from statusd.core.status import Status
from statusd.supervision.ring import Place, Ring
from statusd.unit.log_messages import (
    BYTES_A_SECOND,
    LINES_A_SECOND,
    Budget,
    batches,
    encoded,
    message,
    newest,
    standing,
)
from statusd.unit.parts import Parts
from statusd.unit.ports import Ports
from statusd.wire import log_request
from statusd.wire.log_request import LogRequest, Unasked
from statusd.wire.outbox import Outbox, RedisCommand

TICK_S = 0.1
"""So soon after it was printed a line is sent, with all that came meanwhile."""
MOST_ANSWER = 512 * 1024
"""So much of the last lines is told at once, as JSON; the oldest of them are left out."""
MOST_LEASES = 16
"""With more readers the one goes whose lease would run out first."""
MOST_ASKED, LINES_ASKED = 20.0, 500
"""So many questions are answered a second; so many lines that are asked for count as one more."""
MOST_WAITING = 64
"""So many messages wait for the broker at most before nobody else is answered."""

NO_OUTPUT = (
    'its output doesn\'t come by statusd (worker.output = "inherit", or it is an attached program):'
    ' set output = "tagged" in [worker], or a file'
)
TOO_OFTEN = f"it is asked for more than {MOST_ASKED:g} times, or for too many lines, in a second"
TOO_MANY = f"it has more than {MOST_LEASES} readers"
HAS_ENDED = "it has ended"


class Peer(Protocol):
    """A connection of somebody on this host."""

    def write(self, text: str) -> None:
        """Write a line."""


Key = str | Peer
"""Where a reader is sent what he asked for: a channel, or his connection."""


@dataclass(slots=True)
class _Tail:
    """What all are sent who follow the same.

    Args:
        stream: the one that they follow; empty for both.
        place: how far they have been told.
        budget: what they may be sent still; their own, so that no flood costs who follows less.
        seq: the number of the last message.
        leases: until when each reads on (loop's time).
        unanswered: so many messages are on their way to the broker.
        stands: what they know of what stands.
    """

    stream: str
    place: Place
    budget: Budget
    seq: int = 0
    leases: dict[Key, float] = field(default_factory=dict)
    unanswered: int = 0
    stands: dict[str, Any] | None = None


class LogReaders:
    """Keeps the leases of one unit.

    Args:
        parts: of the unit, with what its worker has printed; ports: its world.
        status: knows which life it is.
        refused: gets what the broker refuses; fail: gets what was raised.
    """

    def __init__(
        self,
        parts: Parts,
        ports: Ports,
        status: Status,
        refused: Callable[[RedisCommand, str], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self.channel = parts.names.logs
        self.fail = fail
        self._names, self._status = parts.names, status
        self._ring = parts.means.ring
        """What the worker has printed; None if that doesn't come by us."""
        self._broker, self._loop = ports.broker, ports.loop
        self._refused = refused
        self._outbox: Outbox | None = None
        """Its own, so that no verdict waits behind it and none of it is kept for a next start."""
        self._tails: dict[str, _Tail] = {}
        self._tick: asyncio.TimerHandle | None = None
        self._second, self._asked = 0, 0.0

    # ---- what is asked -----------------------------------------------------------------------

    def hear(self, _: bytes, payload: bytes) -> None:
        """Take a question that came on the unit's channel; who asks is answered where he says."""
        try:
            request = log_request.read(payload, self._names.namespace)
            if request.reply_to:
                self._take(request, request.reply_to)
        except Unasked as unasked:
            if unasked.reply_to:
                self._refuse(unasked.reply_to, unasked.reason)
        self._broker.flush()

    def hear_local(self, line: bytes, peer: Peer) -> bool:
        """Take a line that came by the socket; False if it is no question about output."""
        try:
            self._take(log_request.read(line, self._names.namespace), peer)
        except Unasked as unasked:
            if not unasked.reason or b'"ask"' not in line:
                return False
            self._refuse(peer, unasked.reason)
        return True

    def _take(self, request: LogRequest, key: Key) -> None:
        if self._is_too_much(1.0 + request.lines / LINES_ASKED):
            self._refuse(key, TOO_OFTEN)
        elif self._ring is None:
            self._refuse(key, NO_OUTPUT)
        elif request.follow_s:
            self._follow(request, key, self._ring)
        else:
            self._answer(request, key, self._ring, self._ring.place, 0)

    def _is_too_much(self, asked: float) -> bool:
        second = int(self._loop.time())
        if second != self._second:
            self._second, self._asked = second, 0.0
        self._asked += asked
        is_slow = self._outbox is not None and self._outbox.waiting > MOST_WAITING
        return is_slow or self._asked > MOST_ASKED

    def _refuse(self, key: Key, reason: str) -> None:
        """Say why not; to a flood, nothing."""
        self._is_too_much(1.0)
        if self._asked <= 3 * MOST_ASKED:
            self._send(key, message({**self._head(0), "refused": reason}))

    def _head(self, seq: int) -> dict[str, Any]:
        return {"logs": self._names.name, "boot": self._status.identity.boot, "seq": seq}

    def _follow(self, request: LogRequest, key: Key, ring: Ring) -> None:
        now = self._loop.time()
        tail = self._tails.get(request.stream)
        if tail is None:
            tail = self._tails[request.stream] = _Tail(request.stream, ring.place, Budget(now))
        is_known = tail.leases.get(key, 0.0) > now
        tail.leases[key] = now + request.follow_s
        self._make_room()
        ring.heard = self._soon
        if not is_known or request.after is None:
            self._answer(request, key, ring, tail.place, tail.seq)
            tail.stands = None  # that it is told to him as well
        self._soon()

    def _make_room(self) -> None:
        leases = [(until, key, t) for t in self._tails.values() for key, until in t.leases.items()]
        if len(leases) > MOST_LEASES:
            _, key, tail = min(leases, key=lambda lease: lease[0])
            del tail.leases[key]
            self._send(key, message({**self._head(tail.seq), "ended": TOO_MANY}))

    def _answer(self, request: LogRequest, key: Key, ring: Ring, until: Place, seq: int) -> None:
        """Tell the last lines up to a place; of this boot only those that he hasn't had."""
        start, most = Place(), request.lines
        if request.after is not None:
            most = log_request.MOST_LINES
            is_same = request.boot == self._status.identity.boot
            start = Place(*request.after) if is_same else start
        lines, left_out = ring.between(start, until, most, request.stream)
        if request.after is not None:  # nobody knew how many that would be
            self._asked += len(lines) / LINES_ASKED
        told = [encoded(line) for line in lines if line.at >= request.since]
        fitting = newest(told, MOST_ANSWER)
        left_out += len(told) - len(fitting)
        head = {**self._head(seq), "answer": True}
        if left_out and request.after is not None:
            head["left_out"] = left_out
        *firsts, last = batches(fitting)
        for batch in firsts:
            self._send(key, message({**head, "more": True}, batch))
            head.pop("left_out", None)
        stands = standing(ring, request.stream)
        more = {"standing": stands} if stands and not request.follow_s else {}
        self._send(key, message({**head, "next": list(until), **more}, last))

    # ---- what comes --------------------------------------------------------------------------

    def _soon(self) -> None:
        """Something was printed, and somebody reads."""
        if self._tick is None:
            self._tick = self._loop.call_later(TICK_S, self._pass_on)

    def _pass_on(self) -> None:
        self._tick = None
        now = self._loop.time()
        self._forget_lapsed(now)
        for tail in self._tails.values():
            tail.budget.refill(now)
            if not tail.unanswered and not self._tell(tail):  # else the answer brings us here
                self._soon()
        self._broker.flush()

    def _forget_lapsed(self, now: float) -> None:
        for tail in list(self._tails.values()):
            for key in [key for key, until in tail.leases.items() if until <= now]:
                del tail.leases[key]
            if not tail.leases:
                del self._tails[tail.stream]
        if not self._tails:
            self._rest()

    def _rest(self) -> None:
        """Nobody follows: do nothing any more until somebody asks."""
        if self._ring is not None:
            self._ring.heard = None
        if self._outbox is not None and not self._outbox:  # what is on its way comes back first
            self.close()

    def _tell(self, tail: _Tail) -> bool:
        """Tell what is new, as far as this second allows; return whether that was all."""
        ring = self._ring
        assert ring is not None
        lines, left_out = ring.between(tail.place, ring.place, LINES_A_SECOND, tail.stream)
        texts = newest([encoded(line) for line in lines], BYTES_A_SECOND)
        left_out += len(lines) - len(texts)
        sent = tail.budget.spend(texts)
        rest = lines[len(lines) - len(texts) + sent :]
        stands = standing(ring, tail.stream)
        is_changed = not rest and stands != tail.stands and bool(tail.budget.spend([str(stands)]))
        if sent or is_changed:
            tail.place = _place_before(ring.place, [line.stream for line in rest])
            tail.seq += 1
            head = {**self._head(tail.seq), "next": list(tail.place)}
            head |= {"left_out": left_out} if left_out else {}
            if is_changed:
                head["standing"] = tail.stands = stands
            self._tell_all(tail, message(head, texts[:sent]))
        return not rest and stands == tail.stands

    def _tell_all(self, tail: _Tail, text: str) -> None:
        for key in list(tail.leases):
            if isinstance(key, str):
                tail.unanswered += 1
                self._box().put(("PUBLISH", key, text), partial(self._told, tail, key))
            else:
                key.write(text)

    def _told(self, tail: _Tail, key: str, _: RedisCommand, reply: object) -> bool:
        """Take note of how many have heard it; who isn't there any more is sent nothing more."""
        tail.unanswered -= 1
        is_refused = isinstance(reply, hiredis.ReplyError)
        if reply == 0 or is_refused:
            tail.leases.pop(key, None)
        self._soon()
        return not is_refused

    def _send(self, key: Key, text: str) -> None:
        if isinstance(key, str):
            self._box().put(("PUBLISH", key, text), self._said)
        else:
            key.write(text)

    def _said(self, _: RedisCommand, reply: object) -> bool:
        self._soon()
        return not isinstance(reply, hiredis.ReplyError)

    def _box(self) -> Outbox:
        if self._outbox is None:
            self._outbox = self._broker.open_outbox(self._refused)
            self._outbox.failed = self.fail
        return self._outbox

    # ---- the end -----------------------------------------------------------------------------

    def end(self) -> None:
        """Tell those who follow what is left, and that nothing more comes."""
        for tail in self._tails.values():
            tail.budget = Budget(self._loop.time())
            self._tell(tail)
            self._tell_all(tail, message({**self._head(tail.seq), "ended": HAS_ENDED}))
            tail.leases.clear()

    def close(self) -> None:
        """Give everything back."""
        if self._ring is not None:
            self._ring.heard = None
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if self._outbox is not None:
            self._broker.close_outbox(self._outbox)
            self._outbox = None


def _place_before(place: Place, rest: list[str]) -> Place:
    """Return the place before lines of these streams, which are the last ones."""
    return Place(place.stdout - rest.count("stdout"), place.stderr - rest.count("stderr"))
