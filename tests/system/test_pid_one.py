"""As process 1, which is what a container makes of it: in a PID namespace of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings
from tests.tools import Broker, Process, environment, to_toml, wait_until
from tests.tools.processes import descendants

NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
MANY = 50


def is_allowed() -> bool:
    """Tell whether this machine lets us make a PID namespace."""
    try:
        return (
            subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(
    not is_allowed(), reason="no PID namespaces here: unshare is missing, or forbidden"
)


class Container:
    """The daemon as process 1 of a namespace; the worker sees that namespace only."""

    def __init__(self, directory: Path, broker: Broker, **worker: Any) -> None:
        self.log = directory / "log"
        toml = settings("", broker.url, worker={"backoff_s": [0.05, 0.1], **worker})
        file = directory / "statusd.toml"
        file.write_text(to_toml(toml))
        with self.log.open("wb") as log:
            self.outer = subprocess.Popen(
                [*NAMESPACE, sys.executable, "-m", "statusd", "run", str(file)],
                env=environment(directory),
                stdout=log,
                stderr=log,
                cwd=directory,
            )

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log's lines of that event."""
        rows = (row for row in self.log.read_text().splitlines() if row.startswith("{"))
        return [line for line in map(json.loads, rows) if line["event"] == event]

    def states(self) -> list[str]:
        """Return the states it came to."""
        return [line["new"] for line in self.lines("state.changed")]

    def wait(self, state: str) -> dict[str, Any]:
        """Wait until it has come to ``state``, and return what the log says of it."""
        wait_until(lambda: state in self.states(), 40, f"{state} in {self.log.read_text()}")
        return self.lines("state.changed")[-1]

    @property
    def daemon(self) -> int:
        """The pid of the daemon, as seen from outside."""
        return descendants(self.outer.pid)[0]

    def zombies(self) -> list[int]:
        """Return the pids of the dead that nobody has buried below the daemon."""
        found = []
        for entry in Path("/proc").iterdir():
            process = Process.of(int(entry.name)) if entry.name.isdigit() else None
            if process is not None and process.parent == self.daemon and process.state == "Z":
                found.append(process.pid)
        return found


@pytest.fixture
def contain(tmp_path: Path, broker: Broker) -> Iterator[Callable[..., Container]]:
    """Start the daemon as process 1: ``contain(command=["sleep", "60"])``."""
    made: list[Container] = []

    def start(**worker: Any) -> Container:
        made.append(Container(tmp_path, broker, **worker))
        return made[-1]

    yield start
    for container in made:
        container.outer.kill()  # --kill-child takes the namespace with it
        container.outer.wait(5)


@pytest.mark.fault("G01")
def test_a_signal_is_end(contain: Callable[..., Container]) -> None:
    """The kernel drops what process 1 doesn't handle; and its exit code is what is seen outside."""
    unit = contain(function="tests.workers:obedient")
    unit.wait("READY")

    os.kill(unit.daemon, signal.SIGTERM)

    assert unit.outer.wait(5) == 0
    assert unit.wait("END")["reason"] == "exit code 0"


@pytest.mark.fault("W19")
def test_strangers_are_buried(contain: Callable[..., Container]) -> None:
    """Orphans of the worker fall to us; none of them stays a zombie."""
    orphans = f"for n in $(seq {MANY}); do (sleep 0.2 &) ; done; touch forked; exec sleep 600"
    unit = contain(command=["sh", "-c", orphans])
    forked = unit.log.parent / "forked"
    wait_until(forked.exists, 10, "the orphans")
    wait_until(lambda: len(descendants(unit.daemon)) <= 2, 10, "the orphans to be dead")

    wait_until(lambda: unit.zombies() == [], 15, "the orphans to be buried")
    assert unit.states()[-1] == "RUNNING"


@pytest.mark.fault("W19")
@pytest.mark.parametrize(
    ("script", "reason"), [("exit 3", "exit code 3"), ("kill -SEGV $$", "killed by SIGSEGV")]
)
def test_burying_never_steals_the_worker_s_status(
    script: str, reason: str, contain: Callable[..., Container]
) -> None:
    """It dies in a crowd of strangers, and how it died is told all the same."""
    crowd = f"for n in $(seq {MANY}); do (true &) ; done; sleep 0.01; {script}"
    unit = contain(command=["sh", "-c", crowd], budget=3)

    unit.wait("FAILED")

    crashes = [line["reason"] for line in unit.lines("state.changed") if line["new"] == "BACKOFF"]
    assert [crash.split(";")[0] for crash in crashes] == [reason] * 3
    wait_until(lambda: unit.zombies() == [], 15, "the strangers to be buried")


def test_a_killed_worker_s_children_are_awaited(contain: Callable[..., Container]) -> None:
    """A grandchild falls to us when the worker dies; the next run begins when it is gone."""
    script = "(trap '' TERM; sleep 600) & touch forked; sleep 0.05; exit 1"
    unit = contain(command=["sh", "-c", script], budget=2)

    unit.wait("FAILED")

    wait_until(lambda: len(descendants(unit.daemon)) <= 1, 15, "all but the guard to be gone")
    assert len(unit.lines("worker.started")) == 3
