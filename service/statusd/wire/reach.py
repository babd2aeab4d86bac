"""Where the broker is, and a socket to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from statusd.core.errors import Unavailable
from statusd.wire import shapes
from statusd.wire.address import Address

WHOLE_S = 2.0
"""The longest that one Sentinel may take, also if it says a byte now and then."""


async def find(address: Address) -> Address:
    """Return where the broker of ``address`` is now; asks the Sentinels if there are any.

    Raises:
        Unavailable: none of them knows.
    """
    if not address.sentinels:
        return address
    # Who has no Sentinels pays neither its time nor its memory.
    from statusd.wire import redis_py
    from statusd.wire.async_client import sentinels

    asked, complaints = sentinels(address), []
    secrets = redis_py.secrets_of_sentinels(address)
    try:
        for node, one in zip(address.sentinels, asked.sentinels, strict=True):
            try:
                async with asyncio.timeout(WHOLE_S):
                    found = await _ask(one, address.master)
            except shapes.Misshapen as error:
                complaints.append(f"the Sentinel {node[0]}:{node[1]} {error}")
            except Exception as error:  # whatever redis-py makes of what a server says
                where = str(address.sentinel(*node))
                complaints.append(str(redis_py.unavailable(error, where, secrets)))
            else:
                return address._replace(host=found[0], port=found[1], sentinels=())
    finally:
        for one in asked.sentinels:
            with contextlib.suppress(Exception):  # it may be broken
                await one.aclose()
    raise Unavailable("; ".join(complaints))


async def _ask(one: Any, master: str) -> tuple[str, int]:
    """Return where the master is, as one Sentinel has it, whose client that is.

    Raw, for redis-py would take anything for an address.

    Raises:
        Misshapen: it doesn't know, or can't have meant what it says.
    """
    from statusd.wire import redis_py
    from statusd.wire.shared_subscription import Cancelled

    line, cancelled = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master), Cancelled()
    try:
        async with one.pipeline(transaction=False) as pipe:
            (found,) = await redis_py.filled(pipe, [line]).execute()
    finally:
        cancelled.raise_swallowed()
    if found is None:
        raise shapes.Misshapen(f"knows no master {master!r}")
    return shapes.place(found)


async def connect(protocol: asyncio.BaseProtocol, address: Address) -> None:
    """Let ``protocol`` talk to the broker at ``address``, which has been found.

    Raises:
        OSError, StatusdError: as the system or TLS has it.
    """
    loop = asyncio.get_running_loop()
    if address.path:
        await loop.create_unix_connection(lambda: protocol, address.path)
        return
    tls = address.tls.context() if address.tls else None
    with _threads_are_few():  # a name is looked up in one
        transport, _ = await loop.create_connection(
            lambda: protocol, address.host, address.port, ssl=tls
        )
    _mind_the_peer(transport.get_extra_info("socket"))


@contextlib.contextmanager
def _threads_are_few() -> Iterator[None]:
    """Raise Unavailable where Python says in its own way that there is no thread to be had."""
    try:
        yield
    except RuntimeError as error:
        if "thread" not in str(error):
            raise
        limits = "the limit on processes is reached (ulimit -u, TasksMax=)"
        raise Unavailable(f"no thread is to be had: {limits}") from None


def _mind_the_peer(sock: socket.socket | None) -> None:
    """Ask the kernel to notice a dead peer too: the second line, behind our own deadlines."""
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 8000)
