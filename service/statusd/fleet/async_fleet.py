"""The fleet for asyncio: the same words, to be awaited; no threads.

    async with AsyncFleet("redis://localhost") as fleet:
        report = await fleet.send("pause", tag="gpu", timeout_s=3)

Any number of calls may run at once, in any tasks of one event loop; each may be cancelled anywhere,
and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Self

import redis.asyncio

from statusd.core.errors import ConfigError, Unavailable
from statusd.core.messages import EVERYBODY, Scalar, Target
from statusd.fleet import operations
from statusd.fleet.follower import Follower
from statusd.fleet.history import MOST_EVENTS, Event
from statusd.fleet.log_follower import LogFollower, LogItem, wanted
from statusd.fleet.places import address_of
from statusd.fleet.response_collector import Outcome, Report, UnitInfo
from statusd.fleet.targets import Globs
from statusd.wire.address import Address
from statusd.wire.async_client import AsyncClient
from statusd.wire.endpoint import BLOCK_S


class AsyncFleet:
    """`Fleet` for asyncio.

    Args:
        url: of the broker; or a `redis.asyncio.Redis`, which is taken as it is and never closed.
        namespace, timeout_s, password_file: see `Fleet`.

    Raises:
        ConfigError: the url is not valid, or it is no asyncio client of redis-py.
    """

    def __init__(
        self,
        url: str | Address | redis.asyncio.Redis | None = None,
        *,
        namespace: str = "statusd",
        timeout_s: float = 2.0,
        password_file: str = "",
    ) -> None:
        if not isinstance(url, redis.asyncio.Redis):
            url = address_of(url, password_file, "redis.asyncio.Redis")
        elif password_file:
            raise ConfigError("password_file is for a url: a client has its own credentials")
        self._broker: Address | redis.asyncio.Redis = url
        self._namespace = namespace
        self._client = AsyncClient(url, "statusd-fleet", timeout_s)
        self._reply_to = f"{namespace}:reply:{os.urandom(16).hex()}"

    async def status(self) -> list[UnitInfo]:
        """See `Fleet.status`."""
        return await self._client.run(operations.status(self._namespace))

    async def forget(self, name: str) -> bool:
        """See `Fleet.forget`."""
        return await self._client.run(operations.forget(self._namespace, name))

    async def history(
        self, name: str, since: str = "", most: int = MOST_EVENTS, before: str = ""
    ) -> list[Event]:
        """See `Fleet.history`."""
        asking = operations.history(self._namespace, name, since, most, before)
        return await self._client.run(asking)

    async def lifecycle(self, name: str) -> dict[str, Any] | None:
        """See `Fleet.lifecycle`."""
        return await self._client.run(operations.lifecycle(self._namespace, name))

    async def expected(
        self, target: Target = EVERYBODY, channel: str = "", *, launch: bool = False
    ) -> tuple[list[UnitInfo], list[UnitInfo]]:
        """See `Fleet.expected`."""
        asking = operations.expected(self._namespace, target, channel, launch=launch)
        return await self._client.run(asking)

    async def send(
        self,
        word: str,
        *,
        name: Globs = None,
        tag: Globs = None,
        state: Globs = None,
        channel: str = "",
        args: Mapping[str, Scalar] | None = None,
        by: str = "",
        expires: str = "",
        expires_s: float | None = None,
        durable: bool = False,
        timeout_s: float | None = 5.0,
        heard: Callable[[Outcome], None] | None = None,
        waiting: Callable[[list[UnitInfo], float], None] | None = None,
    ) -> Report:
        """See `Fleet.send`; whether a send that was cancelled has been sent, nobody knows."""
        order = operations.Order(
            word,
            name=name,
            tag=tag,
            state=state,
            channel=channel,
            args=args,
            by=by,
            expires=expires,
            expires_s=expires_s,
            durable=durable,
            timeout_s=timeout_s,
            heard=heard,
            waiting=waiting,
        )
        return await self._client.run(operations.send(self._namespace, order, self._reply_to))

    async def launch(
        self,
        name: Globs = None,
        *,
        tag: Globs = None,
        by: str = "",
        durable: bool = False,
        timeout_s: float | None = None,
        heard: Callable[[Outcome], None] | None = None,
    ) -> Report:
        """See `Fleet.launch`."""
        order = operations.launch(
            name, tag, by=by, durable=durable, timeout_s=timeout_s, heard=heard
        )
        return await self._client.run(operations.send(self._namespace, order, self._reply_to))

    async def watch(
        self, name: Globs = None, since: Mapping[str, str] | None = None
    ) -> AsyncIterator[Event]:
        """See `Fleet.watch`; it ends when the iterator is closed, or the task is cancelled.

        Raises:
            ConfigError: what stands in ``since`` is no id.
            Unavailable: we have no right to read; a broker that is away is waited for.
        """
        follower = Follower(self._namespace, name, since)
        client = AsyncClient(self._broker, "statusd-watch", BLOCK_S + 2)
        try:
            while True:
                try:
                    await client.run(follower.step(client.block_s))
                except Unavailable as error:
                    await client.run(follower.failed(error))
                while (event := follower.next_ready()) is not None:
                    yield event
        finally:
            await client.aclose()

    async def logs(
        self,
        name: Globs = None,
        *,
        lines: int = 100,
        since: str = "",
        stream: str = "",
        follow: bool = False,
        timeout_s: float = 3.0,
    ) -> AsyncIterator[LogItem]:
        """See `Fleet.logs`; it ends when the iterator is closed, or the task is cancelled.

        Raises:
            ConfigError, Unavailable: as `Fleet.logs` does, while it iterates.
        """
        follower = LogFollower(wanted(name, lines, since, stream, timeout_s, follow=follow))
        client = AsyncClient(self._broker, "statusd-logs", BLOCK_S + 2)
        try:
            while True:
                try:
                    async with contextlib.aclosing(
                        client.follow(follower.feed(self._namespace))
                    ) as feed:
                        async for item in feed:
                            yield item
                    return
                except Unavailable as error:
                    await client.run(follower.failed(error))
                for item in follower.given():
                    yield item
        finally:
            await client.aclose()

    async def aclose(self) -> None:
        """Hang up, unless the client is yours; who still waits for verdicts gets `Unavailable`."""
        await self._client.aclose()

    close = aclose

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
