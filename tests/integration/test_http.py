"""Tests of `statusd.daemon.http`: real connections to a tiny server, friendly ones and others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest

from statusd.core.errors import Unavailable
from statusd.daemon import http
from statusd.daemon.http import HttpServer, Reply, say
from statusd.wire.listen import Listen
from tests.tools import free_port


def broken(_: str) -> Reply:
    """Answer nothing."""
    raise RuntimeError("what has become of it?")


@asynccontextmanager
async def serving() -> AsyncIterator[HttpServer]:
    """A server with one path that works and one that doesn't."""
    answers = {"/ok": lambda accept: say(HTTPStatus.OK, f"for {accept}"), "/bug": broken}
    server = HttpServer(Listen("127.0.0.1", free_port()), answers)
    await server.start()
    try:
        yield server
    finally:
        server.close()


async def ask(server: HttpServer, request: bytes) -> tuple[int, bytes]:
    """Send ``request`` and return the status and the body of the answer; 0 for none at all."""
    reader, writer = await asyncio.open_connection(*server.where)
    writer.write(request)
    try:
        answer = await asyncio.wait_for(reader.read(), 8)
    except ConnectionResetError:
        answer = b""
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


REQUESTS = {
    b"GET /ok HTTP/1.1\r\nHost: localhost\r\naccept: text/plain\r\n\r\n": (
        200,
        b"for text/plain\n",
    ),
    b"GET /ok?a=b HTTP/1.0\r\n\r\n": (200, b"for \n"),
    b"HEAD /ok HTTP/1.1\r\n\r\n": (200, b""),
    b"GET /bug HTTP/1.1\r\n\r\n": (500, b"a bug: see the log\n"),
    b"GET /elsewhere HTTP/1.1\r\n\r\n": (404, b"there are: /bug /ok\n"),
    b"POST /ok HTTP/1.1\r\nContent-Length: 9999\r\n\r\n{}": (405, b"GET and HEAD only\n"),
    b"\x16\x03\x01\x02\r\n\r\n": (400, b"no request of HTTP/1.1\n"),
    b"GET /ok HTTP/1.1\r\nX: " + b"x" * 9000: (431, b"more than 8192 bytes\n"),
}
"""What is said to it -> status and body of the answer."""


def test_every_request_has_its_answer() -> None:
    """One each, also for what is no HTTP; a bug in an answer is told, and ends nothing."""

    async def story() -> None:
        async with serving() as server:
            for request, answer in REQUESTS.items():
                assert await ask(server, request) == answer, request[:40]

    asyncio.run(story())


def test_a_request_may_come_byte_by_byte() -> None:
    """TCP knows no messages."""

    async def story() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection(*server.where)
            for byte in b"GET /ok HTTP/1.1\r\n\r\n":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()

    asyncio.run(story())


def test_who_is_slow_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """And meanwhile everybody else is answered."""
    monkeypatch.setattr(http, "ASK_S", 0.5)

    async def story() -> None:
        async with serving() as server:
            slow = asyncio.create_task(ask(server, b"GET /ok HTTP/1.1\r\n"))
            assert (await ask(server, b"GET /ok HTTP/1.1\r\n\r\n"))[0] == 200
            assert (await slow)[0] == 0
            assert not server.open

    asyncio.run(story())


def test_the_silent_make_room_for_who_asks() -> None:
    """However many they are; those that came last are still there, and served when they ask."""

    async def story() -> None:
        async with serving() as server:
            silent = [
                await asyncio.open_connection(*server.where)
                for _ in range(2 * http.MOST_CONNECTIONS)
            ]
            for _ in range(10):
                assert (await ask(server, b"GET /ok HTTP/1.1\r\n\r\n"))[0] == 200
            assert len(server.open) <= http.MOST_CONNECTIONS
            reader, writer = silent[-1]
            writer.write(b"GET /ok HTTP/1.1\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            for _, writer in silent:
                writer.close()

    asyncio.run(story())


def test_a_port_that_is_taken_is_named() -> None:
    """With what to do."""

    async def story(port: int) -> None:
        with pytest.raises(Unavailable, match=rf"http.listen: 127.0.0.1:{port}: .*in use.*its own"):
            await HttpServer(Listen("127.0.0.1", port), {}).start()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        asyncio.run(story(taken.getsockname()[1]))
