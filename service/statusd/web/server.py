"""Serves until a signal says that it is enough; whoever has a stream open is let go at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from statusd.core.errors import Unavailable
from statusd.wire.listen import Listen

LINGER_S = 1
"""So long at most an answer may take after we were told to go, in whole seconds as uvicorn has it."""
MOST_CONNECTIONS = 1000
BACKLOG = 128
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """One whose signals are ours: its own would wait for streams that never end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listener(where: Listen) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        Unavailable: the address can't be had.
    """
    try:
        found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(found[0], socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(found[4])
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unavailable(f"{where}: {reason}: --listen names another address") from None
    return listening


async def serve(
    app: ASGIApp,
    listening: socket.socket,
    tell: Callable[[], None],
    end: Callable[[], None],
) -> int:
    """Serve until a signal comes; return its number.

    Args:
        tell: says that we serve; from then on a signal ends us as it should.
        end: lets whoever reads a stream go.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,  # an address may hold a token
        server_header=False,
        proxy_headers=False,  # whom to believe is the gate's matter
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=LINGER_S,
        ws="none",
    )
    server = _Server(config)
    caught: list[int] = []

    def stop(number: int) -> None:
        caught.append(number)
        end()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        tell()
        await server.serve([listening])
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    return caught[0] if caught else 0
