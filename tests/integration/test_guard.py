"""The guard kills the groups that it was told of last, all of them, however the daemon ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import Process, environment, killing, wait_until

DAEMON = """\
import asyncio, subprocess, sys
from statusd.supervision.guard import Guard

async def live():
    guard = Guard()
    groups = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(3)]
    for one in groups:
        guard.watch(one.pid)
    if sys.argv[1] == "forgets":
        guard.forget(groups[1].pid)
    print(*[one.pid for one in groups], guard._shell.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(live())
"""


def lives(pid: int) -> bool:
    """Tell whether that process lives, and isn't only waiting to be buried."""
    process = Process.of(pid)
    return process is not None and process.is_alive()


@pytest.mark.parametrize(("what", "left"), [("watches", 0), ("forgets", 1), ("is killed", 0)])
def test_all_groups_go_with_a_killed_daemon(what: str, left: int, tmp_path: Path) -> None:
    """But those that were forgotten: their numbers may be another's. A new one knows all."""
    daemon = subprocess.Popen(
        [sys.executable, "-c", DAEMON, what],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    with killing(daemon):
        assert daemon.stdout is not None
        *groups, guard = map(int, daemon.stdout.readline().split())
        if what == "is killed":
            os.kill(guard, signal.SIGKILL)
            wait_until(lambda: not lives(guard), 10, "the guard to be gone")
            wait_until(lambda: _guards(daemon.pid), 10, "another guard")
        daemon.kill()
        daemon.wait()
        daemon.stdout.close()

        wait_until(lambda: sum(map(lives, groups)) == left, 10, "the groups to be gone")
        for pid in filter(lives, groups):
            os.kill(pid, signal.SIGKILL)


def _guards(daemon: int) -> list[int]:
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, line in lines.items() if b"statusd-guard" in line]
