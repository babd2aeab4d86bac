"""Row 13: what many jobs cost on one machine, for each is a daemon of its own."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contestants import Unit
from benchmarks.processes import cpu_s, pss_mib
from benchmarks.rounds import Bench, say
from benchmarks.table import Row

UNITS = 40
FEW = 4
"""So many do for a quick look."""
SETTLE_S = 2.0
WINDOW_S = 12.0
"""A multiple of the time between two beats."""


def measure(bench: Bench) -> list[Row]:
    """Measure one fleet of real units whose workers wait: memory, idle CPU, processes."""
    count = FEW if bench.quick else UNITS
    with ExitStack() as stack:
        units = [bench.unit("bare", name=f"unit-{number:02}") for number in range(count)]
        for number, unit in enumerate(units):
            say(f"many: starting unit {number} of {count}")
            stack.enter_context(unit)
        time.sleep(SETTLE_S)
        say(f"many: {count} units idle for {WINDOW_S:g} s")
        before_s = _used(units)
        time.sleep(WINDOW_S)
        used_s = _used(units) - before_s
        memory = sum(map(pss_mib, _pids(units)))
        alone = [sum(map(pss_mib, _pids([unit]))) for unit in units]
        guards = sum(len(_guards(unit.pid)) for unit in units)
    what = f"{count} units, daemon and worker each"
    return [
        Row(f"PSS of {what}", "MiB", [memory]),
        Row(f"PSS of each of {count} units", "MiB", alone),
        Row(f"idle CPU of {what}: share of one core", "%", [used_s / WINDOW_S * 100]),
        Row(f"processes of {count} units: daemon, worker, guard", "", [2.0 * count + guards]),
    ]


def _pids(units: list[Unit]) -> list[int]:
    """Return all that belong to ``units``: daemon, worker, guard."""
    return [pid for unit in units for pid in (unit.pid, unit.helper.pid, *_guards(unit.pid))]


def _guards(daemon: int) -> list[int]:
    """Return the other children of a daemon: the shells that end its worker after it."""
    text = Path(f"/proc/{daemon}/task/{daemon}/children").read_text("ascii")
    children = [int(pid) for pid in text.split()]
    return [pid for pid in children if Path(f"/proc/{pid}/comm").read_text("ascii") == "sh\n"]


def _used(units: list[Unit]) -> float:
    return sum(map(cpu_s, _pids(units)))
