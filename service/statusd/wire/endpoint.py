"""Which broker a client talks to, and how long it waits: what is the same in both worlds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from statusd.core.errors import Unavailable
from statusd.wire import redis_py
from statusd.wire.address import Address

R = TypeVar("R")
"""A client of redis-py: blocking, or for asyncio."""

BLOCK_S = 1.0
"""How long a read blocks at most."""
PATIENCE_S = 5.0
"""How long somebody's client is waited for that would wait for ever itself."""


class Endpoint(Generic[R]):
    """A broker's address with a client of ours, or somebody's client, taken as it is.

    Args:
        broker: the address, or the client.
        client_name: how CLIENT LIST shows ours.
        timeout_s: the longest wait for a connection of ours, and for each part of a reply.
        open_one: returns a client of ours, and those of the Sentinels that lead to its master.
    """

    def __init__(
        self,
        broker: Address | R,
        client_name: str,
        timeout_s: float,
        open_one: Callable[[Address, str, float], tuple[R, list[R]]],
    ) -> None:
        self._address = broker if isinstance(broker, Address) else None
        self._redis = None if isinstance(broker, Address) else broker
        self._more: list[R] = []
        self._name, self._timeout_s = client_name, timeout_s
        self._open_one = open_one

    @property
    def where(self) -> str:
        """The broker's address, without secrets."""
        if self._address is not None:
            return str(self._address)
        return redis_py.place_of(redis_py.pool_of(self.redis))

    @property
    def block_s(self) -> float:
        """How long a read may block, which has to be less than the client waits for a reply."""
        return min(BLOCK_S, self.timeout_s / 2)

    @property
    def timeout_s(self) -> float:
        """How long the client waits for a reply, or five seconds if it waits for ever."""
        if self._address is not None:
            return self._timeout_s
        given = redis_py.pool_of(self.redis).connection_kwargs.get("socket_timeout")
        return float(given or PATIENCE_S)

    @property
    def redis(self) -> R:
        """The client of redis-py; one of ours is made when it is needed.

        Raises:
            Unavailable: a password or TLS file can't be read.
        """
        if self._redis is None:
            assert self._address is not None
            self._redis, self._more = self._open_one(self._address, self._name, self._timeout_s)
        return self._redis

    def unavailable(self, error: Exception) -> Unavailable:
        """Return what to raise for what redis-py has raised."""
        secrets = redis_py.secrets_of(redis_py.pool_of(self._redis))
        return redis_py.unavailable(error, self.where, secrets)

    def give_back(self) -> list[R]:
        """Return the clients that are ours, to be closed; the next call connects anew."""
        if self._address is None or self._redis is None:
            return []
        ours, self._redis, self._more = [self._redis, *self._more], None, []
        return ours
