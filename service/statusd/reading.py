"""The user's files, read at once or not at all: settings, passwords, certificates, variables.

A pipe that nobody writes to, a device that never ends or a file of 10 GB must stop nobody, neither
at the start nor when a password is read anew. Rules of this file: nothing but a regular file is
read; nothing is waited for; what is longer than it can be is not read at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from statusd.core.encodings import BOM_UTF8, UTF16, is_utf16

MOST_BYTES = 4 * 1024 * 1024
"""The longest file of settings, variables or certificates; the bundles of systems have 0.3 MB."""
MOST_SECRET_BYTES = 64 * 1024
"""The longest file with a password."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class Unfit(OSError):
    """It is there, and can't be what is wanted: something else than a file, or far too long."""


def kind(mode: int) -> str:
    """Return what ``st_mode`` says that something is, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "a file")


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> Iterator[int]:
    """Give a descriptor of the regular file ``path``, or of the one that a link leads to.

    Raises:
        OSError: it can't be opened; as `Unfit`, with words for the user in ``strerror``: it is
            something else, or longer than ``most_bytes``.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            text = f"it is {kind(found.st_mode)}, and a regular file is wanted"
            raise Unfit(errno.EINVAL, text, os.fspath(path))
        if found.st_size > most_bytes:
            raise _too_long(path, most_bytes)
        yield fd
    finally:
        os.close(fd)


def read_file(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: as `opened` does, or it can't be read.
    """
    with opened(path, most_bytes) as fd, open(fd, "rb", closefd=False) as file:
        content = file.read(most_bytes + 1)  # it may grow, and files of /proc have no size
    if len(content) > most_bytes:
        raise _too_long(path, most_bytes)
    return content


def read_words(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> str:
    """Return the content of a regular file as text, with every end of a line as a newline.

    The mark that editors write before UTF-8 is no part of it.

    Raises:
        OSError: as `read_file` does; as `Unfit`, it is UTF-16.
        UnicodeDecodeError: it isn't UTF-8; the error's own text may show a byte of it.
    """
    content = read_file(path, most_bytes)
    if is_utf16(content[:64]):
        raise Unfit(errno.EILSEQ, f"it is {UTF16}", os.fspath(path))
    text = content.removeprefix(BOM_UTF8).decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _too_long(path: str | os.PathLike[str], most_bytes: int) -> Unfit:
    text = f"it is longer than {most_bytes} bytes, which none of its kind is"
    return Unfit(errno.EFBIG, text, os.fspath(path))
