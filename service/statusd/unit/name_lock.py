"""Whose a unit's name is on this machine: one daemon's, by a lock that ends with it.

Rule of this file: what counts is the lock, not that the file is there, nor what stands in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from statusd.core.errors import Unavailable
from statusd.private import open_own


class NameLock:
    """The lock of one name on this machine: a file with our pid in it.

    Args:
        path: of the file; without its ending, the name.
        what: whose name it is.

    Raises:
        OSError: it can't be opened.
        Unavailable: another daemon has it, or the file is none of ours.
    """

    def __init__(self, path: Path, what: str = "unit") -> None:
        self._path = path
        self._what = what
        self._fd = self._take()

    def _take(self) -> int:
        fd = open_own(self._path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            os.close(fd)
            text = f"a {self._what} named {self._path.stem!r} runs here already"
            who = f"(pid {pid if pid.isdigit() else 'unknown'})"
            cure = "end it first, or give this one another name"
            raise Unavailable(f"{text} {who}: {cure}") from None
        with contextlib.suppress(OSError):  # a full disk; the pid is a hint
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
        return fd

    def hold(self) -> None:
        """Take it anew if somebody has removed the file: whoever comes would find it free.

        Raises:
            OSError, Unavailable: it can't be had.
        """
        if os.fstat(self._fd).st_nlink == 0:
            old, self._fd = self._fd, self._take()
            os.close(old)

    def give_up(self) -> None:
        """Let others have the name."""
        os.close(self._fd)
