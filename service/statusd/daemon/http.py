"""A tiny HTTP/1.1 server on the daemon's own loop: GET and HEAD, one request a connection.

Rules of this file: whoever is slow, talks too much or comes in numbers is hung up on, and nobody is
waited for: whoever asks at once gets his answer, however many others are silent. A bug in an answer
is a 500 and never the daemon's end.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from statusd import logs
from statusd.core.errors import Unavailable
from statusd.unit.door import AT_ONCE, Door
from statusd.wire.listen import Listen

MOST_CONNECTIONS = 32
"""Who comes when there are so many takes the place of the one that has been silent longest."""
assert MOST_CONNECTIONS >= 4 * AT_ONCE  # a request that is there is read before its place is taken
MOST_BYTES = 8192
"""The longest head of a request."""
ASK_S = 2.0
"""So long a request may take until it is whole."""
READ_S = 5.0
"""So long its answer may take to be read."""

log = logs.get()


class Reply(NamedTuple):
    """What a path answers.

    Args:
        status: the code; body: of the answer.
        kind: its content type.
    """

    status: HTTPStatus
    body: bytes
    kind: str = "text/plain; charset=utf-8"


Answer = Callable[[str], Reply]
"""Takes the request's ``Accept`` header and answers at once."""


def say(status: HTTPStatus, text: str) -> Reply:
    """Return a reply of one line."""
    return Reply(status, f"{text}\n".encode())


class HttpServer:
    """Listens at one address and answers a few paths.

    Args:
        where: the address.
        answers: path -> who answers it.
    """

    def __init__(self, where: Listen, answers: Mapping[str, Answer]) -> None:
        self.where = where
        self.answers = answers
        self.open: dict[Exchange, None] = {}
        """In the order in which they came."""
        self._doors: list[Door] = []

    async def start(self) -> None:
        """Listen.

        Raises:
            Unavailable: the address can't be had.
        """
        try:
            for listener in await _listeners(self.where):
                make = partial(Exchange, self)
                self._doors.append(Door(listener, make, self.make_room, f"http {self.where}"))
            for door in self._doors:
                door.open()
        except OSError as error:
            self.close()
            reason = error.strerror or str(error)
            cure = "give each unit a port of its own, or leave http.listen empty"
            raise Unavailable(f"http.listen: {self.where}: {reason}: {cure}") from None
        log.info("http.listening", at=f"http://{self.where}", paths=sorted(self.answers))

    def close(self) -> None:
        """Stop to listen, and hang up on everybody."""
        for door in self._doors:
            door.close()
        for exchange in list(self.open):
            exchange.abort()

    def make_room(self) -> None:
        """Hang up on one: on who has been silent longest, else on who reads longest."""
        silent = (exchange for exchange in self.open if not exchange.is_answered)
        oldest = next(silent, None) or next(iter(self.open), None)
        if oldest is not None:
            oldest.abort()

    def answer(self, head: bytes) -> tuple[Reply, bool]:
        """Return the reply to a request, and whether its body is to be sent."""
        request, *rest = head.decode("latin-1").replace("\r\n", "\n").split("\n")
        words = request.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return say(HTTPStatus.BAD_REQUEST, "no request of HTTP/1.1"), True
        method, target, _ = words
        if not all(map(self.where.is_meant_by, _values(rest, "host"))):
            text = "no name of this machine: see docs/metrics.md"
            return say(HTTPStatus.MISDIRECTED_REQUEST, text), True
        if method not in ("GET", "HEAD"):
            return say(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only"), True
        answer = self.answers.get(target.partition("?")[0])
        if answer is None:
            paths = " ".join(sorted(self.answers))
            return say(HTTPStatus.NOT_FOUND, f"there are: {paths}"), method == "GET"
        try:
            return answer(",".join(_values(rest, "accept"))), method == "GET"
        except Exception:  # the job goes on, whatever became of this answer
            log.exception("http.bug", path=target[:80])
            return say(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug: see the log"), method == "GET"


class Exchange(asyncio.Protocol):
    """One connection: a request, a reply, and the end."""

    def __init__(self, server: HttpServer) -> None:
        self.is_answered = False
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give it some seconds, and the place of somebody else if there is none."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._deadline = self._loop.call_later(ASK_S, self.abort)
        if len(self._server.open) >= MOST_CONNECTIONS:
            self._server.make_room()
        self._server.open[self] = None

    def data_received(self, data: bytes) -> None:
        """Answer when the head is whole."""
        if self._transport is None or self._transport.is_closing():
            return
        self._head += data
        head, end, _ = self._head.partition(b"\r\n\r\n")
        if len(head) > MOST_BYTES:
            text = f"more than {MOST_BYTES} bytes"
            self._reply(say(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text))
        elif end:
            self._reply(*self._server.answer(head))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._server.open.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()

    def abort(self) -> None:
        """Hang up, whatever is still to be said; its place is free at once."""
        self._server.open.pop(self, None)
        if self._transport is not None:
            self._transport.abort()

    def _reply(self, reply: Reply, with_body: bool = True) -> None:
        assert self._transport is not None
        lines = [
            f"HTTP/1.1 {reply.status.value} {reply.status.phrase}",
            f"Content-Type: {reply.kind}",
            f"Content-Length: {len(reply.body)}",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        if reply.status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        self.is_answered = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(READ_S, self.abort)
        self._transport.write(head + reply.body if with_body else head)
        self._transport.close()


def _values(lines: list[str], header: str) -> list[str]:
    """Return what the headers of that name among ``lines`` say."""
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in pairs if name.strip().lower() == header]


async def _listeners(where: Listen) -> list[socket.socket]:
    """Return a bound socket for each address that ``where`` has on this machine.

    Raises:
        OSError: a name that nobody knows, or not one of its addresses can be had.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                listeners.append(_bound(family, address))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error  # of a name for IPv4 and IPv6 one may be switched off
        if missing is not None and not listeners:
            raise missing
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _bound(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener
