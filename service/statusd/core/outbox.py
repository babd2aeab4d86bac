"""What waits to be sent while the broker is away or slow: ordered, bounded, resumed in order.

Pure: no socket, no clock. The sending link asks for the next lines, and reports replies in order.
"""

from __future__ import annotations

from collections import deque
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
        limit: how many lines may wait; beyond it the oldest waiting one is dropped and counted.
    """

    limit: int = 10_000
    dropped: int = 0
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
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(_Awaited("", line) if awaited else line)

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
        """Return the newest ``most`` lines that have no reply yet, in order; no slots."""
        entries = (*self._in_flight, *self._waiting)
        return tuple([_line(entry) for entry in entries if not _slot(entry)][-most:])

    @property
    def in_flight(self) -> int:
        """How many lines are handed out and have no reply yet."""
        return len(self._in_flight)

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
        while self._in_flight:
            entry = self._in_flight.pop()
            slot = _slot(entry)
            if not slot:
                self._waiting.appendleft(entry)
            else:
                self._slots.setdefault(slot, _line(entry))


def _line(entry: _Entry) -> Line:
    return entry.line if isinstance(entry, _Awaited) else entry


def _slot(entry: _Entry) -> str:
    return entry.slot if isinstance(entry, _Awaited) else ""
