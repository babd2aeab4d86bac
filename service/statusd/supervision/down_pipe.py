"""The pipe down to a function: its args and wake-ups, of which the newest are enough.

Rule of this file: nothing here waits for a worker that doesn't read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from statusd.core.messages import Scalar
from statusd.scheduler import Scheduler
from statusd.worker import notes


class DownPipe:
    """Writes what finds room, and keeps of the rest the newest of each kind.

    New args take the place of older ones, and one wake-up stands for many: so a worker that never
    reads costs us a line or two.

    Args:
        fd: the writing end, non-blocking; whoever has opened it closes it, after `close`.
        loop: who waits for room.
    """

    def __init__(self, fd: int, loop: Scheduler) -> None:
        self._fd = fd
        self._loop = loop
        self._begun = self._args = self._wake = b""

    def send_args(self, args: Mapping[str, Scalar]) -> None:
        """Send ``args`` in the place of older ones that still wait; they come before a wake-up."""
        self._args = json.dumps(dict(args)).encode() + b"\n"
        self._send()

    def wake(self) -> None:
        """Wake the worker, to look at its page."""
        self._wake = notes.WAKE
        self._send()

    def close(self) -> None:
        """Wait for room no longer; what waits is dropped."""
        self._loop.remove_writer(self._fd)

    def _send(self) -> None:
        if self._flush():
            self._loop.add_writer(self._fd, self._resume)

    def _resume(self) -> None:
        if not self._flush():
            self._loop.remove_writer(self._fd)

    def _flush(self) -> bool:
        """Write what there is room for; tell whether something waits for room."""
        try:
            while self._next():
                self._begun = self._begun[os.write(self._fd, self._begun) :]
        except BlockingIOError:
            # A pipe without room is full of wake-ups already; only args have to wait for room.
            if self._begun == notes.WAKE:
                self._begun = b""
        except BrokenPipeError:
            self._begun = self._args = self._wake = b""
        return bool(self._begun or self._args)

    def _next(self) -> bytes:
        """Return what is to be written now: the rest of a line, args, or a wake-up."""
        if not self._begun:
            if self._args:
                self._begun, self._args = self._args, b""
            else:
                self._begun, self._wake = self._wake, b""
        return self._begun
