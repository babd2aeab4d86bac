"""A page of memory that several processes map: what a benchmark's processes tell each other.

Standard library only: workers and the hand-written program import this.
"""

from __future__ import annotations

import mmap
import os
import time

VARIABLE = "BENCHMARK_PAGE"
"""The environment variable that tells a worker where the page's file is."""
CAPACITY = 8192
"""So many values are kept; older ones are written over."""
TIMEOUT_S = 20.0

_COUNT, _HELPER, _VALUES = 0, 1, 8
SIZE = 8 * (_VALUES + CAPACITY)


class Page:
    """One mapping of the page: a counter, a process id, and a ring of 64-bit values.

    Args:
        path: a file of `SIZE` bytes, in memory (a disk would write it back in between).
    """

    def __init__(self, path: str) -> None:
        self.path = path
        fd = os.open(path, os.O_RDWR)
        self.words = memoryview(mmap.mmap(fd, SIZE)).cast("Q")
        os.close(fd)

    @classmethod
    def of_environment(cls) -> Page:
        """Return the page of this worker, with the worker's process id on it."""
        page = cls(os.environ[VARIABLE])
        page.helper = os.getpid()
        return page

    @property
    def count(self) -> int:
        """How many values were put so far."""
        return self.words[_COUNT]

    @property
    def helper(self) -> int:
        """The contestant's second process: a worker, or a listener. 0: not there yet."""
        return self.words[_HELPER]

    @helper.setter
    def helper(self, pid: int) -> None:
        """Say which process it is."""
        self.words[_HELPER] = pid

    def stamp(self) -> None:
        """Put the present time (CLOCK_MONOTONIC, the same for all processes) in nanoseconds."""
        self.put(time.monotonic_ns())

    def tick(self) -> None:
        """Count, and put nothing: the cheapest sign of life."""
        self.words[_COUNT] += 1

    def put(self, value: int) -> None:
        """Put one value. One process at a time may do so: there is no lock."""
        count = self.words[_COUNT]
        self.words[_VALUES + count % CAPACITY] = value
        self.words[_COUNT] = count + 1

    def value(self, number: int) -> int:
        """Return the value that was put when ``number`` others were there already."""
        return self.words[_VALUES + number % CAPACITY]

    def wait(self, count: int, nap_s: float = 0.0002) -> None:
        """Return when ``count`` values were put.

        Raises:
            TimeoutError: they weren't in time.
        """
        deadline = time.monotonic() + TIMEOUT_S
        while self.words[_COUNT] < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.words[_COUNT]} of {count} values after {TIMEOUT_S:g} s")
            time.sleep(nap_s)
