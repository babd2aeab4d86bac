"""What waits to be sent while the broker is away or slow: ordered, bounded, resumed in order.

Pure: no socket, no clock. The sending link asks for the next lines, and reports replies in order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

Line = tuple[bytes | str | int, ...]
"""One Redis command: its name and its arguments."""


@dataclass(slots=True)
class Outbox:
    """Lines to send in order, and slots of which only the latest value matters.

    Args:
        limit: how many lines may wait; beyond it the oldest waiting one is dropped and counted.
    """

    limit: int = 10_000
    dropped: int = 0
    _waiting: deque[Line] = field(default_factory=deque)
    _slots: dict[str, Line] = field(default_factory=dict)
    _in_flight: deque[tuple[str, Line]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._slots) + len(self._in_flight)

    @property
    def waiting(self) -> int:
        """How many lines have not been handed out yet."""
        return len(self._waiting) + len(self._slots)

    def put(self, line: Line) -> None:
        """Add ``line`` behind all others."""
        if len(self._waiting) >= self.limit:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(line)

    def put_latest(self, slot: str, line: Line) -> None:
        """Let ``line`` be what is sent for ``slot``, in place of an older one not sent yet."""
        self._slots[slot] = line

    def take(self, most: int) -> list[Line]:
        """Hand out up to ``most`` lines, in order, slots last; they are in flight until replied."""
        taken: list[tuple[str, Line]] = []
        while self._waiting and len(taken) < most:
            taken.append(("", self._waiting.popleft()))
        while not self._waiting and self._slots and len(taken) < most:
            slot = next(iter(self._slots))
            taken.append((slot, self._slots.pop(slot)))
        self._in_flight.extend(taken)
        return [line for _, line in taken]

    def unsent(self, most: int) -> tuple[Line, ...]:
        """Return the newest ``most`` lines that have no reply yet, in order; no slots."""
        flying = [line for slot, line in self._in_flight if not slot]
        return tuple([*flying, *self._waiting][-most:])

    @property
    def in_flight(self) -> int:
        """How many lines are handed out and have no reply yet."""
        return len(self._in_flight)

    def replied(self) -> Line:
        """Take note of the reply to the oldest line in flight, and return that line."""
        return self._in_flight.popleft()[1]

    def rewind(self) -> None:
        """Take back what is in flight: the link is lost, the next one sends it again first.

        A slot that has a newer value by now keeps that one. Lines come back beyond the limit
        rather than be dropped: each was there before.
        """
        while self._in_flight:
            slot, line = self._in_flight.pop()
            if not slot:
                self._waiting.appendleft(line)
            else:
                self._slots.setdefault(slot, line)
