"""What a process uses, as the system counts it (proc(5)), and whether that grows."""

from __future__ import annotations

import math
import os
import re
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process uses now.

    Args:
        at: when it was looked at, on the monotonic clock, in seconds.
        cpu_s: user and system time that it has used so far.
        pss_kib: proportional set size; shared pages count by their sharers.
        anonymous_kib: pages that no file backs, its heap above all; whoever shares a library with
            it, or stops to, changes nothing of them.
    """

    at: float
    descriptors: int
    threads: int
    cpu_s: float
    pss_kib: int
    anonymous_kib: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Look at the process ``pid``.

        Raises:
            OSError: there is none, or it is another user's.
        """
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
        return cls(
            at=time.monotonic(),
            descriptors=len(os.listdir(f"/proc/{pid}/fd")),
            threads=_number(r"^Threads:\s+(\d+)", status),
            cpu_s=time.clock_gettime(~pid << 3 | 2),  # its CPU clock, clock_getcpuclockid(3)
            pss_kib=_number(r"^Pss:\s+(\d+) kB", rollup),
            anonymous_kib=_number(r"^RssAnon:\s+(\d+) kB", status),
        )


class Stopwatch:
    """Measures a time as it would be on a machine that nobody else uses.

    What it shows is the time on the clock without that in which any of the processes could have
    worked, and had to wait for a processor (/proc/PID/schedstat). On an idle machine there is none.

    Args:
        pids: of the processes whose work it is.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._queued_s = self._all_queued_s()
        self._began = time.monotonic()

    def read(self) -> float:
        """Return the time since it was made, in seconds."""
        passed = time.monotonic() - self._began
        return max(0.0, passed - (self._all_queued_s() - self._queued_s))

    def _all_queued_s(self) -> float:
        return sum(map(queued_s, self._pids))


def queued_s(pid: int) -> float:
    """Return how long the threads of a process have waited for a processor so far, in seconds.

    It is 0 where the kernel doesn't count that, and once the process is gone.
    """
    total = 0.0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # that thread has just ended
            total += int(file.read_text("ascii").split()[1]) / 1e9
    return total


class Slope(NamedTuple):
    """A straight line through measured points: how steep it is, and how sure that is.

    Args:
        per_x: how much y grows with each x.
        noise: its standard error; within about two of it, a slope may be none.
    """

    per_x: float
    noise: float

    @property
    def is_growth(self) -> bool:
        """Tell whether it rises by more than noise explains (97.7 % sure, one-sided)."""
        return self.per_x > 2 * self.noise


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Return the line of least squares through at least three ``points``."""
    xs, ys = zip(*points, strict=True)
    line = statistics.linear_regression(xs, ys)
    left = sum((y - line.slope * x - line.intercept) ** 2 for x, y in points)
    middle = statistics.fmean(xs)
    spread = sum((x - middle) ** 2 for x in xs)
    return Slope(line.slope, math.sqrt(left / (len(points) - 2) / spread))


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    assert found is not None, pattern
    return int(found[1])
