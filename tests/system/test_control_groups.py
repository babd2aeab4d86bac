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
from tests.tools import SESSION, Broker, wait_until

MOUNT = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def control_group(controller: str) -> Iterator[Path]:
    """Make a control group below our own, and remove it when everything in it is gone."""
    rows = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((row.split(":", 2)[2] for row in rows if row.split(":")[1] == controller), None)
    if own is None:
        pytest.skip(f"no {controller} hierarchy of the first kind here")
    group = MOUNT / controller / own.lstrip("/") / f"statusd-{SESSION}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    try:
        yield group
    finally:
        wait_until(lambda: _is_removed(group), 15, f"{group} to be empty")


def _is_removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


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
        eat = f"{wait}; exec '{sys.executable}' -c 'a = []\nwhile 1: a.append(bytes(1000000))'"
        unit = run("", broker.url, worker={"command": ["sh", "-c", eat], "restart": "never"})
        unit.wait_state("RUNNING")
        (group / "memory.limit_in_bytes").write_text(str(200 * 2**20))
        (group / "cgroup.procs").write_text(str(unit.pid))
        (group / "cgroup.procs").write_text(str(unit.worker_pid()))

        (unit.directory / "limited").touch()

        failed = unit.wait_state("FAILED", 20)
        unit.close()
    assert failed["reason"] == "killed by the kernel, probably out of memory"
