"""Units that come while others live, and moments at which none does: to judge what there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Comings:
    """Any number of units come at a time, but none while somebody wants that."""

    def __init__(self) -> None:
        self._count = self._waiting = 0
        self._none = asyncio.Event()
        self._none.set()
        self._may = asyncio.Event()
        self._may.set()
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A unit comes: what it is made of is read, and it lives, or can't, at the end."""
        self._waiting += 1
        try:
            while not self._may.is_set():
                await self._may.wait()
        finally:
            self._waiting -= 1
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    @asynccontextmanager
    async def none(self) -> AsyncIterator[None]:
        """Wait for those that come; until the end, none does."""
        async with self._one_at_a_time:
            while self._waiting:  # those that waited for the last one who wanted that go first
                await asyncio.sleep(0)
            self._may.clear()
            try:
                await self._none.wait()
                yield
            finally:
                self._may.set()
