"""One connection through the proxy: bytes are read, kept in order, and delivered as the mode says.

Rule of this file: a byte stream never has a hole (TCP promises that), so a connection that lost a
byte stays deaf and dumb until it is closed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_CHUNK_BYTES = 65536
_QUEUED_CHUNKS = 100
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """How chunks are carried.

    Args:
        refuses, swallows: see `Proxy.cut`, `Proxy.swallow`.
        half: so many bytes of the next chunk from the server, then nothing; None for all.
        gap_s, delay_s: see `Proxy.split`, `Proxy.delay`.
        over: set when another mode takes its place.
    """

    refuses: bool = False
    swallows: bool = False
    half: int | None = None
    gap_s: float = 0.0
    delay_s: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Connection:
    """One client's connection, with its counterpart to the server.

    Args:
        client: its accepted socket.
        upstream: the server's port.
        mode: returns the mode in force.
    """

    def __init__(self, client: socket.socket, upstream: int, mode: Callable[[], Mode]) -> None:
        self.reset = False
        """Tell both sides by RST, not FIN, when it is closed."""
        self._client = client
        self._upstream = upstream
        self._mode = mode
        self._writers: list[asyncio.StreamWriter] = []
        self._lost = False

    async def run(self) -> None:
        """Carry until one side ends; then close both."""
        try:
            from_client, to_client = await self._open(sock=self._client)
            if self._mode().swallows:
                await self._carry(from_client, None)
                return
            from_server, to_server = await self._open("127.0.0.1", self._upstream)
            up = asyncio.create_task(self._carry(from_client, to_server))
            down = asyncio.create_task(self._carry(from_server, to_client, down=True))
            await _first_of(up, down)
        except OSError:
            self.reset = True  # a side refused or was reset: so is the other, as far as one can
        finally:
            await self._close()

    async def _open(
        self, *where: Any, **sock: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*where, **sock)
        self._writers.append(writer)
        return reader, writer

    async def _carry(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter | None, *, down: bool = False
    ) -> None:
        """Carry one way, until the end of ``source``; reading runs ahead of delivering."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED_CHUNKS)
        reading = asyncio.create_task(_read(source, queue))
        try:
            while True:
                arrived, data = await queue.get()
                await asyncio.sleep(arrived + self._mode().delay_s - time.monotonic())
                if data:
                    await self._deliver(data, to, down)
                elif not down or not self._is_lost():
                    return
        finally:
            reading.cancel()

    async def _deliver(self, data: bytes, to: asyncio.StreamWriter | None, down: bool) -> None:
        mode = self._mode()
        if down and mode.half is not None:
            await self._send(data[: mode.half], to)
            data = data[mode.half :]
            await mode.over.wait()
        elif down and mode.gap_s:
            middle = len(data) // 2
            await self._send(data[:middle], to)
            data = data[middle:]
            await asyncio.sleep(mode.gap_s)
        await self._send(data, to)

    async def _send(self, data: bytes, to: asyncio.StreamWriter | None) -> None:
        if to is not None and not self._is_lost():
            to.write(data)
            await to.drain()

    def _is_lost(self) -> bool:
        self._lost = self._lost or self._mode().swallows
        return self._lost

    async def _close(self) -> None:
        if not self._writers:
            self._client.close()
        for writer in self._writers:
            if self.reset:
                with suppress(OSError):
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                writer.transport.abort()
            writer.close()
        try:
            closing = (writer.wait_closed() for writer in self._writers)
            await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), 1.0)
        except TimeoutError:
            pass  # a peer that doesn't read: what is left for it is dropped below
        finally:
            for writer in self._writers:
                writer.transport.abort()


async def _read(source: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
    """Put each chunk, with the time it came, into ``queue``; an empty one at the end."""
    data = b"none yet"
    while data:
        try:
            data = await source.read(_CHUNK_BYTES)
        except OSError:
            data = b""
        await queue.put((time.monotonic(), data))


async def _first_of(*tasks: asyncio.Task[None]) -> None:
    """Wait until one task is over, end the others, and raise what the first one raised."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
