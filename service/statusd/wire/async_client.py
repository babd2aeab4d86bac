"""A conversation with the broker for asyncio, by redis-py: the user's own client, or one of ours.

No threads. However many operations run at once, they share a few connections for what they ask, and
one for what they hear. Whoever is cancelled, wherever, leaves nothing subscribed and nothing open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from statusd.core.errors import StatusdError
from statusd.wire import redis_py
from statusd.wire.address import Address
from statusd.wire.endpoint import Endpoint
from statusd.wire.shared_subscription import Cancelled, SharedSubscription, Subscriber
from statusd.wire.talk import (
    Ask,
    Feed,
    Give,
    Listen,
    Operation,
    Request,
    Sleep,
    Subscribe,
    Where,
)

if TYPE_CHECKING:
    from statusd.wire.outbox import RedisCommand

T = TypeVar("T")
WHOLE_S = 30.0
"""All replies have to be there by then, if the client is ours: who says a byte a second is left."""
MOST_AT_ONCE = 8
"""So many connections ask at the same time; a pool of redis-py's own has a hundred."""


class AsyncClient(Endpoint[redis.asyncio.Redis]):
    """Carries out what is to be said to the broker. Connects when there is something to say.

    Args:
        broker: its address, for a client of our own; or somebody's `redis.asyncio.Redis`, taken as
            it is.
        client_name, timeout_s: see `Endpoint`.
    """

    def __init__(
        self, broker: Address | redis.asyncio.Redis, client_name: str, timeout_s: float = 2.0
    ) -> None:
        super().__init__(broker, client_name, timeout_s, opened)
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self._subscriptions: dict[str, SharedSubscription] = {}

    async def run(self, operation: Operation[T]) -> T:
        """Carry out an operation and return its result; afterwards it hears nothing any more.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        subscriber, cancelled = Subscriber(), Cancelled()
        try:
            answer: Any = None
            while True:
                try:
                    request = operation.send(answer)
                except StopIteration as end:
                    result: T = end.value
                    return result
                answer = await self._perform(request, subscriber)
                cancelled.raise_swallowed()
        finally:
            operation.close()
            await subscriber.end()

    async def follow(self, feed: Feed[T]) -> AsyncGenerator[T, None]:
        """Carry it out, and give out what it gives; it hears on until it or the iterator ends.

        Raises:
            Unavailable: as `run` does.
        """
        subscriber, cancelled = Subscriber(), Cancelled()
        try:
            answer: Any = None
            while True:
                try:
                    request = feed.send(answer)
                except StopIteration:
                    return
                if isinstance(request, Give):
                    answer = None
                    yield request.item
                else:
                    answer = await self._perform(request, subscriber)
                    cancelled.raise_swallowed()
        finally:
            feed.close()
            await subscriber.end()

    async def _perform(self, request: Request, subscriber: Subscriber) -> Any:
        match request:
            case Ask(lines, blocks):
                return await self.replies(lines, blocks=blocks)
            case Subscribe(channel, about):
                return await subscriber.begin(self._subscription(channel), about)
            case Listen(timeout_s):
                return await subscriber.next(timeout_s)
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case Where():
                return self.where
            case _:
                assert_never(request)

    def _subscription(self, channel: str) -> SharedSubscription:
        """Return what hears ``channel``, for all who want to hear it."""
        self._subscriptions = {
            name: subscription
            for name, subscription in self._subscriptions.items()
            if not subscription.is_over
        }
        if channel not in self._subscriptions:
            self._subscriptions[channel] = SharedSubscription(self, channel)
        return self._subscriptions[channel]

    async def replies(self, lines: Sequence[RedisCommand], *, blocks: bool = False) -> list[Any]:
        """Return the replies to ``lines``; see `talk.Ask`.

        Raises:
            Unavailable: the broker can't be reached, or gives no reply in time.
        """
        if not lines:
            return []
        room = contextlib.nullcontext() if blocks else self._room
        whole = asyncio.timeout(WHOLE_S if self._address is not None else None)
        async with room, self.trouble(), whole, self.redis.pipeline(transaction=False) as pipe:
            found = await redis_py.filled(pipe, lines).execute(raise_on_error=False)
        return [redis_py.plain(*pair) for pair in zip(lines, found, strict=True)]

    @contextlib.asynccontextmanager
    async def trouble(self) -> AsyncIterator[None]:
        """Raise whatever redis-py raises as ours.

        Raises:
            Unavailable: that is what it is.
        """
        try:
            yield
        except StatusdError:
            raise
        except Exception as error:  # a credentials provider of the user's may raise anything
            raise self.unavailable(error)  # noqa: B904  # it has its cause

    async def aclose(self) -> None:
        """Hang up, if the client is ours; whoever still waits gets `Unavailable`."""
        for subscription in list(self._subscriptions.values()):
            await subscription.end()
        for one in self.give_back():
            await one.aclose()


def opened(
    address: Address, client_name: str, timeout_s: float
) -> tuple[redis.asyncio.Redis, list[redis.asyncio.Redis]]:
    """Return a client of our own, and those of the Sentinels that lead to its master.

    Raises:
        Unavailable: a password or TLS file can't be read.
    """
    made: Any = redis.asyncio.Redis
    given = redis_py.options(address, client_name, timeout_s, made) | {
        "retry": Retry(NoBackoff(), 0)
    }
    if not address.sentinels:
        return made(**given), []
    sentinel = sentinels(address)
    return sentinel.master_for(address.master, **given), list(sentinel.sentinels)


def sentinels(address: Address) -> Any:
    """Return redis-py's view of the Sentinels of ``address``; its clients are to be closed.

    Raises:
        Unavailable: a password or TLS file can't be read.
    """
    from redis.asyncio.sentinel import Sentinel

    theirs = redis_py.sentinel_options(address, redis.asyncio.Redis)
    theirs["retry"] = Retry(NoBackoff(), 0)
    made: Any = Sentinel  # redis-py has no types for it
    return made(list(address.sentinels), sentinel_kwargs=theirs)
