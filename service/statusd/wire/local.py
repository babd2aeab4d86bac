"""Talking with the daemons of this host over their sockets."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from statusd.core.errors import Unavailable

HEALTH = b'{"ask": "health"}'
"""The one question that is no command: it changes nothing, and nobody else hears the answer."""


def runtime_directory() -> Path:
    """Return where this user's daemons leave their sockets, and an embedded broker its address."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]  # systemd.exec(5)
    if given:
        return Path(given)
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        return Path(base, "statusd")
    import tempfile  # costs the start of every daemon five milliseconds

    return Path(tempfile.gettempdir(), f"statusd-{os.getuid()}")


def socket_file(namespace: str, name: str) -> Path:
    """Return where the unit ``name`` of ``namespace`` listens."""
    return runtime_directory() / f"{namespace}:{name}.sock"


@contextlib.contextmanager
def short(path: Path) -> Iterator[str]:
    """Give ``path`` another name for a while: unix(7) allows 107 bytes, and folders may be deep."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def sockets(namespace: str, given: str = "") -> dict[str, Path]:
    """Return unit -> socket of the daemons here.

    Args:
        given: a socket, or a folder of some; empty for the usual places. Below a folder one more
            floor is looked at: each service has a runtime directory of its own.

    Raises:
        Unavailable: there are none.
    """
    places = [Path(given)] if given else [runtime_directory(), Path("/run/statusd")]
    found: dict[str, Path] = {}
    for place in places:
        name = f"{namespace}:*.sock"
        paths = sorted([*place.glob(name), *place.glob(f"*/{name}")]) if place.is_dir() else [place]
        found.update({p.stem.partition(":")[2]: p for p in paths if p.is_socket()})
    if not found:
        where = ", ".join(map(str, places))
        raise Unavailable(f"no daemon of the namespace {namespace!a} listens in {where}")
    return found


class Local:
    """A connection to one daemon's socket.

    Raises:
        Unavailable: nobody listens there, or we may not.
    """

    def __init__(self, path: Path, timeout_s: float = 2.0) -> None:
        self.path = path
        self._begun = b""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            with short(path) as name:
                self._socket.connect(name)
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"{path}: {error.strerror or 'no answer in time'}") from None

    def send(self, message: dict[str, Any]) -> None:
        """Send a command.

        Raises:
            Unavailable: the daemon has hung up.
        """
        self.write(json.dumps(message).encode())

    def write(self, line: bytes) -> None:
        """Send a line.

        Raises:
            Unavailable: the daemon has hung up.
        """
        try:
            self._socket.sendall(line + b"\n")
        except OSError as error:
            raise Unavailable(f"{self.path}: {error.strerror}") from None

    def fileno(self) -> int:
        """Return the descriptor, for select(2)."""
        return self._socket.fileno()

    def read(self) -> list[bytes] | None:
        """Return the whole lines that have come; None at the end."""
        try:
            data = self._socket.recv(65536)
        except OSError:
            return None
        *lines, self._begun = (self._begun + data).split(b"\n")
        return lines if data else None

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
