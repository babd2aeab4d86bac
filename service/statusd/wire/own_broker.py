"""The embedded brokers of this user: where they listen, whose they are, and the password they want.

Each leaves a file in the runtime directory, for this user alone: ``embedded-PORT`` with its
daemon's pid, its URL, its password, the settings file that it was started with and the folder in
which that was. Whoever of this user dials that port without a password gets it from there, so that
nobody has to know that there is one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from statusd.private import Untrusted, opened_directory, read_own
from statusd.wire.local import places
from statusd.wire.names import settings_path

_PREFIX = "embedded-"
_NONE = "-"
"""Where a file says that there is nothing to be said."""


class OwnBroker(NamedTuple):
    """A running embedded broker of this user.

    Args:
        settings: the file that it was started with; empty for none.
        folder: in which it was started; empty if an older version did so.
    """

    url: str
    password: str
    settings: str = ""
    folder: str = ""

    @property
    def port(self) -> int:
        """Of 127.0.0.1."""
        return int(self.url.rpartition(":")[2].partition("/")[0])

    @property
    def place(self) -> str:
        """Whose it is, as it is told to a user."""
        return self.settings or self.folder or "an older statusd"


def file_name(port: int) -> str:
    """Return how the file is called that tells of a broker at ``port``."""
    return f"{_PREFIX}{port}"


def present_folder() -> Path:
    """Return where this process is; what it was called, if it isn't there any more."""
    return Path(os.path.realpath("/proc/self/cwd"))


def content(url: str, password: str, settings: Path | None = None, folder: str = "") -> bytes:
    """Return what stands in it: of this process."""
    file = str(settings_path(settings)) if settings is not None else ""
    told = (quote_from_bytes(os.fsencode(path)) or _NONE for path in (file, folder))
    return f"{os.getpid()} {url} {password} {' '.join(told)}\n".encode()


def running() -> list[OwnBroker]:
    """Return this user's embedded brokers, the newest first."""
    found: list[tuple[float, OwnBroker]] = []
    for folder in _folders():
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                told = _told(folder, name) if name.startswith(_PREFIX) else None
                if told is not None:
                    found.append((os.stat(name, dir_fd=folder).st_mtime, told))
    return [told for _, told in sorted(found, reverse=True)]


def of_place(brokers: Iterable[OwnBroker], settings: Path | None, folder: Path) -> list[OwnBroker]:
    """Return those of ``brokers`` that are meant in ``folder``; several if it has several.

    The first of these of which there are some: those of that settings file, of settings in that
    folder, those that were started there.

    Args:
        settings: the file that the verb goes by; None if there is none.
        folder: where the user is, or the file that he has named; absolute, without links.
    """
    here, known = str(folder), list(brokers)
    if settings is not None and (same := [b for b in known if _is_of(b, settings)]):
        return same
    of_settings = [one for one in known if one.settings and os.path.dirname(one.settings) == here]
    return of_settings or [one for one in known if one.folder == here]


def _is_of(broker: OwnBroker, settings: Path) -> bool:
    return broker.settings == str(settings_path(settings))


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
        pid, url, secret, *rest = read_own(name, dir_fd=folder).decode("ascii").split()
        os.kill(int(pid), 0)
    except (OSError, ValueError, OverflowError, Untrusted):
        return None
    paths = [os.fsdecode(unquote_to_bytes(path)) if path != _NONE else "" for path in rest]
    return OwnBroker(url, secret, *[*paths, "", ""][:2])  # older versions told of no place
