"""The limit: the least that a Python program can do to hear a word and pass it on.

A blocking socket, ``hiredis.Reader`` and a word of shared memory; no client library, no state
machine, no answer but for ``ack``, nothing that notices a fault. What statusd takes longer is
what its promises cost.

Run as ``python -m benchmarks.limit ROLE PORT PAGE``, with the roles of `benchmarks.seed` and
``block``: the worker sleeps on an eventfd(2) until the listener wakes it.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable

from benchmarks.broker import Wire, pack
from benchmarks.contestants import CHANNEL
from benchmarks.page import Page
from benchmarks.seed import ACKS

NUMBERS = {b"READY": 1, b"RUNNING": 2, b"PAUSED": 3, b"END": 4}


class Cell:
    """What the two processes share: one word of memory, and an eventfd to be woken by."""

    def __init__(self) -> None:
        self.word = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("i")
        self.bell = os.eventfd(0)


def listen(port: int, page: Page, cell: Cell, tell: Callable[[bytes], None]) -> None:
    """Store the number of each word that is heard, and ``tell`` of it."""
    word = cell.word
    with Wire(port, CHANNEL) as wire:
        page.helper = os.getpid()
        page.stamp()
        wire.wait_for_ever()
        while True:
            name = wire.take()[2]
            number = NUMBERS.get(name)
            if number is not None:
                word[0] = number
                tell(name)


def spin(page: Page, cell: Cell) -> None:
    """Look at the word all the time and stamp what is new."""
    word, stamp, seen = cell.word, page.stamp, 0
    while seen != NUMBERS[b"END"]:
        new = word[0]
        if new != seen:
            stamp()
            seen = new


def block(page: Page, cell: Cell) -> None:
    """Sleep until there is something new, and stamp it."""
    bell, stamp = cell.bell, page.stamp
    while cell.word[0] != NUMBERS[b"END"]:
        os.eventfd_read(bell)
        stamp()


def main(role: str, port: int, path: str) -> None:
    """Listen in a child; work here, until a word says END or a signal does."""
    page, cell = Page(path), Cell()
    if os.fork() == 0:
        try:
            listen(port, page, cell, _teller(role, port, cell))
        finally:
            os._exit(1)
    (spin if role == "spin" else block)(page, cell)


def _teller(role: str, port: int, cell: Cell) -> Callable[[bytes], None]:
    if role == "block":
        return lambda _: os.eventfd_write(cell.bell, 1)
    if role == "ack":
        wire = Wire(port)

        def answer(name: bytes) -> None:
            wire.send(pack("PUBLISH", ACKS, name))
            wire.take()

        return answer
    return lambda _: None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
