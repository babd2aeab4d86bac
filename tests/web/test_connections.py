"""Who says nothing on a connection, or takes nothing: he is hung up on, and keeps nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from statusd.web import http, server, streams
from statusd.web.access import Role, Somebody
from statusd.web.http import Refused
from statusd.web.protocol import KNOWN, Protocol
from statusd.web.streams import Kind, Streams
from tests.tools.waiting import until

Guest = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
KNOWN_GET = GET.replace(b"/ ", b"/known ")
HALF = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
LENGTH = [(b"content-length", b"0")]
KIND = Kind("text/plain", b"idle\n", lambda reason: f"over: {reason}\n".encode())
SOMEBODY = Somebody(Role.VIEWER, is_browser=False, proof=b"")


class Hasty(Protocol):
    """One that waits for as long as a test does."""

    head_s = 0.3
    stuck_s = 0.3
    most = 10


class Few(Hasty):
    """One that waits, and of which there are few."""

    head_s = 20.0


class Guests:
    """Connections to a server on ``port``."""

    def __init__(self, port: int, host: server._Server) -> None:
        self.port, self.host = port, host
        self._open: list[Guest] = []

    async def come(self, said: bytes = b"") -> Guest:
        """Return a connection on which that was said."""
        guest = await asyncio.open_connection("127.0.0.1", self.port)
        self._open.append(guest)
        guest[1].write(said)
        return guest

    async def is_answered(self) -> bool:
        """Tell whether somebody who says what he wants gets in."""
        reader, writer = await self.come(GET)
        answer = await reader.read(12)
        writer.close()
        return answer == b"HTTP/1.1 200"

    async def go(self) -> None:
        """Hang up."""
        for _, writer in self._open:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


Talk = Callable[[Guests], Awaitable[None]]


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once; whoever asks for /known is known, and waits until he goes."""
    if scope["path"] == "/known":
        scope[KNOWN]()
        while (await receive())["type"] != "http.disconnect":
            pass
    await send({"type": "http.response.start", "status": 200, "headers": LENGTH})
    await send({"type": "http.response.body"})


def serving(app: ASGIApp, talk: Talk, protocol: type[Protocol] = Hasty) -> None:
    """Let ``talk`` have guests at a server."""

    async def scenario() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        one = server._Server(server.config(app, protocol))
        guests = Guests(listening.getsockname()[1], one)
        task = asyncio.create_task(one.serve([listening]))
        try:
            async with asyncio.timeout(20):
                await talk(guests)
        finally:
            await guests.go()
            one.should_exit = True
            await task

    asyncio.run(scenario())


# ---- connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"GET / HT", GET[:-2], GET, GET + GET[:5], HALF])
def test_who_says_nothing_more_is_hung_up_on(said: bytes) -> None:
    """Before his first request, in the middle of one, behind one, with half a body."""

    async def talk(guests: Guests) -> None:
        began = time.monotonic()
        reader, _ = await guests.come(said)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        assert 0.2 < time.monotonic() - began < 3

    serving(plain, talk)


def test_who_dribbles_is_hung_up_on() -> None:
    """However it goes on: a head is there in time, or never."""

    async def talk(guests: Guests) -> None:
        began = time.monotonic()
        _, writer = await guests.come(b"GET / HTTP/1.1\r\n")

        async def dribble() -> None:
            while True:
                writer.write(b"x: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)

        with pytest.raises(ConnectionError):
            await dribble()
        assert time.monotonic() - began < 3

    serving(plain, talk)


def test_a_body_that_dribbles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """However it goes on, and whoever sends it: what isn't whole in time is none."""
    monkeypatch.setattr(http, "BODY_S", 0.3)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await http.body_of(Request(scope, receive))
        except Refused as error:
            await http.refused(error.refusal)(scope, receive, send)

    async def talk(guests: Guests) -> None:
        began = time.monotonic()
        reader, writer = await guests.come(HALF.replace(b"9", b"9999"))
        answer = asyncio.create_task(reader.read(12))
        while not answer.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        assert answer.result() == b"HTTP/1.1 408"
        assert time.monotonic() - began < 3

    serving(app, talk, Few)


def test_silent_ones_keep_nobody_out() -> None:
    """However many there are: the oldest of them makes room, whoever is known stays."""

    async def talk(guests: Guests) -> None:
        known, _ = await guests.come(KNOWN_GET)
        assert await guests.is_answered()
        for _ in range(50):
            await guests.come()
            assert await guests.is_answered()
        assert not known.at_eof()

    serving(plain, talk, Few)


def test_who_is_known_makes_no_room() -> None:
    """When all are, a new one is turned away, and those go on."""

    arrived: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.append(scope["path"])
        await plain(scope, receive, send)

    async def talk(guests: Guests) -> None:
        for _ in range(Few.most):
            known, _ = await guests.come(KNOWN_GET)
        await until(lambda: len(arrived) == Few.most, "all of them")

        with contextlib.suppress(ConnectionError):
            assert not await guests.is_answered()
        assert not known.at_eof()

    serving(app, talk, Few)


# ---- streams -------------------------------------------------------------------------------------


class Source:
    """Parts of a stream, and whether anybody still wants them."""

    def __init__(self, part: bytes = b"", count: int = 10**9) -> None:
        self.part, self.count = part, count
        self.is_closed = False
        self.told = 0

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield them; without any, wait for ever."""
        try:
            while self.told < self.count:
                self.told += 1
                if self.part:
                    yield self.part
                    await asyncio.sleep(0)
                else:
                    await asyncio.Event().wait()
        finally:
            self.is_closed = True


def streaming(open_ones: Streams, source: Source) -> ASGIApp:
    """Return an application that tells the parts of ``source``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = open_ones.open(source.parts(), KIND, SOMEBODY)
        except Refused:
            await plain(scope, receive, send)
        else:
            await answer(scope, receive, send)

    return app


def test_who_takes_nothing_is_hung_up_on() -> None:
    """He costs what was in the buffers, and not more; others are told meanwhile."""
    open_ones, source = Streams(lambda _: True), Source(b"x" * 65536)

    async def talk(guests: Guests) -> None:
        await guests.come(GET)
        await until(lambda: len(open_ones) == 1, "the stream")
        other, more = await guests.come(GET)
        for _ in range(20):
            assert await other.read(65536)
        began = time.monotonic()
        more.close()
        await until(lambda: len(open_ones) == 0, "both to be gone", 5)
        assert time.monotonic() - began < 3
        assert source.is_closed

    serving(streaming(open_ones, source), talk)


def test_who_has_gone_leaves_nothing() -> None:
    """No place, no task, and whatever was open for him is closed."""
    open_ones, source = Streams(lambda _: True, most=1), Source()

    async def talk(guests: Guests) -> None:
        before = len(asyncio.all_tasks())
        for _ in range(5):
            reader, writer = await guests.come(GET)
            assert (await reader.read(12)) == b"HTTP/1.1 200"
            assert len(open_ones) == 1
            writer.close()
            await until(lambda: len(open_ones) == 0, "him to be gone")
            assert source.is_closed
        await until(lambda: len(asyncio.all_tasks()) == before, "no task")

    serving(streaming(open_ones, source), talk)


def test_who_may_not_look_any_more_is_told_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """But why; a stream that ends by itself ends without that."""
    monkeypatch.setattr(streams, "LOOK_S", 0.05)
    monkeypatch.setattr(streams, "KEEPALIVE_S", 0.1)
    may = [True]
    open_ones, source = Streams(lambda _: may[0]), Source()

    async def talk(guests: Guests) -> None:
        watching = asyncio.create_task(open_ones.watch())
        reader, _ = await guests.come(GET)
        assert b"idle\n" in await reader.readuntil(b"idle\n")
        may[0] = False
        assert b"over: the token or the session is over\n" in await reader.readuntil(b"0\r\n\r\n")
        watching.cancel()

    serving(streaming(open_ones, source), talk)

    short = Source(b"part\n", 3)

    async def read(guests: Guests) -> None:
        reader, _ = await guests.come(GET)
        answer = await reader.readuntil(b"0\r\n\r\n")
        assert answer.count(b"part\n") == 3
        assert b"over" not in answer

    serving(streaming(Streams(lambda _: True), short), read)


def test_who_waits_is_let_go_at_the_end() -> None:
    """Also who comes then; and whoever says it twice, in any moment, changes nothing."""

    async def scenario() -> None:
        open_ones = Streams(lambda _: True)

        async def wait() -> None:
            async with open_ones.before_the_end():
                await asyncio.Event().wait()

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        for _ in range(3):
            open_ones.end()
            await asyncio.sleep(0)
        for one in (waiting, wait()):
            with pytest.raises(Refused, match="the server ends"):
                await one

    asyncio.run(scenario())


def test_no_number_of_viewers_keeps_an_operator_from_looking() -> None:
    """Nor does one of operators keep anybody from commanding: that isn't counted."""
    operator = SOMEBODY._replace(role=Role.OPERATOR)

    async def scenario() -> None:
        open_ones = Streams(lambda _: True, most=2)
        for somebody in (SOMEBODY, operator):
            for _ in range(2):
                open_ones.open(Source().parts(), KIND, somebody)
            with pytest.raises(Refused, match="2 streams open"):
                open_ones.open(Source().parts(), KIND, somebody)
        open_ones.open(Source().parts(), KIND._replace(is_counted=False), operator)

    asyncio.run(scenario())


def test_the_end_of_the_server_is_the_end_of_all_streams() -> None:
    """Also of those that are opened in that moment."""
    open_ones, source = Streams(lambda _: True), Source()

    async def talk(guests: Guests) -> None:
        reader, _ = await guests.come(GET)
        await until(lambda: len(open_ones) == 1, "the stream")
        open_ones.end()
        assert b"over: the server ends\n" in await reader.readuntil(b"0\r\n\r\n")
        late, _ = await guests.come(GET)
        assert b"over: the server ends\n" in await late.readuntil(b"0\r\n\r\n")

    serving(streaming(open_ones, source), talk)


def test_a_last_word_that_nobody_takes_delays_nothing() -> None:
    """Also of who has taken nearly all: he isn't known to be stuck yet."""
    open_ones, known = Streams(lambda _: True), set[Any]()

    def untaken() -> int:
        return sum(one.transport.get_write_buffer_size() for one in known)

    async def parts() -> AsyncGenerator[bytes, None]:
        while not untaken():
            yield b"x" * 4096
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await open_ones.open(parts(), KIND, SOMEBODY)(scope, receive, send)

    async def talk(guests: Guests) -> None:
        nonlocal known
        known = guests.host.server_state.connections
        _, writer = await guests.come(GET)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # it reads, too
        await until(lambda: untaken() > 0, "what was sent to be left")
        guests.host.config.timeout_graceful_shutdown = 60  # it isn't what ends it
        began = time.monotonic()
        open_ones.end()
        guests.host.should_exit = True
        await until(lambda: not known, "all to be gone")
        assert time.monotonic() - began < 0.9

    serving(app, talk, Few)
