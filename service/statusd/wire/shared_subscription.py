"""What many listen to at once, by one connection, for asyncio.

Whoever is cancelled, wherever, hears no more; the last one gives the connection back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Protocol

from statusd.core.errors import Unavailable
from statusd.wire import redis_py

TURN_S = 1.0
"""How soon a reader looks whether it is over, if nobody could tell it."""


class Asker(Protocol):
    """Whose connection it is."""

    @property
    def where(self) -> str:
        """The broker's address, without secrets."""

    @property
    def timeout_s(self) -> float:
        """How long the client waits for a reply."""

    @property
    def redis(self) -> Any:
        """The client of redis-py."""

    def trouble(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Raise whatever redis-py raises as ours."""


class Cancelled:
    """Whether this task has been cancelled meanwhile, and nobody has told us.

    redis-py awaits by `asyncio.wait_for`, which before Python 3.12 may lose a cancellation
    (https://github.com/python/cpython/issues/86296); the task knows of it all the same.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._known = self._count()

    def _count(self) -> int:
        return self._task.cancelling() if self._task is not None else 0

    def raise_swallowed(self) -> None:
        """Be cancelled, if that was asked for.

        Raises:
            asyncio.CancelledError: it was.
        """
        if self._count() > self._known:
            raise asyncio.CancelledError


class SharedSubscription:
    """One channel, by one connection, for all who listen to it; it ends with the last of them.

    That a lost connection was made anew is seen as in `client.Subscription`.
    """

    def __init__(self, client: Asker, channel: str) -> None:
        self.is_over = False
        """Nobody can begin to listen any more."""
        self._client, self._channel = client, channel
        self._subscribers: set[Subscriber] = set()
        self._reader = asyncio.create_task(self._read(), name="statusd-subscription")
        self._up = asyncio.Event()

    async def join(self, subscriber: Subscriber) -> None:
        """Let ``subscriber`` hear, and return when the broker has confirmed that it does.

        Raises:
            Unavailable: it didn't in time, or refuses.
        """
        self._subscribers.add(subscriber)
        try:
            async with asyncio.timeout(self._client.timeout_s + 1):
                await self._up.wait()
        except TimeoutError:
            raise Unavailable(f"{self._client.where}: no answer in time") from None
        subscriber.raise_trouble()

    async def leave(self, subscriber: Subscriber) -> None:
        """Let it hear no more; the last one waits until nothing is subscribed any more."""
        self._subscribers.discard(subscriber)
        if not self._subscribers:
            await self.end()

    async def end(self) -> None:
        """Give the connection back. Whoever is cancelled here has done so all the same."""
        self.is_over = True
        self._reader.cancel()  # it needs nobody to wait for it
        await asyncio.wait({self._reader})

    async def _read(self) -> None:
        pubsub: Any = None
        try:
            async with self._client.trouble():
                pubsub = self._client.redis.pubsub()
                await pubsub.subscribe(self._channel)
                while not self.is_over:  # see `Cancelled`
                    await self._take(pubsub)
        except Unavailable as error:
            self._fail(error)
        finally:
            self.is_over = True
            self._fail(Unavailable(f"{self._client.where}: the fleet was closed meanwhile"))
            if pubsub is not None:
                with contextlib.suppress(Exception):  # it may be broken: then it is closed already
                    await pubsub.aclose()

    async def _take(self, pubsub: Any) -> None:
        try:
            message = await pubsub.get_message(timeout=TURN_S)
        except UnicodeDecodeError:  # of a client that decodes: nobody of ours has said that
            return
        if message is None:
            return
        if message["type"] == "subscribe":
            if self._up.is_set():
                self._fail(Unavailable(f"{self._client.where}: {redis_py.LOST}"))
            self._up.set()
        elif message["type"] == "message":
            for subscriber in self._subscribers:
                subscriber.take(message["data"])

    def _fail(self, error: Unavailable) -> None:
        """Tell all who listen now; who comes later is told by what happens then."""
        for subscriber in self._subscribers:
            subscriber.fail(error)
        self._up.set()


class Subscriber:
    """What one operation hears."""

    def __init__(self) -> None:
        self._subscription: SharedSubscription | None = None
        self._about = ""
        self._messages: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._trouble: Unavailable | None = None

    async def begin(self, subscription: SharedSubscription, about: str) -> None:
        """Hear by ``subscription`` what has ``about`` in it.

        Raises:
            Unavailable: the broker refuses, or can't be reached.
        """
        self._subscription, self._about = subscription, about
        await subscription.join(self)

    async def next(self, timeout_s: float) -> bytes | str | None:
        """Return the next message, or None in time.

        Raises:
            Unavailable: the connection is lost, or has been lost and made anew.
        """
        deadline = time.monotonic() + timeout_s
        message = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                message = await self._messages.get()
        self.raise_trouble()
        return message

    def take(self, data: bytes | str) -> None:
        """Take in a message, if it is about what we want to hear."""
        about: Any = self._about if isinstance(data, str) else self._about.encode()
        if about in data:
            self._messages.put_nowait(data)

    def fail(self, error: Unavailable) -> None:
        """Hear no more, and say why: the first reason is the one."""
        self._trouble = self._trouble or error
        self._messages.put_nowait(None)

    def raise_trouble(self) -> None:
        """Raise what went wrong, for each who hears an error of its own.

        Raises:
            Unavailable: the connection is lost.
        """
        if self._trouble is not None:
            raise Unavailable(str(self._trouble)) from self._trouble.__cause__

    async def end(self) -> None:
        """Hear no more."""
        if self._subscription is not None:
            await self._subscription.leave(self)
