"""Directories and files that are believed: nobody but this user and root can have put them there.

In a common place such as /tmp anybody may make a name before us, or a link that leads elsewhere.
Rules of this file: what is judged is what was opened, never a name that may mean something else a
moment later; a link is followed only if this user or root has made it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from statusd.core.errors import Unavailable

ROOT = 0
MOST_BYTES = 65536
"""A file of ours that is longer is none of ours."""
_TMPDIR = "make room there, or name another directory in TMPDIR"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Untrusted(Unavailable):
    """Somebody else has made it, or may change it: it is neither read, written nor removed.

    Args:
        what: is wrong with it; cure: what to do.
    """

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}: {cure}")
        self.what, self.cure = what, cure


def make_private_directory(path: Path) -> None:
    """Make ``path``, for this user alone, if it isn't there; see `check_private_directory`.

    Raises:
        OSError: it can't be made.
        Untrusted: it is there, and not to be believed.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private_directory(path)


def check_private_directory(path: Path, *, is_shared: bool = False) -> None:
    """Return if ``path`` is this user's directory, or root's, and nobody else may write in it.

    Args:
        path: a directory, or a link to one that this user or root has made.
        is_shared: others may write in it (a volume of a container). Whoever says so checks each
            file in it by itself (`open_own`), and counts on none to stay.

    Raises:
        OSError: it can't be opened; it is no directory.
        Untrusted: it is somebody else's; the text says whose, and what to do.
    """
    with opened_directory(path, is_shared=is_shared):
        pass


@contextlib.contextmanager
def opened_directory(path: Path, *, is_shared: bool = False) -> Iterator[int]:
    """Give a descriptor (O_PATH) of a directory that `check_private_directory` has nothing against.

    What is opened, bound or removed by it is in that directory, whatever becomes of its name.
    """
    fd = _open(path)
    try:
        found = os.fstat(fd)
        if found.st_uid not in believed(path):
            raise Untrusted(f"{path} is of user {found.st_uid}, not ours", _remove_it(path))
        if found.st_mode & _OTHERS_WRITE and not is_shared:
            mode = stat.S_IMODE(found.st_mode)
            raise Untrusted(
                f"{path} (mode {mode:o}) can be written by others", f"chmod go-w {path}"
            )
        yield fd
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    link = os.lstat(path)
    if not stat.S_ISLNK(link.st_mode):
        return os.open(path, flags | os.O_NOFOLLOW)
    if link.st_uid not in (os.geteuid(), ROOT):
        raise Untrusted(f"{path} is a link of user {link.st_uid}", _remove_it(path))
    return os.open(path, flags)


def _remove_it(path: Path) -> str:
    return f"name another place, or have {path} removed"


def believed(directory: Path) -> frozenset[int]:
    """Return the users whose things in ``directory`` we believe: ourselves and root.

    Root talks with the daemons of others: with the owner of a directory, too, if nobody but root
    can have given it to him (/run/statusd/camera, /home/alice, not what is in /tmp).
    """
    us = os.geteuid()
    if us != ROOT:
        return frozenset((us, ROOT))
    return frozenset((ROOT, _given_to(directory)))


def _given_to(directory: Path) -> int:
    """Return the one user besides root who can have made that directory; root if it isn't so."""
    real = Path(os.path.realpath(directory))
    owner, is_roots_alone = ROOT, True
    for place in (*reversed(real.parents), real):
        found = os.lstat(place)
        if owner == ROOT and found.st_uid != ROOT and is_roots_alone:
            owner = found.st_uid
        elif found.st_uid not in (owner, ROOT):
            return ROOT
        is_roots_alone &= not found.st_mode & _OTHERS_WRITE
    return owner


def open_own(path: str | Path, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
    """Open a regular file of this user's or root's, never through a link, and never wait for it.

    Args:
        path, flags, dir_fd, mode: as in `os.open`; a pipe or a device isn't waited for.

    Raises:
        OSError: it can't be opened.
        Untrusted: it is somebody else's, or no regular file.
    """
    always = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    fd = os.open(path, flags | always, mode, dir_fd=dir_fd)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Untrusted(f"{path} is no regular file", "have it removed")
        if found.st_uid not in (os.geteuid(), ROOT):
            raise Untrusted(f"{path} is of user {found.st_uid}, not ours", "have it removed")
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_own(path: str | Path, *, dir_fd: int | None = None) -> bytes:
    """Return the content of such a file, see `open_own`; at most `MOST_BYTES`."""
    with open(open_own(path, os.O_RDONLY, dir_fd=dir_fd), "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise Untrusted(f"{path} is longer than {MOST_BYTES} bytes", "have it removed")
    return content


def temporary_directory(prefix: str) -> Path:
    """Make a directory for this user alone, where temporary files are.

    Raises:
        Unavailable: no such place takes one.
    """
    import tempfile

    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Unavailable(f"temporary files: {where}{error.strerror}: {_TMPDIR}") from None


@contextlib.contextmanager
def writing(file: Path) -> Iterator[None]:
    """Have an error in writing a temporary file told with its name: write(2) knows none.

    Raises:
        Unavailable: it can't be written.
    """
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{error.filename or file}: {error.strerror}: {_TMPDIR}") from None


def room(error: OSError) -> str:
    """Return the beginning of a cure, with a blank at its end: if a disk is full, to make room."""
    return "make room there, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""


def write_own(name: str, content: bytes, *, dir_fd: int) -> None:
    """Put ``content`` into a new file for this user alone, in the place of what had that name.

    Raises:
        OSError: it can't be written; the old one, or none, stands there.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=dir_fd)
    fd = open_own(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=dir_fd)
    try:
        with open(fd, "wb") as file:
            file.write(content)
    except OSError:
        os.unlink(name, dir_fd=dir_fd)
        raise
