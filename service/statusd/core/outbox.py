"""What waits to be sent while the broker is away or slow: ordered, bounded, resumed in order.

Pure: no socket, no clock. The sending link asks for the next lines, and reports replies in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Line = tuple[bytes | str | int, ...]
"""One Redis command: its name and its arguments."""


class _Awaited(NamedTuple):
    """A line whose reply somebody wants to know; ``slot`` is empty for one among the others."""

    slot: str
    line: Line


_Entry = Line | _Awaited


@dataclass(slots=True)
class Outbox:
    """Lines to send in order, and slots of which only the latest value matters.

    Args:
        limit: how many lines may wait; beyond it the oldest are dropped and counted: first what is
            only published and nobody waits for, last what is to be kept (a history).
        dropped: how many were.
        lost: how many of these were to be kept.
        beside: lines that the broker has refused and that wait for better times, oldest first.
    """

    limit: int = 10_000
    dropped: int = 0
    lost: int = 0
    beside: deque[Line] = field(default_factory=deque)
    _resent: tuple[Line, ...] = ()
    _waiting: deque[_Entry] = field(default_factory=deque)
    _slots: dict[str, Line] = field(default_factory=dict)
    _in_flight: deque[_Entry] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._slots) + len(self._in_flight)

    @property
    def waiting(self) -> int:
        """How many lines have not been handed out yet."""
        return len(self._waiting) + len(self._slots)

    def put(self, line: Line, *, awaited: bool = False) -> None:
        """Add ``line`` behind all others.

        Args:
            awaited: its reply is of interest even if it is no error.
        """
        if len(self._waiting) >= self.limit:
            self._make_room()
        self._waiting.append(_Awaited("", line) if awaited else line)

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

    def put_latest(self, slot: str, line: Line) -> None:
        """Let ``line`` be what is sent for ``slot``, in place of an older one not sent yet."""
        self._slots[slot] = line

    def take(self, most: int) -> list[Line]:
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
            taken.append(_Awaited(slot, slots.pop(slot)))
        self._in_flight.extend(taken)
        return list(map(_line, taken))

    def unsent(self, most: int) -> tuple[Line, ...]:
        """Return the newest ``most`` lines that have no good reply yet, in order; no slots."""
        entries = (*self._in_flight, *self._waiting)
        lines = [_line(entry) for entry in entries if not _slot(entry)]
        return (*self.beside, *lines)[-most:]

    def inherit(self, lines: Sequence[Line]) -> None:
        """Put what a former daemon had sent, perhaps; the reply to the last one is awaited."""
        for line in lines:
            self.put(line, awaited=line is lines[-1])
        self._resent = tuple(lines)

    def is_resent(self, line: Line) -> bool:
        """Tell whether that very line may have been carried out before, and its reply was lost."""
        return any(line is one for one in self._resent)

    @property
    def in_flight(self) -> int:
        """How many lines are handed out and have no reply yet."""
        return len(self._in_flight)

    @property
    def oldest(self) -> Line:
        """The line whose reply comes next; there must be one in flight."""
        return _line(self._in_flight[0])

    def passed(self) -> bool:
        """Take note of a reply that is no error, if nobody waits for it; else return False."""
        if not self._in_flight or type(self._in_flight[0]) is _Awaited:
            return False
        self._in_flight.popleft()
        return True

    def replied(self) -> Line:
        """Take note of the reply to the oldest line in flight, and return that line."""
        return _line(self._in_flight.popleft())

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
            slot = _slot(entry)
            if not slot:
                self._waiting.appendleft(entry)
            else:
                self._slots.setdefault(slot, _line(entry))


_PUBLISH = "PUBLISH"


def _rank(entry: _Entry) -> int:
    """Return how much is lost with a line: for who listens now, for who waits, for good."""
    if _line(entry)[0] != _PUBLISH:
        return 2
    return 1 if isinstance(entry, _Awaited) else 0


def _line(entry: _Entry) -> Line:
    return entry.line if isinstance(entry, _Awaited) else entry


def _slot(entry: _Entry) -> str:
    return entry.slot if isinstance(entry, _Awaited) else ""
