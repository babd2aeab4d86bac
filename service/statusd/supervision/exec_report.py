"""The pipe by which the wrapper says why a program can't be executed (see `worker.wrapper`).

It closes by itself when the program is executed: silence is the good news.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from statusd.scheduler import Scheduler

MOST_BYTES = 4096
"""The longest reason that is read."""


class ExecReport:
    """Our end of the pipe, from `open` until it has told.

    Args:
        told: called once, on the loop, with the reason; with an empty text if the program runs.
        loop: who waits for it.
    """

    def __init__(self, told: Callable[[str], None], loop: Scheduler) -> None:
        self._told = told
        self._loop = loop
        self._ours = self._theirs = -1

    def open(self) -> int:
        """Make the pipe, and return the end that the wrapper writes to.

        Raises:
            OSError: the system refused.
        """
        self._ours, self._theirs = os.pipe()
        os.set_blocking(self._ours, False)
        return self._theirs

    def started(self) -> None:
        """Give up the wrapper's end, and wait for what it says."""
        self._close_theirs()
        self._loop.add_reader(self._ours, self._read)

    def drain(self) -> None:
        """Take what it has said, if it was not taken yet."""
        if self._ours != -1:
            with contextlib.suppress(BlockingIOError):
                self._read()

    def close(self) -> None:
        """Give back both ends."""
        self._close_theirs()
        self._close_ours()

    def _read(self) -> None:
        reason = os.read(self._ours, MOST_BYTES)
        self._close_ours()
        self._told(reason.decode("utf-8", "replace"))

    def _close_theirs(self) -> None:
        if self._theirs != -1:
            os.close(self._theirs)
            self._theirs = -1

    def _close_ours(self) -> None:
        if self._ours != -1:
            self._loop.remove_reader(self._ours)
            os.close(self._ours)
            self._ours = -1
