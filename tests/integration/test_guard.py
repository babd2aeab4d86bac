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
import asyncio, fcntl, os, signal, subprocess, sys
from statusd.supervision.guard import Guard

async def stop_it(guard, ours):
    # it sleeps while more comes and goes than its pipe holds
    fcntl.fcntl(guard._pipe, fcntl.F_SETPIPE_SZ, 4096)
    os.kill(guard._shell.pid, signal.SIGSTOP)
    guard.forget(ours)
    strangers = range(1 << 22, (1 << 22) + 1000)  # no process has such a number
    for number in strangers:
        guard.watch(number)
    for number in strangers:
        guard.forget(number)
    guard.watch(ours)
    assert guard._unsaid
    if "closed" in sys.argv[1]:
        guard.close()
        return
    os.kill(guard._shell.pid, signal.SIGCONT)
    while guard._unsaid:
        await asyncio.sleep(0.001)

async def live():
    guard = Guard()
    how = {"stdout": subprocess.DEVNULL, "start_new_session": True}
    groups = [subprocess.Popen(["sleep", "600"], **how) for _ in range(3)]
    for one in groups:
        guard.watch(one.pid)
    if "forgets" in sys.argv[1]:
        guard.forget(groups[1].pid)
    if "stopped" in sys.argv[1]:
        await stop_it(guard, groups[2].pid)
    print(*[one.pid for one in groups], guard._shell.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(live())
"""


def lives(pid: int) -> bool:
    """Tell whether that process lives, and isn't only waiting to be buried."""
    process = Process.of(pid)
    return process is not None and process.is_alive()


CASES = [("watches", 0), ("forgets", 1), ("is killed", 0), ("stopped", 0), ("forgets stopped", 1)]


@pytest.mark.fault("K10")
@pytest.mark.parametrize(("what", "left"), CASES)
def test_all_groups_go_with_a_killed_daemon(what: str, left: int, tmp_path: Path) -> None:
    """But those that were forgotten: their numbers may be another's. A new one knows all.

    One that was stopped is told later what its pipe had no room for, and no line is torn (K10).
    """
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


def test_one_that_is_stopped_keeps_nobody_waiting(tmp_path: Path) -> None:
    """At the end it is woken; who has yet to be told whom to forget kills nobody."""
    ends = DAEMON.replace("guard._shell.pid, flush", "0, flush").replace("sleep(600)", "sleep(0)")
    daemon = subprocess.run(
        [sys.executable, "-c", ends, "closed stopped"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
        timeout=20,
        check=True,
    )
    groups = [*map(int, daemon.stdout.split())][:-1]

    assert [pid for pid in groups if lives(pid)] == groups
    for pid in groups:
        os.kill(pid, signal.SIGKILL)


def _guards(daemon: int) -> list[int]:
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, line in lines.items() if b"statusd-guard" in line]
