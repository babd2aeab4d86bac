"""Processes: started so that none outlives the benchmarks, and looked at in /proc."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).resolve().parents[1]
END_S = 3.0
"""What is still there so long after SIGTERM is killed."""

# It leads the process group of all that we start, and holds the end of a pipe to us.
_GUARD = "read -r _; kill -KILL 0"


class Guard:
    """Ends everything that was started by it, when it is closed and however we go."""

    def __init__(self) -> None:
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            process_group=0,
        )

    def start(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        stdout: IO[Any] | int = subprocess.DEVNULL,
        stderr: IO[Any] | int | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` in the repository's directory."""
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env) if env is not None else None,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            process_group=self._guard.pid,
        )

    def close(self) -> None:
        """Kill what is left."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Watch:
    """Sees when a process is gone, without asking again and again (pidfd_open(2)).

    Args:
        pid: of a process that lives.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def wait(self, timeout_s: float) -> bool:
        """Tell whether it is gone, at the latest after ``timeout_s``."""
        return bool(select.select([self.fd], [], [], timeout_s)[0])

    def kill(self) -> None:
        """Kill it, if it still lives; nobody else can be hit."""
        if not self.wait(0):
            signal.pidfd_send_signal(self.fd, signal.SIGKILL)
            self.wait(END_S)

    def close(self) -> None:
        """Look away."""
        os.close(self.fd)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask ``process`` to end, and insist."""
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(
    is_so: Callable[[], object], what: str, timeout_s: float = 20.0, nap_s: float = 0.005
) -> None:
    """Return when ``is_so()``.

    Raises:
        TimeoutError: it didn't come about.
    """
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(nap_s)


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it, the oldest first."""
    found = [pid]
    for one in found:  # it grows meanwhile
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text("ascii").split())
    return found


def cpu_s(pid: int) -> float:
    """Return the user and system time that a process has used, in seconds.

    It is the process' own CPU clock (clock_getcpuclockid(3)): what /proc/PID/stat says as user and
    system time, but in nanoseconds instead of ticks of 10 ms.
    """
    return time.clock_gettime(~pid << 3 | 2)


def pss_mib(pid: int) -> float:
    """Return the proportional set size of a process: shared pages count by their sharers."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
