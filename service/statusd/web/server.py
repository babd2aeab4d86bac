"""Serves until a signal says that it is enough; whoever has a stream open is let go at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from statusd import logs
from statusd.complaints import Complaints
from statusd.core.errors import Unavailable
from statusd.web.protocol import Protocol
from statusd.wire.listen import Listen

LINGER_S = 1
"""So long at most it is waited for tasks whose connections were cut, in whole seconds."""
BACKLOG = 256
"""So many connections wait to be taken, and are taken at once."""
DESCRIPTORS = 4096
"""So many are wanted: one for each connection, and others, as those to the broker."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logs.get()


class _Told(logging.Handler):
    """Has errors of others told in our log: one kind of them can't fill it."""

    def __init__(self) -> None:
        super().__init__()
        self._complaints = Complaints(time.monotonic, log)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one."""
        kind = record.getMessage().strip().partition("\n")[0]
        self._complaints.report(kind, "web.server", text=kind, exc_info=record.exc_info)


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


def config(
    app: ASGIApp, protocol: type[Protocol] = Protocol, backlog: int = BACKLOG
) -> uvicorn.Config:
    """Return how uvicorn is to serve."""
    _tell("uvicorn.error")
    return uvicorn.Config(
        app,
        http=protocol,
        backlog=backlog,
        lifespan="off",
        log_config=None,
        access_log=False,  # an address may hold a token
        server_header=False,
        proxy_headers=False,  # whom to believe is the gate's matter
        timeout_graceful_shutdown=LINGER_S,
        ws="none",
    )


def _tell(name: str) -> None:
    told = logging.getLogger(name)
    told.handlers, told.propagate = [_Told()], False
    told.setLevel(logging.ERROR)  # what they warn of is what strangers send: any amount of it


def allow_descriptors() -> int:
    """Have as many as there may be connections, if the system lets us: it lets most have 1,024.

    Returns:
        How many may be taken at once: a connection that has to make room for another one has its
        descriptor for three more turns of the loop, and in each that many come.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    Protocol.most = min(Protocol.most, allowed // 2)
    return min(BACKLOG, max(1, allowed // 16))


async def serve(
    app: ASGIApp,
    listening: socket.socket,
    tell: Callable[[], None],
    end: Callable[[], None],
) -> int:
    """Serve until a signal comes; return its number.

    Args:
        tell: says that we serve; from then on a signal ends us as it should, and another one
            changes nothing.
        end: lets whoever reads a stream go.
    """
    server = _Server(config(app, backlog=allow_descriptors()))
    caught: list[int] = []

    def stop(number: int) -> None:
        caught.append(number)
        end()
        server.should_exit = True

    _tell("asyncio")
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        tell()
        await server.serve([listening])
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            if caught:
                signal.signal(number, signal.SIG_IGN)  # we are on our way
    return caught[0] if caught else 0
