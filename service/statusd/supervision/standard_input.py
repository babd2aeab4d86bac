"""A program's standard input: its states and args as lines, of which the newest are enough.

Rules of this file: nothing here waits for a program that doesn't read; after ENDING nothing is
written, and the pipe is closed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping

from statusd.core.messages import Scalar
from statusd.scheduler import Scheduler

PIPE_BYTES = 4096
"""A page is enough: a program that reads late shall find few old lines before the newest."""


class StandardInput:
    """Our end of the pipe, if it is asked for by `open`; else nothing is said.

    Args:
        loop: who waits for room.
    """

    def __init__(self, loop: Scheduler) -> None:
        self._loop = loop
        self._ours = self._theirs = -1
        self._begun = self._args = self._state = b""
        self._is_over = False

    def open(self) -> int:
        """Make the pipe, and return the end that the program reads.

        Raises:
            OSError: the system refused.
        """
        self._theirs, self._ours = os.pipe()
        os.set_blocking(self._ours, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._ours, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return self._theirs

    def started(self) -> None:
        """Give up the program's end: it has it."""
        if self._theirs != -1:
            os.close(self._theirs)
            self._theirs = -1

    def say(self, state: str, args: Mapping[str, Scalar] | None) -> None:
        """Put the state's line in place of an older one that still waits; ``args`` before it."""
        if self._ours == -1:
            return
        if args is not None:
            self._args = b"ARGS " + json.dumps(dict(args)).encode() + b"\n"
        self._state = state.encode() + b"\n"
        self._loop.remove_writer(self._ours)
        self._flush()

    def close(self) -> None:
        """Give back both ends."""
        self.started()
        self._close_ours()

    def _flush(self) -> None:
        """Write whole lines as far as there is room; close after the last one."""
        try:
            while self._next():
                self._begun = self._begun[os.write(self._ours, self._begun) :]
        except BlockingIOError:
            self._loop.add_writer(self._ours, self._flush)
            return
        except BrokenPipeError:  # it has closed its standard input, which is its right
            self._close_ours()
            return
        self._loop.remove_writer(self._ours)
        if self._is_over:
            self._close_ours()

    def _next(self) -> bytes:
        """Return what is to be written now: the rest of a line, args, or the newest state."""
        if self._begun:
            return self._begun
        if self._args:
            self._begun, self._args = self._args, b""
        elif self._state:
            self._begun, self._state = self._state, b""
            self._is_over = self._begun == b"ENDING\n"
        return self._begun

    def _close_ours(self) -> None:
        if self._ours != -1:
            self._loop.remove_writer(self._ours)
            os.close(self._ours)
            self._ours = -1
