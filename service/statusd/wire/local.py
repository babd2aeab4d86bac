"""Talking with the daemons of this host over their sockets."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import Any

from statusd.core.errors import Unavailable
from statusd.home import xdg
from statusd.private import Untrusted, believed, check_private_directory, opened_directory

HEALTH = b'{"ask": "health"}'
"""The one question that is no command: it changes nothing, and nobody else hears the answer."""

RELOAD, RELOAD_DRY = b'{"ask": "reload"}', b'{"ask": "reload", "dry_run": true}'
"""What the daemon of a folder is asked: to do what its files say, or to say what that would be."""
UNIT, DAEMON = ".sock", ".daemon"
"""How the sockets of units, and of folders' daemons, end."""


def runtime_directory() -> Path:
    """Return where this user's daemons leave their sockets, and an embedded broker its address.

    It is the first of the `places` that is there or can be had, and that nobody else has taken.
    """
    for place in places():
        with contextlib.suppress(Untrusted, OSError):
            check_private_directory(place)
            return place
        if not os.path.lexists(place):
            return place
    return places()[0]


def places() -> list[Path]:
    """Return where such a directory may be; the second is for when somebody has taken the first.

    Without a home there is no second.
    """
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]  # systemd.exec(5)
    base = os.environ.get("XDG_RUNTIME_DIR")
    state = xdg("XDG_STATE_HOME", ".local/state")
    if given:
        first = Path(given)
    elif base:
        first = Path(base, "statusd")
    else:
        first = Path(_temporary(), f"statusd-{os.getuid()}")
    return [first] if state is None else [first, state / "statusd" / "run"]


def _temporary() -> str:
    """Return where temporary files are.

    Not `tempfile.gettempdir`: it writes there, and with a full disk it would name another place to
    a client than it has named to the daemon, or none at all.
    """
    named = [os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    places = (place for place in (*named, "/tmp", "/var/tmp") if os.path.isdir(place))
    return next((place for place in places if os.access(place, os.W_OK | os.X_OK)), "/tmp")


def socket_name(namespace: str, name: str) -> str:
    """Return what the socket of the unit ``name`` of ``namespace`` is called."""
    return f"{namespace}:{name}{UNIT}"


def socket_file(namespace: str, name: str) -> Path:
    """Return where the unit ``name`` of ``namespace`` listens."""
    return runtime_directory() / socket_name(namespace, name)


def daemon_socket_file(namespace: str, name: str) -> Path:
    """Return where the daemon ``name`` of a folder listens, beside each of its units."""
    return runtime_directory() / f"{namespace}:{name}{DAEMON}"


def reached_by(folder: int, name: str) -> str:
    """Return another name of a file in an open directory: unix(7) allows 107 bytes, not more."""
    return f"/proc/self/fd/{folder}/{name}"


def sockets(namespace: str, given: str = "", kind: str = UNIT) -> dict[str, Path]:
    """Return unit -> socket of the daemons here; or daemon -> socket.

    Args:
        given: a socket, or a folder of some; empty for the usual places. Below a folder one more
            floor is looked at: each service has a runtime directory of its own.
        kind: of the sockets that are wanted, `UNIT` or `DAEMON`.

    Raises:
        Unavailable: there are none, or what is there is somebody else's.
    """
    where = [Path(given)] if given else [*places(), Path("/run/statusd")]
    found: dict[str, Path] = {}
    doubts: list[str] = []
    for place in where:
        for path in _sockets_in(place, f"{namespace}:*{kind}"):
            if (path.suffix == DAEMON) is not (kind == DAEMON):  # it was named itself
                continue
            try:
                check_private_directory(path.parent)
            except Untrusted as error:
                doubts.append(str(error))
            except OSError:
                continue  # gone meanwhile
            else:
                found.setdefault(path.name.removesuffix(kind).partition(":")[2], path)
    if not found:
        told = "; ".join(dict.fromkeys(doubts)) or f"listens in {', '.join(map(str, where))}"
        raise Unavailable(f"no daemon of the namespace {namespace!a} {told}")
    return found


def _sockets_in(place: Path, name: str) -> list[Path]:
    if not place.is_dir():
        return [place] if _is_socket(place) else []
    return sorted(filter(_is_socket, [*place.glob(name), *place.glob(f"*/{name}")]))


def _is_socket(path: Path) -> bool:
    """Tell whether it is one itself: a link could lead to another unit's."""
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def peer_of(connection: socket.socket) -> int:
    """Return the user at the other end of a Unix socket, as the kernel knows him (unix(7))."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(told[4:8], sys.byteorder)


class Local:
    """A connection to one daemon's socket.

    Raises:
        Untrusted: somebody else listens there, or may have put it there; nothing was said to him.
        Unavailable: nobody listens there, or we may not.
    """

    def __init__(self, path: Path, timeout_s: float = 2.0) -> None:
        self.path = path
        self._begun = b""
        self._socket = socket.socket(socket.AF_UNIX)
        # Not by settimeout: connect(2) to a full queue is then refused at once.
        limit = struct.pack("@qq", *divmod(int(max(timeout_s, 1e-3) * 1_000_000), 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        try:
            self._connect()
            self._socket.settimeout(timeout_s)
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"{path}: {error.strerror or 'no answer in time'}") from None
        except Untrusted:
            self._socket.close()
            raise

    def _connect(self) -> None:
        path = self.path
        with opened_directory(path.parent) as folder:
            if stat.S_ISLNK(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise Untrusted(f"{path} is a link, not a daemon's socket", "have it removed")
            self._socket.connect(reached_by(folder, path.name))
        peer = peer_of(self._socket)
        if peer not in believed(path.parent):
            raise Untrusted(
                f"{path}: user {peer} listens there, and is not believed", "have it removed"
            )

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
