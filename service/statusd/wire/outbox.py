"""What waits to be sent while the broker is away or slow: ordered, bounded, resumed in order.

Each unit has an `Outbox` of its own; the sending link takes from all of them (`Outgoing`). Whoever
puts a line in says who is to be told of the reply, and nobody else is asked. Pure: no socket, no
clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

import hiredis

RedisCommand = tuple[bytes | str | int, ...]
"""One Redis command: its name and its arguments."""
OnReply = Callable[[RedisCommand, object], bool | None]
"""Gets a line and the reply to it; an error is a `hiredis.ReplyError` value. True: it needs no
other care than this."""


def _as_told(line: RedisCommand, reply: object) -> None:
    """Leave the reply to ``line`` to who hears of errors."""


class _Awaited(NamedTuple):
    """A line whose reply somebody wants to know; ``slot`` is empty for one among the others."""

    line: RedisCommand
    on_reply: OnReply
    slot: str = ""


class _Watched(NamedTuple):
    """A line of which somebody wants to know only that it was refused."""

    line: RedisCommand
    on_reply: OnReply


_Entry = RedisCommand | _Awaited | _Watched


@dataclass(slots=True, eq=False)
class Outbox:
    """Lines to send in order, and slots of which only the latest value matters.

    Args:
        refused: gets each line that the broker has refused and nobody else takes care of, and why.
        limit: how many lines may wait; beyond it the oldest are dropped and counted: first what is
            only published and nobody waits for, last what is to be kept (a history).
        dropped: how many were.
        lost: how many of these were to be kept.
        beside: lines that the broker has refused and that wait for better times, oldest first.
        ready: of the link; whoever has something to be sent stands in it.
    """

    refused: Callable[[RedisCommand, str], None] = lambda line, reason: None
    limit: int = 10_000
    dropped: int = 0
    lost: int = 0
    beside: deque[RedisCommand] = field(default_factory=deque)
    ready: dict[Outbox, None] = field(default_factory=dict)
    _resent: tuple[RedisCommand, ...] = ()
    _waiting: deque[_Entry] = field(default_factory=deque)
    _slots: dict[str, _Awaited] = field(default_factory=dict)
    _in_flight: deque[_Entry] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._slots) + len(self._in_flight)

    @property
    def waiting(self) -> int:
        """How many lines have not been handed out yet."""
        return len(self._waiting) + len(self._slots)

    def put(self, line: RedisCommand, on_reply: OnReply | None = None) -> None:
        """Add ``line`` behind all others; ``on_reply`` gets whatever the broker says to it."""
        if len(self._waiting) >= self.limit:
            self._make_room()
        self._waiting.append(line if on_reply is None else _Awaited(line, on_reply))
        self.ready[self] = None

    def put_watched(self, line: RedisCommand, on_error: OnReply) -> None:
        """Add ``line`` behind all others; ``on_error`` gets what the broker says, if it refuses."""
        if len(self._waiting) >= self.limit:
            self._make_room()
        self._waiting.append(_Watched(line, on_error))
        self.ready[self] = None

    def _make_room(self) -> None:
        """Drop a tenth of the lines at once: that costs as much as to drop a single one."""
        room = max(1, self.limit // 10)
        for rank in range(3):
            kept: deque[_Entry] = deque()
            for entry in self._waiting:
                if room and _rank(entry) <= rank:
                    room -= 1
                    self.drop(_line(entry)[0])
                else:
                    kept.append(entry)
            self._waiting = kept
            if not room:
                return

    def drop(self, command: object) -> None:
        """Count a line that is lost."""
        self.dropped += 1
        self.lost += command != _PUBLISH

    def put_latest(self, slot: str, line: RedisCommand, on_reply: OnReply = _as_told) -> None:
        """Let ``line`` be what is sent for ``slot``, in place of an older one not sent yet."""
        self._slots[slot] = _Awaited(line, on_reply, slot)
        self.ready[self] = None

    def take(self, most: int) -> list[RedisCommand]:
        """Hand out up to ``most`` lines, in order, slots last; they are in flight until replied."""
        waiting, slots = self._waiting, self._slots
        taken: list[_Entry]
        if len(waiting) <= most:
            taken = list(waiting)
            waiting.clear()
        else:
            taken = [waiting.popleft() for _ in range(most)]
        while not waiting and slots and len(taken) < most:
            slot = next(iter(slots))
            taken.append(slots.pop(slot))
        self._in_flight.extend(taken)
        return list(map(_line, taken))

    def unsent(self, most: int) -> tuple[RedisCommand, ...]:
        """Return the newest ``most`` lines that have no good reply yet, in order; no slots."""
        entries = (*self._in_flight, *self._waiting)
        lines = [_line(entry) for entry in entries if not _slot(entry)]
        return (*self.beside, *lines)[-most:]

    def inherit(self, lines: Sequence[RedisCommand], on_error: OnReply, on_last: OnReply) -> None:
        """Put what a former daemon had sent, perhaps.

        Args:
            on_error: gets what the broker refuses of it; on_last: the reply to the last one.
        """
        for line in lines[:-1]:
            self.put_watched(line, on_error)
        for line in lines[-1:]:
            self.put(line, on_last)
        self._resent = tuple(lines)

    def is_resent(self, line: RedisCommand) -> bool:
        """Tell whether that very line may have been carried out before, and its reply was lost."""
        return any(line is one for one in self._resent)

    @property
    def in_flight(self) -> int:
        """How many lines are handed out and have no reply yet."""
        return len(self._in_flight)

    @property
    def oldest(self) -> RedisCommand:
        """The line whose reply comes next; there must be one in flight."""
        return _line(self._in_flight[0])

    def passed(self) -> bool:
        """Take note of a reply that is no error, if nobody waits for it; else return False."""
        if not self._in_flight or type(self._in_flight[0]) is _Awaited:
            return False
        self._in_flight.popleft()
        return True

    def replied(self, reply: object) -> None:
        """Take note of the reply to the oldest line in flight, and tell who is to know."""
        entry = self._in_flight.popleft()
        line, is_settled = _line(entry), False
        if isinstance(entry, _Awaited | _Watched):
            is_settled = bool(entry.on_reply(line, reply))
        if isinstance(reply, hiredis.ReplyError) and not is_settled:
            self.refused(line, str(reply))

    def rewind(self) -> None:
        """Take back what is in flight: the link is lost, the next one sends it again first.

        A slot that has a newer value by now keeps that one. Lines come back beyond the limit
        rather than be dropped: each was there before.
        """
        waiting = {id(_line(entry)) for entry in self._waiting}
        again = (line for line in self._resent if id(line) in waiting)
        self._resent = (*map(_line, self._in_flight), *again)
        while self._in_flight:
            entry = self._in_flight.pop()
            if isinstance(entry, _Awaited) and entry.slot:
                self._slots.setdefault(entry.slot, entry)
            else:
                self._waiting.appendleft(entry)
        if self._waiting or self._slots:
            self.ready[self] = None


class Outgoing:
    """The outboxes that one sending link serves, and whose reply comes next.

    They take turns in being first, so that none of them can keep the others waiting. What there is
    to be sent costs nothing for those that have nothing.
    """

    def __init__(self) -> None:
        self._boxes: list[Outbox] = []
        self._ready: dict[Outbox, None] = {}
        self._in_flight: deque[Outbox] = deque()

    def open(self, refused: Callable[[RedisCommand, str], None]) -> Outbox:
        """Return a new outbox; ``refused`` gets what the broker refuses of it, and why."""
        box = Outbox(refused, ready=self._ready)
        self._boxes.append(box)
        return box

    def close(self, box: Outbox) -> None:
        """Send nothing of ``box`` any more; its replies may still come."""
        self._boxes.remove(box)
        self._ready.pop(box, None)
        box.ready = {}

    def __len__(self) -> int:
        return sum(map(len, self._boxes))

    @property
    def waiting(self) -> int:
        """How many lines have not been handed out yet."""
        return sum(box.waiting for box in self._boxes)

    @property
    def in_flight(self) -> int:
        """How many lines are handed out and have no reply yet."""
        return len(self._in_flight)

    @property
    def oldest(self) -> RedisCommand:
        """The line whose reply comes next; there must be one in flight."""
        return self._in_flight[0].oldest

    def take(self, most_in_flight: int) -> list[RedisCommand]:
        """Hand out lines until so many are in flight: they are, until replied."""
        taken: list[RedisCommand] = []
        most = most_in_flight - len(self._in_flight)
        ready = self._ready
        for box in tuple(ready):
            if len(taken) >= most:
                break
            lines = box.take(most - len(taken))
            self._in_flight.extend(repeat(box, len(lines)))
            taken += lines
            del ready[box]
            if box.waiting:  # behind those that are waiting now
                ready[box] = None
        return taken

    def passed(self) -> bool:
        """Take note of a reply that is no error, if nobody waits for it; else return False."""
        in_flight = self._in_flight
        if not in_flight or not in_flight[0].passed():
            return False
        in_flight.popleft()
        return True

    def replied(self, reply: object) -> None:
        """Take note of the reply to the oldest line in flight, and tell who is to know."""
        self._in_flight.popleft().replied(reply)

    def rewind(self) -> None:
        """Take back what is in flight: the link is lost, the next one sends it again first."""
        self._in_flight.clear()
        for box in self._boxes:
            box.rewind()


_PUBLISH = "PUBLISH"


def _rank(entry: _Entry) -> int:
    """Return how much is lost with a line: for who listens now, for who waits, for good."""
    if _line(entry)[0] != _PUBLISH:
        return 2
    return 1 if isinstance(entry, _Awaited) else 0


def _line(entry: _Entry) -> RedisCommand:
    return entry.line if isinstance(entry, _Awaited | _Watched) else entry


def _slot(entry: _Entry) -> str:
    return entry.slot if isinstance(entry, _Awaited) else ""
