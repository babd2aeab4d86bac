"""What is told to all who look, once for everybody: numbered, kept for a while, never waited for.

A reader is a number: how far it has read. Nothing is queued for it, so that a slow one costs
nothing, and one that was away reads on where it was, as long as that is kept. Whoever is further
behind is told of the gap. An id of an event is ``epoch-number``: another server has another epoch.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import NamedTuple

MOST_KEPT, MOST_KEPT_BYTES = 20_000, 8 * 1024 * 1024
"""So many messages are kept, and so much of them, in bytes."""
MOST_AT_ONCE = 256 * 1024
"""So much is handed to a reader at a time, in bytes; more if a single one is longer."""
_POSITION = re.compile(r"([0-9a-f]{1,32})-([0-9]{1,15})", re.ASCII)


class Kept(NamedTuple):
    """A message as it goes out, with its number."""

    number: int
    text: bytes


class Broadcast:
    """The messages of one server.

    Args:
        epoch: sets its numbers apart from those of any other; hexadecimal.
    """

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self._kept: deque[Kept] = deque()
        self._bytes = 0
        self._number = 0
        self._news = asyncio.Event()

    @property
    def position(self) -> str:
        """The id of the last message."""
        return f"{self._epoch}-{self._number}"

    def say(self, kind: str, data: str) -> None:
        """Tell everybody; ``data`` is one line (the event stream format, HTML standard 9.2.6)."""
        self._number += 1
        text = f"event: {kind}\nid: {self._epoch}-{self._number}\ndata: {data}\n\n".encode()
        self._kept.append(Kept(self._number, text))
        self._bytes += len(text)
        while len(self._kept) > MOST_KEPT or self._bytes > MOST_KEPT_BYTES:
            self._bytes -= len(self._kept.popleft().text)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def place(self, position: str) -> int | None:
        """Return the number that ``position`` stands for, or None if what follows isn't kept."""
        found = _POSITION.fullmatch(position)
        if found is None or found[1] != self._epoch:
            return None
        number = int(found[2])
        return number if self._is_kept_after(number) else None

    def _is_kept_after(self, number: int) -> bool:
        oldest = self._kept[0].number if self._kept else self._number + 1
        return oldest - 1 <= number <= self._number

    def after(self, number: int) -> tuple[bytes, int] | None:
        """Return what follows that number, as much as is handed out at a time, and the new number.

        Returns:
            None if it isn't kept any more: the reader is too slow.
        """
        if not self._is_kept_after(number):
            return None
        parts: list[bytes] = []
        size = 0
        for index in range(len(self._kept) - (self._number - number), len(self._kept)):
            kept = self._kept[index]
            if parts and size + len(kept.text) > MOST_AT_ONCE:
                break
            parts.append(kept.text)
            size, number = size + len(kept.text), kept.number
        return b"".join(parts), number

    async def beyond(self, number: int) -> None:
        """Wait until there is more than that number."""
        while number >= self._number:
            await self._news.wait()
