"""Readers of the stream of events of one server, as browsers are: so many in one process.

Run as ``python -m benchmarks.viewers PORT TOKEN COUNT``: it says ``ready`` when all are in, reads
until its input ends, and prints as JSON how long after it had happened each event came to the
first of them (``ms``), and how many bytes each has got (``bytes``).
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from datetime import datetime

MOST = 1 << 18


def connect(port: int, token: str) -> socket.socket:
    """Return a connection whose answer has begun: the stream of events."""
    viewer = socket.create_connection(("127.0.0.1", port), 10)
    head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    viewer.sendall(f"GET /api/events HTTP/1.1\r\n{head}".encode())
    got = b""
    while b"retry:" not in got:
        part = viewer.recv(MOST)
        if not part:
            raise ConnectionError(f"hung up: {got[:200]!r}")
        got += part
    assert got.startswith(b"HTTP/1.1 200"), got[:200]
    return viewer


class First:
    """The one who looks at what it gets."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Note how old each event is. Where a chunk of HTTP ends within one, it isn't counted."""
        now = time.time()
        *messages, self._rest = (self._rest + data).split(b"\n\n")
        for message in messages:
            _, is_event, text = message.partition(b"event: event\n")
            if is_event:
                self._note(text.partition(b"data: ")[2], now)

    def _note(self, text: bytes, now: float) -> None:
        try:
            at = json.loads(text)["at"]
        except ValueError:
            return
        self.ms.append((now - datetime.fromisoformat(at).timestamp()) * 1000)


def main(port: int, token: str, count: int) -> None:
    """Read until nobody wants it any more."""
    viewers = {viewer.fileno(): viewer for viewer in (connect(port, token) for _ in range(count))}
    first, number = First(), next(iter(viewers))
    poll, got = select.epoll(), 0
    for fd in (*viewers, sys.stdin.fileno()):
        poll.register(fd, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        for fd, _ in poll.poll():
            if fd not in viewers:
                print(json.dumps({"ms": first.ms, "bytes": got / count}), flush=True)
                return
            data = viewers[fd].recv(MOST)
            if not data:
                raise ConnectionError("a viewer was hung up on")
            got += len(data)
            if fd == number:
                first.take(data)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
