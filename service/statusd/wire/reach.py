"""Where the broker is, and a socket to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from statusd.core.errors import Unavailable
from statusd.wire.address import Address
from statusd.wire.dial import find_master


async def find(address: Address) -> Address:
    """Return where the broker of ``address`` is now; asks the Sentinels if there are any.

    Raises:
        Unavailable: none of them knows.
    """
    if not address.sentinels:
        return address
    with _threads_are_few():
        return await asyncio.to_thread(find_master, address)


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
