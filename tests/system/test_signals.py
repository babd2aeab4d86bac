"""SIGTERM and SIGINT at every moment: END, exit 0, nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statusd.daemon.signals import HEARD
from tests.conftest import Run, settings
from tests.tools import Broker, environment, to_toml, wait_until
from tests.tools.processes import descendants
from tests.tools.variants import nightly


@pytest.mark.fault("G02")
@pytest.mark.parametrize(
    "after_ms",
    [*range(0, 600, 90), *nightly(*range(30, 600, 90), *range(60, 600, 90))],
)
def test_sigterm_ends_it_at_any_moment_of_the_start(
    after_ms: int, broker: Broker, run: Run
) -> None:
    """At any moment of the start; before our handler stands, the system's default ends it."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    at = time.monotonic() + after_ms / 1000
    wait_until(lambda: time.monotonic() >= at, 15, "the moment")

    unit.signal(signal.SIGTERM)

    code = unit.wait_exit(8)
    assert code == 0 or (code == -signal.SIGTERM and unit.log() == [])
    assert unit.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_end(number: signal.Signals, broker: Broker, run: Run) -> None:
    """The worker finishes its step, the exit code is 0; signal and sender stand in the event."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")
    blocked = [
        Path(f"/proc/{pid}/status").read_text().partition("SigBlk:")[2].split()[0]
        for pid in {unit.worker_pid(), *descendants(unit.pid)}
    ]

    unit.signal(signal.SIGHUP)
    read = unit.wait_logged("signal.received", signal="SIGHUP")
    unit.signal(number)

    assert unit.wait_exit(15) == 0
    line = unit.wait_logged("state.changed", new="ENDING")
    assert line["source"] == f"signal:{number.name}"
    us = f"of pid {os.getpid()} ({Path('/proc/self/comm').read_text().strip()}), uid {os.getuid()}"
    assert line["reason"] == read["sender"] == us
    assert len(blocked) >= 2
    heard = sum(1 << one - 1 for one in HEARD)
    assert {int(mask, 16) & heard for mask in blocked} == {0}  # what we hold back, they hear


class Terminal:
    """The daemon in the foreground of a terminal, and what is read from that."""

    def __init__(self, directory: Path, broker: Broker) -> None:
        toml = settings("tests.workers:telling_signals", broker.url, goal="RUNNING")
        (directory / "statusd.toml").write_text(to_toml(toml))
        variables = environment(directory)
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execve(sys.executable, [sys.executable, "-m", "statusd", "run"], variables)
        self.said = b""

    def has_said(self, text: bytes) -> bool:
        """Read what there is, and tell whether ``text`` is in all of it."""
        if select.select([self.end], [], [], 0)[0]:
            with contextlib.suppress(OSError):  # the other end is closed: it has ended
                self.said += os.read(self.end, 65536)
        return text in self.said

    def wait(self, text: bytes) -> None:
        """Wait until it has said ``text``."""
        wait_until(lambda: self.has_said(text), 10, text.decode())

    def exit_code(self) -> int:
        """Return its exit code, once it has ended."""
        ended: list[int] = []

        def is_over() -> bool:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            ended.append(status)
            return pid != 0

        wait_until(is_over, 10, "the daemon to end")
        self.pid = 0
        return os.waitstatus_to_exitcode(ended[-1])

    def close(self) -> None:
        """Kill it, if it is still there."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(broker: Broker, tmp_path: Path) -> Iterator[Terminal]:
    """Start the daemon in a terminal; its worker tells of every signal that it gets."""
    made = Terminal(tmp_path, broker)
    yield made
    made.close()


@pytest.mark.fault("G03")
def test_ctrl_c_reaches_the_worker_only_through_the_daemon(terminal: Terminal) -> None:
    """A terminal sends SIGINT to the whole foreground job; the worker is not in it."""
    terminal.wait(b'"new": "RUNNING"')

    os.write(terminal.end, b"\x03")

    terminal.wait(b'"new": "END"')
    assert terminal.exit_code() == 0
    os.close(terminal.end)
    assert b"signal:SIGINT" in terminal.said
    assert b"got a signal" not in terminal.said
    assert b'"reason": "exit code 0"' in terminal.said


def test_a_closed_terminal_is_end(terminal: Terminal, broker: Broker) -> None:
    """Its SIGHUP asks nobody to read settings again."""
    terminal.wait(b'"new": "RUNNING"')

    os.close(terminal.end)

    assert terminal.exit_code() == 0
    newest: Any = broker.client().xrevrange("statusd:history:{unit}", count=2)
    sources = [json.loads(fields[b"event"])["source"] for _, fields in newest]
    assert sources == ["daemon", "signal:SIGHUP"]
