"""Rows 7: memory, as proportional set size (shared pages count by their sharers)."""

from __future__ import annotations

import sys
import time

from benchmarks.processes import end, family, pss_mib
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Of, Row

SETTLE_S = 0.5
DAEMON = Goal(26.0, Of.VALUE)
_BARE = "import signal; signal.pause()"


def measure(bench: Bench) -> list[Row]:
    """Measure a daemon whose worker only waits, S, and a Python that only waits."""
    samples = bench.interleave(
        "memory", {"S": lambda: _seed(bench), "statusd": lambda: unit_memory(bench)}
    )
    ours, theirs = samples["statusd"], samples["S"]
    bare = "python -c pause, beside them"
    return [
        Row("PSS of the daemon", "MiB", ours["daemon"], theirs["parent"], "S, parent", DAEMON),
        Row("PSS of the worker", "MiB", ours["worker"], ours["bare"], bare, Goal(3.0, Of.EXCESS)),
        Row(
            "PSS of the tree", "MiB", ours["tree"], theirs["tree"], "S, both", Goal(46.0, Of.VALUE)
        ),
    ]


def unit_memory(bench: Bench) -> Figures:
    """Start a unit, and return what its processes use, and a bare Python beside them."""
    with bench.unit("bare") as unit:
        time.sleep(SETTLE_S)
        tree = sum(map(pss_mib, family(unit.pid)))
        daemon = pss_mib(unit.pid)
        # Only side by side do the two share the interpreter's pages with as many others.
        bare = bench.guard.start([sys.executable, "-c", _BARE])
        try:
            time.sleep(SETTLE_S)
            beside = {"worker": pss_mib(unit.helper.pid), "bare": pss_mib(bare.pid)}
        finally:
            end(bare)
    return {"daemon": daemon, "tree": tree, **beside}


def _seed(bench: Bench) -> Figures:
    with bench.seed("poll") as seed:
        time.sleep(SETTLE_S)
        parent, listener = pss_mib(seed.pid), pss_mib(seed.helper.pid)
    return {"parent": parent, "tree": parent + listener}
