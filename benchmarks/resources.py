"""Rows 16: what it takes to read what a worker uses, of its one process and of one with children.

In this process, of a real worker: what a daemon does for each unit with each beat, every 3 s. PSS
is beside it to show why it isn't read so: it grows with the memory, the resident set doesn't.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks.processes import end
from benchmarks.rounds import Bench, Figures, Samples
from benchmarks.table import Goal, Of, Row
from statusd.supervision.resources import AT_ONCE, Sampler, proportional

CHILDREN = 4
HELD_MIB = 200
TURNS = 300
BUDGET = Goal(200.0, Of.VALUE)
"""Microseconds a unit and a beat."""
_FAMILY = f"""
import os, signal
ours, theirs = os.pipe()
held = b"x" * ({HELD_MIB} << 20)
for _ in range({CHILDREN}):
    if os.fork() == 0:
        os.close(theirs)
        os.read(ours, 1)  # until its parent is gone
        os._exit(0)
print("ready", flush=True)
signal.pause()
"""


class _AtOnce:
    """A loop that calls at once what was to be called soon, and notes what was done in a row."""

    def __init__(self) -> None:
        self.turns_us: list[float] = []
        self._began = 0.0

    def time(self) -> float:
        """Return the time."""
        return time.monotonic()

    def call_later(self, _: float, callback: Callable[..., object], *args: object) -> None:
        """Call it now: the loop would have had its turn."""
        self.began(callback, *args)

    def began(self, callback: Callable[..., object], *args: object) -> None:
        """Call it, and note how long the loop waits for it."""
        now = time.perf_counter()
        if self._began:
            self.turns_us.append((now - self._began) * 1e6)
        self._began = now
        callback(*args)
        if self._began:
            self.turns_us.append((time.perf_counter() - self._began) * 1e6)
            self._began = 0.0


def measure(bench: Bench) -> list[Row]:
    """Measure samples of a unit's worker, and of a process with children that share its memory."""
    samples = bench.interleave(
        "resources", {"worker": lambda: _unit(bench), "family": lambda: _family(bench)}
    )
    return _rows(samples)


def _rows(samples: Samples) -> list[Row]:
    worker, family = samples["worker"], samples["family"]
    many = f"{1 + CHILDREN} processes"
    return [
        Row("a sample of a worker of 1 process", "us", worker["whole"], goal=BUDGET),
        Row(f"a sample of a worker of {many}", "us", family["whole"], goal=BUDGET),
        Row(f"longest turn of it, of at most {AT_ONCE} files", "us", family["turn"], goal=BUDGET),
        Row(f"PSS of {many} with {HELD_MIB} MiB, in a thread, rarely", "us", family["pss"]),
    ]


def _unit(bench: Bench) -> Figures:
    with bench.unit("bare") as unit:
        return _sampled(unit.helper.pid)


def _family(bench: Bench) -> Figures:
    popen = bench.guard.start([sys.executable, "-c", _FAMILY], stdout=subprocess.PIPE)
    try:
        assert popen.stdout is not None
        popen.stdout.readline()
        return _sampled(popen.pid)
    finally:
        end(popen)


def _sampled(pid: int) -> Figures:
    """Return the median of a sample and of its longest turn, and what its PSS takes once."""
    whole: list[float] = []
    longest: list[float] = []
    loop = _AtOnce()
    sampler = Sampler(loop)  # type: ignore[arg-type]  # it asks no more of a loop
    for _ in range(TURNS):
        loop.turns_us = []
        loop.began(sampler.sample, pid, (), lambda _: None)
        whole.append(sum(loop.turns_us))
        longest.append(max(loop.turns_us))
    began = time.perf_counter()
    proportional(sampler.pids)
    pss_us = (time.perf_counter() - began) * 1e6
    return {"whole": median(whole), "turn": median(longest), "pss": pss_us}
