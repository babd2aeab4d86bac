"""Row 10: what a unit costs while nobody asks it for anything."""

from __future__ import annotations

import time

from benchmarks.processes import cpu_s
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Row

BEAT_S = 3.0
"""Every so often a daemon touches its document; a window is a multiple of it."""


def measure(bench: Bench) -> list[Row]:
    """Measure windows of one unit's life, daemon and worker together, a while after its start."""
    window_s = BEAT_S if bench.quick else 2 * BEAT_S
    with bench.unit("bare") as unit:
        pids = (unit.pid, unit.helper.pid)
        samples = bench.interleave("idle", {"statusd": lambda: _window(pids, window_s)})
    metric = "idle CPU of daemon and worker per minute"
    return [Row(metric, "ms", samples["statusd"]["ms"])]


def _window(pids: tuple[int, ...], window_s: float) -> Figures:
    before_s = sum(map(cpu_s, pids))
    time.sleep(window_s)
    used_s = sum(map(cpu_s, pids)) - before_s
    return {"ms": used_s * 1000 * 60 / window_s}
