"""The embedded brokers of this user: where they listen, and the password that they want.

Each leaves a file in the runtime directory, for this user alone: ``embedded-PORT`` with its
daemon's pid, its URL, and its password. Whoever of this user dials that port without a password
gets it from there, so that nobody has to know that there is one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from statusd.private import Untrusted, opened_directory, read_own
from statusd.wire.local import places

_PREFIX = "embedded-"


class OwnBroker(NamedTuple):
    """A running embedded broker of this user."""

    url: str
    password: str


def file_name(port: int) -> str:
    """Return how the file is called that tells of a broker at ``port``."""
    return f"{_PREFIX}{port}"


def content(url: str, password: str) -> bytes:
    """Return what stands in it."""
    return f"{os.getpid()} {url} {password}\n".encode()


def running() -> str:
    """Return the URL of this user's embedded broker, of several the newest; empty for none."""
    found: list[tuple[float, str]] = []
    for folder in _folders():
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                told = _told(folder, name) if name.startswith(_PREFIX) else None
                if told is not None:
                    found.append((os.stat(name, dir_fd=folder).st_mtime, told.url))
    return max(found)[1] if found else ""


def password(port: int) -> str:
    """Return what this user's embedded broker at ``port`` of 127.0.0.1 wants; empty for none."""
    for folder in _folders():
        told = _told(folder, file_name(port))
        if told is not None:
            return told.password
    return ""


def _folders() -> Iterator[int]:
    """Yield a descriptor of each of this user's runtime directories that is to be believed."""
    for place in places():
        try:
            with opened_directory(place) as path:
                folder = os.open(f"/proc/self/fd/{path}", os.O_RDONLY | os.O_DIRECTORY)
        except (OSError, Untrusted):
            continue
        try:
            yield folder
        finally:
            os.close(folder)


def _told(folder: int, name: str) -> OwnBroker | None:
    """Return what a file tells; None if there is none, or its daemon has died."""
    try:
        pid, url, secret = read_own(name, dir_fd=folder).decode("ascii").split()
        os.kill(int(pid), 0)
    except (OSError, ValueError, OverflowError, Untrusted):
        return None
    return OwnBroker(url, secret)
