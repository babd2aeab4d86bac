"""A file descriptor of ours in a process that is the user's."""

from __future__ import annotations

import os


class Descriptor:
    """A file descriptor of ours that the user's code may close at any time.

    Its number may be another file's by then (``os.closerange(3, 256)``, and then a data file is
    opened): it is known by device and inode, and nothing is read, written or closed that is not it.

    Args:
        fd: the descriptor as it is now; -1 for none.
    """

    __slots__ = ("fd", "identity")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.identity = identity(fd)

    def is_ours(self) -> bool:
        """Tell whether its number still means what it meant."""
        return self.identity is not None and identity(self.fd) == self.identity

    def close(self) -> None:
        """Close it, if it is still ours; a second call does nothing."""
        if self.is_ours():
            os.close(self.fd)
        self.identity = None


def identity(fd: int) -> tuple[int, ...] | None:
    """Return what is open there: device, inode and kind; None for nothing.

    Pidfds share one inode on kernels before 6.9: there, one is taken for another.
    """
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mode
