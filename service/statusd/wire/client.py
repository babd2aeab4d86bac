"""One blocking conversation with the broker, by redis-py: the user's own client, or one of ours.

Nothing that wasn't opened here is closed here, and nothing is assumed of its retries: a command may
be sent twice, which is why each has an id.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, assert_never

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from statusd.core.errors import StatusdError, Unavailable
from statusd.wire import redis_py
from statusd.wire.address import Address
from statusd.wire.endpoint import Endpoint
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


class Client(Endpoint[redis.Redis]):
    """Carries out what is to be said to the broker. Connects when there is something to say.

    Args:
        broker: its address, for a client of our own; or somebody's `redis.Redis`, taken as it is.
        client_name, timeout_s: see `Endpoint`.
    """

    def __init__(
        self, broker: Address | redis.Redis, client_name: str, timeout_s: float = 2.0
    ) -> None:
        super().__init__(broker, client_name, timeout_s, opened)

    def run(self, operation: Operation[T]) -> T:
        """Carry out an operation and return its result; afterwards nothing is subscribed.

        Raises:
            Unavailable: the broker can't be reached, or refuses. The next call connects anew.
        """
        with contextlib.closing(operation), contextlib.closing(Subscription(self)) as subscription:
            answer: Any = None
            while True:
                try:
                    request = operation.send(answer)
                except StopIteration as end:
                    result: T = end.value
                    return result
                answer = self._perform(request, subscription)

    def follow(self, feed: Feed[T]) -> Iterator[T]:
        """Carry it out, and give out what it gives; it hears on until it or the iterator ends.

        Raises:
            Unavailable: as `run` does.
        """
        with contextlib.closing(feed), contextlib.closing(Subscription(self)) as subscription:
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
                    answer = self._perform(request, subscription)

    def _perform(self, request: Request, subscription: Subscription) -> Any:
        match request:
            case Ask(lines):
                return self.replies(lines)
            case Subscribe(channel):  # nobody else listens there
                return subscription.subscribe(channel)
            case Listen(timeout_s):
                return subscription.listen(timeout_s)
            case Sleep(seconds):
                return time.sleep(seconds)
            case Where():
                return self.where
            case _:
                assert_never(request)

    def replies(self, lines: Sequence[RedisCommand]) -> list[Any]:
        """Return the replies to ``lines``; see `talk.Ask`.

        Raises:
            Unavailable: the broker can't be reached, or gives no reply in time.
        """
        if not lines:
            return []
        with self.trouble(), self.redis.pipeline(transaction=False) as pipe:
            found = redis_py.filled(pipe, lines).execute(raise_on_error=False)
        return [redis_py.plain(*pair) for pair in zip(lines, found, strict=True)]

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        """Raise whatever redis-py raises as ours; a client of ours is thrown away then.

        Raises:
            Unavailable: that is what it is.
        """
        try:
            yield
        except StatusdError:
            self.close()
            raise
        except Exception as error:  # a credentials provider of the user's may raise anything
            found = self.unavailable(error)
            self.close()
            raise found  # noqa: B904  # it has its cause

    def close(self) -> None:
        """Hang up, if the client is ours; the next call connects anew."""
        for one in self.give_back():
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Subscription:
    """What is heard on some channels, by a connection of its own that `close` gives back.

    redis-py makes a lost connection anew and subscribes again before it raises, if it raises at
    all. The broker confirms each subscription of each connection: a second confirmation of a
    channel says that there has been a second connection; what was said in between is lost.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pubsub: Any = None
        self._confirmed: set[str] = set()
        self._messages: deque[bytes | str] = deque()

    def subscribe(self, channel: str) -> None:
        """Hear ``channel`` from now on; returns when the broker has confirmed it.

        Raises:
            Unavailable: it didn't, or may not.
        """
        with self._client.trouble():
            if self._pubsub is None:
                self._pubsub = self._client.redis.pubsub()  # type: ignore[no-untyped-call]  # has none
            self._pubsub.subscribe(channel)
        deadline = time.monotonic() + self._client.timeout_s
        while channel not in self._confirmed:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise Unavailable(f"{self._client.where}: no answer in time")
            self._read(left_s)

    def listen(self, timeout_s: float) -> bytes | str | None:
        """Return the next message, or None in time.

        Raises:
            Unavailable: the connection is lost, or has been lost and made anew.
        """
        deadline = time.monotonic() + timeout_s
        while not self._messages:
            left_s = deadline - time.monotonic()
            self._read(max(left_s, 0.0))
            if left_s <= 0:
                break
        return self._messages.popleft() if self._messages else None

    def _read(self, timeout_s: float) -> None:
        with self._client.trouble():
            try:
                message = self._pubsub.get_message(timeout=timeout_s)
            except UnicodeDecodeError:  # of a client that decodes: nobody of ours has said that
                return
            if message is None:
                return
            if message["type"] == "subscribe":
                self._confirm(message["channel"])
            elif message["type"] == "message":
                self._messages.append(message["data"])

    def _confirm(self, channel: bytes | str) -> None:
        name = channel if isinstance(channel, str) else channel.decode("utf-8", "replace")
        if name in self._confirmed:
            raise Unavailable(f"{self._client.where}: {redis_py.LOST}")
        self._confirmed.add(name)

    def close(self) -> None:
        """Give the connection back, with nothing subscribed."""
        if self._pubsub is not None:
            with contextlib.suppress(Exception):  # it may be broken: then it is closed already
                self._pubsub.close()
            self._pubsub = None
            self._confirmed.clear()


def opened(
    address: Address, client_name: str, timeout_s: float
) -> tuple[redis.Redis, list[redis.Redis]]:
    """Return a client of our own, and those of the Sentinels that lead to its master.

    Raises:
        Unavailable: a password or TLS file can't be read.
    """
    given = redis_py.options(address, client_name, timeout_s, redis.Redis)
    given["retry"] = Retry(NoBackoff(), 0)
    if not address.sentinels:
        return redis.Redis(**given), []
    from redis.sentinel import Sentinel

    theirs = redis_py.sentinel_options(address, redis.Redis) | {"retry": Retry(NoBackoff(), 0)}
    made: Any = Sentinel  # redis-py has no types for it
    sentinel = made(list(address.sentinels), sentinel_kwargs=theirs)
    master = sentinel.master_for(address.master, **given)
    return master, list(sentinel.sentinels)
