"""The same commands and verdicts over a Unix socket: for whoever is on the host, broker or not.

A line is a message as it would stand on a channel; each verdict to it comes back as a line of
JSON. Rules of this file: the mode of the file (0600), in a directory that is ours alone, says who
may command; nobody who doesn't read is waited for; whoever says nothing makes room for who does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from statusd import logs
from statusd.core.answers import FINAL
from statusd.core.errors import Unavailable
from statusd.core.messages import MAX_BYTES, to_json
from statusd.private import Untrusted, make_private_directory, opened_directory
from statusd.unit.door import Door
from statusd.wire.local import Local, peer_of, places, reached_by

MOST_UNREAD = 1024 * 1024
"""Who leaves so many bytes unread is hung up on."""
MOST_CLIENTS, MOST_OF_A_USER = 64, 48
"""With more connections, or more of one user, the one that has been idle longest makes room.

Those that wait for a verdict are few: what a command asks for, a later one gives up or shares."""

Hear = Callable[[bytes, "Client"], None]

log = logs.get()


class Client(asyncio.Protocol):
    """One connection.

    Args:
        hear: gets each line, and whom to answer.
        came, gone: called when it is there, and when it is closed.
    """

    def __init__(
        self, hear: Hear, came: Callable[[Client], None], gone: Callable[[Client], None]
    ) -> None:
        self.user = -1
        """Who is at the other end."""
        self._hear = hear
        self._came = came
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of where to write."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.user = peer_of(transport.get_extra_info("socket"))
        self._came(self)

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

    def send(self, fields: Mapping[str, Any]) -> None:
        """Write a verdict."""
        self.write(to_json(fields))

    def write(self, text: str) -> None:
        """Write a line; who leaves too much of them unread is hung up on."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(text.encode() + b"\n")
        if transport.get_write_buffer_size() > MOST_UNREAD:
            transport.abort()

    def close(self) -> None:
        """Hang up when all is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()


class LocalSocket:
    """Listens on ``path``.

    Args:
        hear: gets each line, and whom to answer.
    """

    def __init__(self, path: Path, hear: Hear) -> None:
        self._path = path
        self._hear_line = hear
        self._clients: dict[Client, None] = {}
        """In the order in which they were heard last."""
        self.waiting: dict[str, Client] = {}
        """Who waits for a verdict to which command."""
        self._door: Door | None = None
        self._hears = True

    async def start(self) -> None:
        """Listen; what stands in the way is logged, and the unit lives without."""
        if self._path.parent != places()[0]:
            log.warning("socket.elsewhere", path=str(self._path), taken=str(places()[0]))
        try:
            make_private_directory(self._path.parent)
            with opened_directory(self._path.parent) as folder:
                listener = self._listen(folder)
            self._door = Door(listener, self._client, self._make_room, "socket")
            self._door.open()
        except (OSError, Untrusted) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            log.warning("socket.failed", path=str(self._path), reason=reason)

    def _listen(self, folder: int) -> socket.socket:
        with contextlib.suppress(Unavailable):
            Local(self._path, 0.2).close()
            raise OSError(errno.EADDRINUSE, "a daemon of this name listens there")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path.name, dir_fd=folder)  # a dead one's
        listener = socket.socket(socket.AF_UNIX)
        try:
            os.fchmod(listener.fileno(), 0o600)  # the file gets this mode as it is made
            listener.bind(reached_by(folder, self._path.name))
        except OSError:
            listener.close()
            raise
        return listener

    # ---- who is there ------------------------------------------------------------------------

    def _client(self) -> Client:
        return Client(self._hear, self._take_in, self._forget)

    def _take_in(self, client: Client) -> None:
        """Take it in; if that makes too many, the one that has been idle longest goes."""
        self._clients[client] = None
        of_him = [one for one in self._clients if one.user == client.user]
        if len(of_him) > MOST_OF_A_USER:
            self._make_room(of_him)
        elif len(self._clients) > MOST_CLIENTS:
            self._make_room()

    def _make_room(self, among: Iterable[Client] = ()) -> None:
        """Hang up on the one that has been idle longest: that waits for no verdict."""
        busy = set(self.waiting.values())
        idle = next((one for one in among or self._clients if one not in busy), None)
        if idle is not None:
            self._forget(idle)
            idle.abort()

    def _hear(self, line: bytes, client: Client) -> None:
        if client not in self._clients or not self._hears:
            return  # it was hung up on, or comes too late
        self._clients[client] = self._clients.pop(client)
        self._hear_line(line, client)

    def _forget(self, client: Client) -> None:
        self._clients.pop(client, None)
        for command_id in [key for key, value in self.waiting.items() if value is client]:
            del self.waiting[command_id]

    def expect(self, command_id: str, client: Client) -> None:
        """Send verdicts to that command to ``client``, until the final one."""
        self.waiting[command_id] = client

    def answer(self, fields: Mapping[str, Any]) -> None:
        """Tell a verdict to who waits for it, if anybody does."""
        client = self.waiting.get(fields.get("id", ""))
        if client is not None:
            client.send(fields)
            if fields["verdict"] in FINAL:
                del self.waiting[fields["id"]]

    def stop_hearing(self) -> None:
        """Take nobody in and hear nothing any more; who waits for a verdict stays until `close`."""
        self._hears = False
        busy = set(self.waiting.values())
        for client in [one for one in self._clients if one not in busy]:
            client.close()
        self._shut()

    def close(self) -> None:
        """Hang up on everybody and take the file away."""
        for client in list(self._clients):
            client.close()
        self._shut()

    def _shut(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None
            with (
                contextlib.suppress(OSError, Untrusted),
                opened_directory(self._path.parent) as folder,
            ):
                os.unlink(self._path.name, dir_fd=folder)
