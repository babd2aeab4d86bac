"""Answers that go on: counted; they end with whoever reads them, with his right, with the server.

Rules of this file: a reader that has gone leaves nothing behind, neither a task nor a place;
whoever wouldn't be let in any more is told nothing more, within a second; nobody waits for a
stream to end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from statusd.web.access import Somebody
from statusd.web.http import Refused

MOST_STREAMS = 200
"""So many of viewers, and so many of operators, are open at once, beside those of commands."""
LOOK_S = 0.5
"""How often it is looked whether those who read may still do so."""
KEEPALIVE_S = 15.0
"""How often a stream says something that means nothing."""
ENDS = "the server ends"
Parts = AsyncGenerator[bytes, None]
_HEADERS = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))


class Kind(NamedTuple):
    """What a stream is like.

    Args:
        media_type: of all of it; idle: what means nothing.
        last_word: returns what is told at last if it is ended from here, given why.
        is_counted: it takes one of the places that are few.
    """

    media_type: str
    idle: bytes
    last_word: Callable[[str], bytes]
    is_counted: bool = True


class Streams:
    """The open streams of one server.

    Args:
        still: tells whether somebody who was let in would be let in now.
        most: so many of a role are open at once, of those that are counted.
    """

    def __init__(self, still: Callable[[Somebody], bool], most: int = MOST_STREAMS) -> None:
        self._still, self._most = still, most
        self._open: set[Stream] = set()
        self._waits: set[asyncio.Timeout] = set()
        self._is_over = False

    def __len__(self) -> int:
        return len(self._open)

    def open(self, parts: Parts, kind: Kind, somebody: Somebody) -> Stream:
        """Return an answer that goes on; it has its place from now on.

        No number of viewers keeps an operator from looking.

        Raises:
            Refused: too many are open.
        """
        its = sum(one.is_counted and one.somebody.role is somebody.role for one in self._open)
        if kind.is_counted and its >= self._most:
            raise Refused(503, f"there are {self._most} streams open: try again later")
        stream = Stream(self, parts, kind, somebody)
        self._open.add(stream)
        if self._is_over:
            stream.end(ENDS)
        return stream

    def closed(self, stream: Stream) -> None:
        """Give its place to others."""
        self._open.discard(stream)

    async def watch(self) -> None:
        """End the streams of those who wouldn't be let in any more, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for stream in tuple(self._open):
                if not self._still(stream.somebody):
                    stream.end("the token or the session is over")

    @contextlib.asynccontextmanager
    async def before_the_end(self) -> AsyncIterator[None]:
        """Wait for something within it, and not longer than the server goes on.

        Raises:
            Refused: the server ends.
        """
        try:
            async with asyncio.timeout(0 if self._is_over else None) as wait:
                self._waits.add(wait)
                try:
                    yield
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            if not self._is_over:
                raise  # somebody else's, and a bug
            raise Refused(503, ENDS) from None

    def end(self) -> None:
        """Let all who read or wait go: the server ends. A second call does nothing."""
        if self._is_over:
            return
        self._is_over = True
        for wait in self._waits:
            wait.reschedule(0)
        for stream in tuple(self._open):
            stream.end(ENDS)


class Stream:
    """One of them, as an ASGI application.

    Args:
        streams: where it has its place.
        parts: what is told; somebody: who reads it.
    """

    def __init__(self, streams: Streams, parts: Parts, kind: Kind, somebody: Somebody) -> None:
        self.somebody, self.is_counted = somebody, kind.is_counted
        self._streams, self._parts, self._kind = streams, parts, kind
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, reason: str) -> None:
        """Let it end soon; whoever reads is told why."""
        if not self._over.done():
            self._over.set_result(reason)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell what there is until somebody has enough."""
        try:
            async with contextlib.aclosing(self._parts):
                headers = [*_HEADERS, (b"content-type", self._kind.media_type.encode())]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                last = b"" if scope["method"] == "HEAD" else await self._told(receive, send)
                await send({"type": "http.response.body", "body": last, "more_body": False})
        finally:
            self._streams.closed(self)

    async def _told(self, receive: Receive, send: Send) -> bytes:
        """Tell it, and return what is left to be told."""
        telling = asyncio.create_task(self._tell(send))
        leaving = asyncio.create_task(_gone(receive))
        keeping = asyncio.create_task(self._keep(send))
        try:
            done, _ = await asyncio.wait(
                (telling, leaving, self._over), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await _end(telling, leaving, keeping)
        if telling in done:
            telling.result()
        elif leaving not in done:
            return self._kind.last_word(self._over.result())
        return b""

    async def _keep(self, send: Send) -> None:
        """Say something now and then: a proxy takes silence for death."""
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            await send({"type": "http.response.body", "body": self._kind.idle, "more_body": True})

    async def _tell(self, send: Send) -> None:
        async for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Wait until whoever reads has hung up; what he says meanwhile is passed over."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel what still goes on, and wait for its last steps; what it raised stays in it."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
