"""The fleet for asyncio; apart from `fleet`, so that the command line doesn't pay for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar

from statusd.fleet.fleet import Fleet
from statusd.fleet.history import MOST_EVENTS, Event
from statusd.fleet.response_collector import Report, UnitInfo
from statusd.fleet.targets import Globs
from statusd.wire.address import Address

T = TypeVar("T")


class AsyncFleet:
    """`Fleet` for asyncio: each call runs in a thread of its own, one at a time."""

    def __init__(self, url: str | Address | None = None, **options: Any) -> None:
        self._fleet = Fleet(url, **options)
        self._thread = ThreadPoolExecutor(1, "statusd-fleet")

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def status(self) -> list[UnitInfo]:
        """See `Fleet.status`."""
        return await self._run(self._fleet.status)

    async def history(self, name: str, since: str = "", most: int = MOST_EVENTS) -> list[Event]:
        """See `Fleet.history`."""
        return await self._run(partial(self._fleet.history, name, since, most))

    async def send(self, word: str, **options: Any) -> Report:
        """See `Fleet.send`."""
        return await self._run(partial(self._fleet.send, word, **options))

    async def watch(
        self, name: Globs = None, since: Mapping[str, str] | None = None
    ) -> AsyncIterator[Event]:
        """See `Fleet.watch`; it ends when the iterator is closed."""
        watcher = self._fleet.watch(name, since)
        try:
            while True:
                event = await asyncio.to_thread(watcher.poll)
                if event is not None:
                    yield event
        finally:
            watcher.close()

    async def close(self) -> None:
        """Hang up."""
        await self._run(self._fleet.close)
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
