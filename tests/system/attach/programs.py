"""Programs that attach themselves, and what is heard of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.tools import (
    Broker,
    Journal,
    Process,
    environment,
    processes_with_marker,
    wait_until,
)
from tests.tools.processes import MARKER, dying_with_us


class Parent:
    """A program of `tests.parents`, with what it prints, and its daemon."""

    def __init__(self, name: str, url: str, directory: Path) -> None:
        self._file = directory / f"{name}.out"
        variables = environment(directory)
        self.marker = variables[MARKER]
        with self._file.open("wb") as out:
            self.process = subprocess.Popen(
                dying_with_us([sys.executable, "-m", "tests.parents", name, url]),
                cwd=directory,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def said(self) -> str:
        """Return all that it printed, and its daemon."""
        return self._file.read_text(encoding="utf-8", errors="replace")

    def wait_said(self, text: str) -> None:
        """Wait until it has printed ``text``."""
        wait_until(lambda: text in self.said() or self._ended(text), 20, f"{text!r}")

    def _ended(self, text: str) -> bool:
        if self.process.poll() is not None and text not in self.said():
            raise AssertionError(f"ended without {text!r}; it said:\n{self.said()}")
        return False

    def daemons(self) -> list[Process]:
        """Return the living daemons of it."""
        found = map(Process.of, processes_with_marker(self.marker))
        return [p for p in found if p is not None and b"attached.py" in _command_line(p.pid)]

    def wait_exit(self, timeout_s: float = 45) -> int:
        """Return its exit code, once it has ended, and nothing of it is left 2 s later."""
        code = self.process.wait(timeout_s)
        wait_until(lambda: not self.daemons(), 4, f"the daemon to be gone; {self.said()}")
        return code

    def close(self) -> None:
        """Kill what is left."""
        self.process.kill()
        self.process.wait()
        for daemon in self.daemons():
            daemon.kill()


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


Start = Callable[[str], Parent]


@pytest.fixture
def start(broker: Broker, tmp_path: Path) -> Iterator[Start]:
    """Start a program of `tests.parents` that is attached to ``broker``."""
    with ExitStack() as stack:

        def started(name: str) -> Parent:
            parent = Parent(name, broker.url, tmp_path)
            stack.callback(parent.close)
            return parent

        yield started


def way(journal: Journal) -> str:
    """Return the states that were come to, in order."""
    return " ".join(event["new"] for event in journal.events())


def last_reason(journal: Journal) -> str:
    """Return the cause in the last event, once that tells of END."""
    wait_until(lambda: way(journal).endswith(" END"), 10, f"END in {journal.events()}")
    return str(journal.events()[-1].get("reason", ""))


def document(broker: Broker) -> dict[str, Any]:
    """Return the status document of the unit."""
    found: dict[str, Any] = json.loads(broker.client().get("statusd:status:{scan}") or b"{}")
    return found
