"""Where log lines go: a descriptor that we share with others, and whose reader may be asleep.

Rule of this file: writing a line never waits, and never raises; what can't be written is counted.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable

AT_ONCE = 4096
"""Lines that are written at once are so long together at most, in bytes (PIPE_BUF)."""


class Output:
    """Writes lines to a descriptor, and never waits for its reader.

    A line that can't be written, or finds no room, is counted and dropped; nothing is raised.

    Args:
        fd: standard error, as a rule.
    """

    def __init__(self, fd: int = 2) -> None:
        self._write = _writer(fd)
        self._most = sys.maxsize if _is_file(fd) else AT_ONCE
        self._held: list[str] = []
        self.dropped = 0

    def msg(self, line: str) -> None:
        """Write one line, after those that were held."""
        self.hold(line)
        self.flush()

    def hold(self, line: str) -> None:
        """Keep one line, to be written with those that follow."""
        self._held.append(line)

    def flush(self) -> None:
        """Write what was held, as many lines at once as a pipe takes whole (PIPE_BUF, pipe(7))."""
        held, self._held = self._held, []
        while held:
            count, text = len(held), _encoded(held)
            while len(text) > self._most and count > 1:
                count = max(1, min(count - 1, count * self._most // len(text)))
                text = _encoded(held[:count])
            try:
                self._write(text)
            except OSError:
                self.dropped += count
            del held[:count]


def _writer(fd: int) -> Callable[[bytes], int]:
    """Return what writes to ``fd`` without waiting.

    ``O_NONBLOCK`` belongs to the open file, which we share with whoever started us: a pipe or a
    terminal is opened once more, for us alone.
    """
    try:
        kind = os.fstat(fd).st_mode
        if stat.S_ISSOCK(kind):
            sock = socket.socket(fileno=os.dup(fd))
            return lambda line: sock.send(line, socket.MSG_DONTWAIT)
        if stat.S_ISFIFO(kind) or os.isatty(fd):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            ours = os.open(f"/proc/self/fd/{fd}", flags)
            return lambda line: os.write(ours, line)
    except OSError:
        pass  # closed, somebody else's, or no /proc: what we were given has to do
    return lambda line: os.write(fd, line)


def _is_file(fd: int) -> bool:
    """Tell whether ``fd`` is a file, which takes everything at once."""
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def _encoded(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
