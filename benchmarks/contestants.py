"""The two that are compared: one real daemon with its worker, one hand-written status program."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.broker import Broker, Wire
from benchmarks.page import SIZE, VARIABLE, Page
from benchmarks.processes import Guard, Watch, end, wait_until

NAME = "bench"
CHANNEL = "mychannel"

_TOML = """\
name = "{name}"
goal = "{goal}"
state_directory = "{folder}/state"

[redis]
url = "{url}"

[control]
channels = {channels}

[worker]
{worker}
{settings}

[log]
format = "json"
level = "{level}"
"""


def clean_environment() -> dict[str, str]:
    """Return ours without settings, and with byte code kept, as it is where pip installs."""
    unwanted = ("STATUSD_", "PYTHONDONTWRITEBYTECODE")
    return {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}


class Contestant:
    """A program of two processes and the page that they share with us; a context manager.

    Args:
        guard: ends it in any case.
        broker: whom it listens to.
    """

    def __init__(self, guard: Guard, broker: Broker) -> None:
        self._guard = guard
        self._broker = broker
        self._folder = tempfile.TemporaryDirectory(prefix="statusd-bench-")
        self.folder = Path(self._folder.name)
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._file = tempfile.NamedTemporaryFile(prefix="statusd-bench-", dir=memory)  # noqa: SIM115
        self._file.truncate(SIZE)
        self.page = Page(self._file.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._helper: Watch | None = None

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _environment(self) -> Mapping[str, str]:
        return clean_environment() | {VARIABLE: self._file.name}

    def start(self, stderr: int | None = None) -> subprocess.Popen[bytes]:
        """Start the program; its log goes into its folder, or where ``stderr`` says."""
        command, environment = self._command(), self._environment()
        with open(self.folder / "log", "wb") as log, open(self.folder / "printed", "wb") as printed:
            self._process = self._guard.start(
                command, environment, stdout=printed, stderr=stderr or log
            )
        return self._process

    def wait(self) -> None:
        """Return when it is ready to be commanded."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The process that was started: the daemon, or the parent of the listener."""
        assert self._process is not None
        return self._process.pid

    @property
    def helper(self) -> Watch:
        """The process that this one started: the worker, or the listener."""
        if self._helper is None:
            wait_until(lambda: self.page.helper or self.has_ended(), "the second process")
            self._helper = Watch(self.page.helper)
        return self._helper

    def has_ended(self) -> bool:
        """Return False.

        Raises:
            ChildProcessError: the program that was started has ended by itself.
        """
        assert self._process is not None
        if self._process.poll() is None:
            return False
        raise ChildProcessError(f"{type(self).__name__} ended by itself")

    def log(self) -> str:
        """Return the end of what it said."""
        return (self.folder / "log").read_text("utf-8", "replace")[-2000:]

    def ask_to_end(self) -> None:
        """Send SIGTERM, and wait for nothing."""
        if self._process is not None:
            self._process.terminate()

    def close(self) -> None:
        """End both processes and remove what they had."""
        if self._process is not None:
            if self._helper is None and self.page.helper and self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):  # it went by itself
                    self._helper = Watch(self.page.helper)
            end(self._process)
            if self._process.stderr is not None:
                self._process.stderr.close()
        if self._helper is not None:
            self._helper.kill()
            self._helper.close()
        self._file.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait()
        except BaseException as error:
            error.add_note(f"{type(self).__name__} said:\n{self.log()}")
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(f"{type(self).__name__} said:\n{self.log()}")
        self.close()


class Unit(Contestant):
    """``python -m statusd run FILE`` with a worker of `benchmarks.workers`.

    Args:
        worker: the function's name, or a whole program as a list.
        output: where what it prints goes.
        goal: where the unit goes by itself; `wait` waits for that state.
        level: of the log, which is written as JSON.
        name: of the unit.
        channels: that it listens to, beside the one that all benchmarks command by.
        settings: more lines of ``[worker]``.
        is_near: it reaches the broker by its Unix socket.
        python: of the environment that statusd is to be run from.
    """

    def __init__(
        self,
        guard: Guard,
        broker: Broker,
        worker: str | list[str],
        *,
        goal: str = "RUNNING",
        level: str = "info",
        output: str = "tagged",
        name: str = NAME,
        channels: Sequence[str] = (),
        settings: str = "",
        is_near: bool = False,
        python: str = sys.executable,
    ) -> None:
        super().__init__(guard, broker)
        self._goal, self._name, self._python = goal, name, python
        self._is_answered = isinstance(worker, str)
        self._toml = self.folder / "statusd.toml"
        url = broker.unix_url if is_near else broker.url
        fields = {"name": name, "goal": goal, "folder": self.folder, "url": url}
        fields |= {"worker": _worker(worker, output), "level": level, "settings": settings}
        fields["channels"] = json.dumps([CHANNEL, *channels])
        self._toml.write_text(_TOML.format(**fields), encoding="utf-8")

    def _command(self) -> list[str]:
        return [self._python, "-m", "statusd", "run", str(self._toml)]

    def wait(self) -> None:
        """Return when the unit hears, and its worker was seen in the goal."""
        with Wire(self._broker.port) as wire:
            wait_until(lambda: self._is_up(wire), "the unit to be up")

    def document(self, wire: Wire) -> dict[str, Any]:
        """Return its status document; an empty one if there is none yet."""
        text = wire.call("GET", f"statusd:status:{{{self._name}}}")
        document: dict[str, Any] = json.loads(text) if text else {}
        return document

    def _is_up(self, wire: Wire) -> bool:
        self.has_ended()
        wanted = {"pid": self.pid, "state": self._goal, "link": "LISTENING"}
        wanted["observed"] = self._is_answered
        return wanted.items() <= self.document(wire).items()


def _worker(worker: str | list[str], output: str) -> str:
    if isinstance(worker, str):
        return f'function = "benchmarks.workers:{worker}"\noutput = "{output}"'
    return f'command = {json.dumps(worker)}\ninput = "states"\noutput = "{output}"'


class Seed(Contestant):
    """``python -m benchmarks.seed``: S and its like.

    Args:
        role: what it does, see ``module``.
        module: `benchmarks.seed`, or `benchmarks.limit`.
    """

    def __init__(self, guard: Guard, broker: Broker, role: str, module: str) -> None:
        super().__init__(guard, broker)
        self._role, self._module = role, module

    def _command(self) -> list[str]:
        port = str(self._broker.port)
        return [
            sys.executable,
            "-m",
            f"benchmarks.{self._module}",
            self._role,
            port,
            self._file.name,
        ]

    def wait(self) -> None:
        """Return when it is subscribed."""
        wait_until(lambda: self.page.count or self.has_ended(), "the listener to be subscribed")
