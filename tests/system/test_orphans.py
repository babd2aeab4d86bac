"""What becomes of a worker whose daemon is killed outright: nothing of it is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.tools import Broker, Program, wait_until

GONE_S = 2.0


def kill_and_watch(unit: Program) -> None:
    """Kill the daemon; everything is gone in two seconds."""
    unit.signal(signal.SIGKILL)
    began = time.monotonic()
    unit.wait_exit(15)
    wait_until(lambda: unit.leftovers() == [], 15, "everything to be gone")
    assert time.monotonic() - began < GONE_S


@pytest.mark.fault("W06")
@pytest.mark.parametrize(
    "worker", ["obedient", "deaf", "stubborn", "with_children", "many_children"]
)
def test_a_function_goes_with_its_daemon(worker: str, broker: Broker, run: Run) -> None:
    """Also one that never looks, ignores SIGTERM, or has grandchildren."""
    unit = run(f"tests.workers:{worker}", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")
    if worker == "many_children":
        wait_until((unit.directory / "forked").exists, 15, "the grandchildren")

    kill_and_watch(unit)


@pytest.mark.fault("W06")
def test_a_program_goes_with_its_daemon(broker: Broker, run: Run) -> None:
    """A shell with children, one of which ignores SIGTERM."""
    script = "trap '' TERM; (trap '' TERM; sleep 60) & sleep 60 & touch started; wait"
    unit = run("", broker.url, worker={"command": ["sh", "-c", script]})
    unit.wait_state("RUNNING")
    wait_until((unit.directory / "started").exists, 15, "the children")

    kill_and_watch(unit)


@pytest.mark.fault("W06", "W08")
def test_the_main_process_dies_without_the_guard(broker: Broker, run: Run) -> None:
    """Each way is enough for itself: here the kernel's parent-death signal alone."""
    unit = run("tests.workers:stubborn", broker.url, worker={"ready": "notified"})
    unit.wait_state("READY")
    guard = wait_until(lambda: guard_of(unit), 15, "the guard")
    os.kill(guard, signal.SIGSTOP)

    unit.signal(signal.SIGKILL)
    unit.wait_exit(15)

    worker = unit.worker_pid()
    wait_until(lambda: not Path(f"/proc/{worker}/exe").exists(), GONE_S, "the worker to be gone")
    os.kill(guard, signal.SIGKILL)


def test_a_guard_that_was_killed_is_replaced(broker: Broker, run: Run) -> None:
    """And the new one guards the worker that runs."""
    unit = run("tests.workers:with_children", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")
    first = wait_until(lambda: guard_of(unit), 15, "the guard")

    os.kill(first, signal.SIGKILL)

    unit.wait_logged("guard.died")
    wait_until(lambda: guard_of(unit) not in (0, first), 15, "another guard")
    kill_and_watch(unit)


def guard_of(unit: Program) -> int:
    """Return the pid of the guard, or 0."""
    for pid in unit.descendants():
        line = Path(f"/proc/{pid}/cmdline")
        if line.exists() and b"statusd-guard" in line.read_bytes():
            return pid
    return 0


@pytest.mark.fault("W13")
def test_a_program_starts_as_it_was_meant_to(broker: Broker, run: Run) -> None:
    """The wrapper leaves it no ignored signal and no descriptor."""
    look = "grep SigIgn /proc/self/status; ls /proc/self/fd | wc -l"
    unit = run("", broker.url, worker={"command": ["sh", "-c", look]})

    assert unit.wait_exit(10) == 0

    ignored = int(next(line for line in unit.output().splitlines() if "SigIgn" in line)[-16:], 16)
    assert not [number for number in (signal.SIGPIPE, signal.SIGXFSZ) if ignored >> number - 1 & 1]
    assert "run 1 | 4" in unit.output()  # 0, 1, 2, and the folder that is listed
