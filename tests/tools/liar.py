"""An attacker who speaks RESP: a server that behaves like a broker until it is told not to.

It plays somebody between us and the broker, or in its place; everything else is tested with a real
one. It answers what a unit asks when it connects, and keeps what is written nowhere.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any, Self

import hiredis

HELLO = (
    b"%7\r\n+server\r\n+redis\r\n+version\r\n+7.2.4\r\n+proto\r\n:3\r\n+id\r\n:7\r\n"
    b"+mode\r\n+standalone\r\n+role\r\n+master\r\n+modules\r\n*0\r\n"
)
XINFO = b"%3\r\n+length\r\n:0\r\n+last-generated-id\r\n+0-0\r\n+entries-added\r\n:0\r\n"
RIGHT: dict[bytes, bytes] = {
    b"HELLO": HELLO,
    b"TIME": b"*2\r\n$10\r\n1795000000\r\n$1\r\n5\r\n",
    b"GET": b"_\r\n",
    b"GETRANGE": b"$0\r\n\r\n",
    b"HGET": b"_\r\n",
    b"HSTRLEN": b":0\r\n",
    b"PTTL": b":-2\r\n",
    b"XINFO": XINFO,
    b"XREVRANGE": b"*0\r\n",
    b"XADD": b"$3\r\n1-1\r\n",
    b"PUBLISH": b":1\r\n",
    b"HSET": b":1\r\n",
    b"DEL": b":1\r\n",
}
"""What a broker replies; to everything else that it is asked: OK."""
SILENT = (b"XREAD",)
"""What it replies nothing to: a read that blocks."""


class Liar:
    """Listens on 127.0.0.1; as a context manager it is started.

    Args:
        port: where.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.wrong: Callable[[], tuple[bytes, bytes]] = lambda: (b"", b"")
        """Says for each connection which command is answered wrongly, and how; ``PUSH`` is what a
        subscriber is told unasked when its channels are confirmed."""
        self.asked: list[bytes] = []
        """Every command, in order."""
        self.lied = 0
        """How often something wrong was said."""
        self._open: set[socket.socket] = set()
        self._server: Any = None

    def start(self) -> None:
        """Listen."""
        liar = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                liar._talk(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Hang up and leave the port; a second call does nothing."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        self.hang_up()

    def hang_up(self) -> None:
        """End every connection; the next ones are let in."""
        for one in list(self._open):
            _hang_up(one)

    def count(self, command: bytes) -> int:
        """Return how often a command was asked."""
        return self.asked.count(command)

    def _talk(self, connection: socket.socket) -> None:
        self._open.add(connection)
        reader, wrong = hiredis.Reader(), self.wrong()
        try:
            while data := connection.recv(65536):
                reader.feed(data)
                while (asked := reader.gets()) is not False:
                    connection.sendall(self._answer([bytes(word) for word in asked], *wrong))
        except OSError:  # it has hung up on us, as it should
            return
        finally:
            self._open.discard(connection)
            _hang_up(connection)

    def _answer(self, words: list[bytes], asked: bytes, said: bytes) -> bytes:
        command = words[0].upper()
        self.asked.append(command)
        if command == asked:
            self.lied += 1
            return said
        if command in (b"SUBSCRIBE", b"PSUBSCRIBE"):
            confirmed = b"".join(_confirmed(command.lower(), name) for name in words[1:])
            self.lied += asked == b"PUSH"
            return confirmed + (said if asked == b"PUSH" else b"")
        return b"" if command in SILENT else RIGHT.get(command, b"+OK\r\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _confirmed(kind: bytes, name: bytes) -> bytes:
    return b">3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:1\r\n" % (len(kind), kind, len(name), name)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be gone already
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
