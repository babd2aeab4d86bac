"""Raw subscribers of one channel, with a stamp for each message that any of them gets.

Run as ``python -m benchmarks.fan PORT PAGE COUNT CHANNEL``: so many connections in one process.
"""

from __future__ import annotations

import os
import select
import sys

from benchmarks.broker import Wire
from benchmarks.page import Page


def main(port: int, path: str, count: int, channel: str) -> None:
    """Subscribe, say so by a stamp, and stamp each message, for ever."""
    page = Page(path)
    page.helper = os.getpid()
    wires = {}
    poll = select.epoll()
    for _ in range(count):
        wire = Wire(port, channel)
        wires[wire.fileno()] = wire
        poll.register(wire.fileno(), select.EPOLLIN)
    page.stamp()
    while True:
        for fd, _ in poll.poll():
            wires[fd].take()
            page.stamp()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
