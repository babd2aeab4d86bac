"""What only a control group can do to a worker: freeze it past SIGKILL, or take its memory away.

The first hierarchy of cgroups(7) is needed for both, and root; elsewhere these tests don't run.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.tools import Broker, wait_until
from tests.tools.control_groups import CannotGroup, make, remove


@contextlib.contextmanager
def control_group(controller: str) -> Iterator[Path]:
    """Make a control group below our own, and remove it when everything in it is gone."""
    try:
        group = make(controller)
    except CannotGroup as reason:
        pytest.skip(str(reason))
    try:
        yield group
    finally:
        remove(group)


@pytest.mark.fault("W14")
def test_a_worker_that_can_not_die_is_awaited(broker: Broker, run: Run) -> None:
    """Frozen by the kernel, it takes no SIGKILL, like one in an uninterruptible system call.

    The state doesn't say RUNNING meanwhile, the text says what is awaited, no second run begins,
    not even by `reset`; once it can die, the next one is started.
    """
    with control_group("freezer") as group:
        hangs = {"hang_timeout_s": 0.3, "backoff_s": [0.05, 0.1], "kill_timeout_s": 0.2}
        unit = run("tests.workers:obedient", broker.url, goal="RUNNING", worker=hangs)
        unit.wait_logged("link.up", link="sends")
        unit.wait_state("RUNNING")
        pid, client = unit.worker_pid(), broker.client()
        try:
            (group / "tasks").write_text(str(pid))
            (group / "freezer.state").write_text("FROZEN")
            unit.wait_state("BACKOFF")
            unit.wait_logged("worker.signalled", signal="SIGKILL")
            text = f"waiting for the processes of pid {pid} to die".encode()
            key = "statusd:status:{unit}"
            wait_until(lambda: text in (client.get(key) or b""), 15, "the text")
            client.publish("mychannel", "reset")
            unit.wait_state("INIT")
            wait_until(lambda: text in (client.get(key) or b""), 15, "the text in INIT")

            assert unit.worker_pid() == pid
        finally:
            (group / "freezer.state").write_text("THAWED")
        unit.wait_state("RUNNING")
        assert unit.worker_pid() != pid
        assert unit.logged("state.changed", new="FAILED") is None


@pytest.mark.fault("W17")
def test_the_kernel_that_kills_for_memory_is_named(broker: Broker, run: Run) -> None:
    """The counter of the unit's own control group has grown while the worker lived."""
    with control_group("memory") as group:
        wait = "while [ ! -e limited ]; do sleep 0.01; done"
        eat = f"{wait}; exec \"$0\" -c 'a = []\nwhile 1: a.append(bytes(1000000))'"
        command = ["sh", "-c", eat, sys.executable]
        unit = run("", broker.url, worker={"command": command, "restart": "never"})
        unit.wait_state("RUNNING")
        (group / "memory.limit_in_bytes").write_text(str(200 * 2**20))
        (group / "cgroup.procs").write_text(str(unit.pid))
        (group / "cgroup.procs").write_text(str(unit.worker_pid()))

        (unit.directory / "limited").touch()

        failed = unit.wait_state("FAILED", 20)
        unit.close()
    assert failed["reason"] == "killed by the kernel, probably out of memory"
