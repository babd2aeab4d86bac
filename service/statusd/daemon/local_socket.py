"""The same commands and verdicts over a Unix socket: for whoever is on the host, broker or not.

A line is a message as it would stand on a channel; each verdict to it comes back as a line of
JSON. Rules of this file: the mode of the file (0600) says who may command; nobody who doesn't read
is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from statusd.core.errors import Unavailable
from statusd.core.messages import FINAL, MAX_BYTES, to_json
from statusd.wire.local import Local, short

MOST_UNREAD = 1024 * 1024
"""Who leaves so many bytes unread is hung up on."""

Hear = Callable[[bytes, "Client"], None]

log = structlog.get_logger()


class Client(asyncio.Protocol):
    """One connection.

    Args:
        hear: gets each line, and whom to answer.
        gone: called when the connection is closed.
    """

    def __init__(self, hear: Hear, gone: Callable[[Client], None]) -> None:
        self._hear = hear
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of where to write."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take whole lines; one that never ends is no message."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in filter(None, lines):
            self._hear(line, self)
        if len(self._begun) > MAX_BYTES:
            self._hear(self._begun, self)  # it is told why
            self.close()

    def connection_lost(self, _: Exception | None) -> None:
        """Nobody is there to be answered any more."""
        self._transport = None
        self._gone(self)

    def tell(self, fields: Mapping[str, Any]) -> None:
        """Write a verdict."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(to_json(fields).encode() + b"\n")
        if transport.get_write_buffer_size() > MOST_UNREAD:
            transport.abort()

    def close(self) -> None:
        """Hang up when all is written."""
        if self._transport is not None:
            self._transport.close()


class LocalSocket:
    """Listens on ``path``.

    Args:
        hear: gets each line, and whom to answer.
    """

    def __init__(self, path: Path, hear: Hear) -> None:
        self._path = path
        self._hear = hear
        self._clients: set[Client] = set()
        self._waiting: dict[str, Client] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; what stands in the way is logged, and the unit lives without."""
        try:
            listener = self._listen()
        except OSError as error:
            reason = error.strerror or str(error)
            log.warning("socket.failed", path=str(self._path), reason=reason)
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._connected, sock=listener)

    def _listen(self) -> socket.socket:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(Unavailable):
            Local(self._path, 0.2).close()
            raise OSError(errno.EADDRINUSE, "a daemon of this name listens there")
        self._path.unlink(missing_ok=True)  # a dead one's
        listener = socket.socket(socket.AF_UNIX)
        try:
            os.fchmod(listener.fileno(), 0o600)  # the file gets this mode as it is made
            with short(self._path) as name:
                listener.bind(name)
        except OSError:
            listener.close()
            raise
        return listener

    def _connected(self) -> Client:
        client = Client(self._hear, self._forget)
        self._clients.add(client)
        return client

    def _forget(self, client: Client) -> None:
        self._clients.discard(client)
        for command_id in [key for key, value in self._waiting.items() if value is client]:
            del self._waiting[command_id]

    def expect(self, command_id: str, client: Client) -> None:
        """Send verdicts to that command to ``client``, until the final one."""
        self._waiting[command_id] = client

    @property
    def is_asked(self) -> bool:
        """Tell whether anybody waits for a verdict."""
        return bool(self._waiting)

    def answer(self, fields: Mapping[str, Any]) -> None:
        """Tell a verdict to who waits for it, if anybody does."""
        client = self._waiting.get(fields.get("id", ""))
        if client is not None:
            client.tell(fields)
            if fields["verdict"] in FINAL:
                del self._waiting[fields["id"]]

    def close(self) -> None:
        """Hang up on everybody and take the file away."""
        for client in list(self._clients):
            client.close()
        if self._server is not None:
            self._server.close()
            self._server = None
            with contextlib.suppress(OSError):
                self._path.unlink()
