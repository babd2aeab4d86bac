"""A server that isn't what it should be: it answers each command with whatever it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

import hiredis

HELLO = b"%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n"
"""What a broker answers to HELLO 3."""
Answers = Callable[[list[str]], bytes]


class Impostor:
    """Listens on a port of this machine until it is closed.

    Args:
        answers: command -> the bytes that are sent back.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.connections = 0
        """How many have come."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                sock, _ = self._server.accept()
                self.connections += 1
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        reader = hiredis.Reader(notEnoughData=False)
        with contextlib.suppress(OSError):
            while data := sock.recv(65536):
                reader.feed(data)
                while (command := reader.gets()) is not False:
                    words = [word.decode("utf-8", "replace") for word in command]
                    sock.sendall(self._answers(words))

    def close(self) -> None:
        """Hang up on everybody."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)  # else it may let one more in, which nobody would close
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
