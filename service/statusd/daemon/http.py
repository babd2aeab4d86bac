"""A tiny HTTP/1.1 server on the daemon's own loop: GET and HEAD, one request a connection.

Rules of this file: whoever is slow, talks too much or comes in numbers is hung up on, and nobody is
waited for; a bug in an answer is a 500 and never the daemon's end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

import structlog

from statusd.core.errors import Unavailable
from statusd.wire.listen import Listen

MOST_CONNECTIONS = 16
"""More connections at once than this are told to come later."""
MOST_BYTES = 8192
"""The longest head of a request."""
PATIENCE_S = 5.0
"""So long a connection may take from beginning to end."""

log = structlog.get_logger()


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
        self.open: set[Exchange] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            Unavailable: the address can't be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Exchange(self), *self.where)
        except OSError as error:
            reason = error.strerror or str(error)
            cure = "give each unit a port of its own, or leave http.listen empty"
            raise Unavailable(f"http.listen: {self.where}: {reason}: {cure}") from None
        log.info("http.listening", at=f"http://{self.where}", paths=sorted(self.answers))

    def close(self) -> None:
        """Stop to listen, and hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for exchange in list(self.open):
            exchange.abort()

    def answer(self, head: bytes) -> tuple[Reply, bool]:
        """Return the reply to a request, and whether its body is to be sent."""
        request, *rest = head.decode("latin-1").replace("\r\n", "\n").split("\n")
        words = request.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return say(HTTPStatus.BAD_REQUEST, "no request of HTTP/1.1"), True
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return say(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only"), True
        answer = self.answers.get(target.partition("?")[0])
        if answer is None:
            paths = " ".join(sorted(self.answers))
            return say(HTTPStatus.NOT_FOUND, f"there are: {paths}"), method == "GET"
        try:
            return answer(_accepted(rest)), method == "GET"
        except Exception:  # the job goes on, whatever became of this answer
            log.exception("http.bug", path=target[:80])
            return say(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug: see the log"), method == "GET"


class Exchange(asyncio.Protocol):
    """One connection: a request, a reply, and the end."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give it some seconds; turn it away if there are too many."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._deadline = self._loop.call_later(PATIENCE_S, self.abort)
        self._server.open.add(self)
        if len(self._server.open) > MOST_CONNECTIONS:
            self._reply(say(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections"))

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
        self._server.open.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    def abort(self) -> None:
        """Hang up, whatever is still to be said."""
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
        self._transport.write(head + reply.body if with_body else head)
        self._transport.close()


def _accepted(lines: list[str]) -> str:
    """Return what the ``Accept`` headers among ``lines`` say."""
    pairs = (line.partition(":") for line in lines)
    return ",".join(value.strip() for name, _, value in pairs if name.lower() == "accept")
