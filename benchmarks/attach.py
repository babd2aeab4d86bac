"""Rows 13: what `statusd.attach` costs the program that calls it, besides the wait for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

from benchmarks.contestants import clean_environment
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Of, Row

# Processor time is what is left of wall time without the wait. Each program looks at itself last.
_PROGRAM = """
import json, sys, time
{before}
began_s = time.process_time()
{attach}
taken_s = time.process_time() - began_s
with open("/proc/self/smaps_rollup") as file:
    sizes = dict(line.split()[:2] for line in file if line.endswith("kB\\n"))
private = int(sizes["Private_Clean:"]) + int(sizes["Private_Dirty:"])
print(json.dumps({{"ms": taken_s * 1000, "mib": private / 1024}}), flush=True)
"""
_ATTACH = (
    "import statusd; worker = statusd.attach(url=sys.argv[1], name='bench-attach', fresh=True)"
)
_BESIDE = {
    "a bare python": "",
    "a python that logs": "import logging, signal, select",
}


def measure(bench: Bench) -> list[Row]:
    """Measure a program with and without; once it has loaded next to nothing, once what most do."""
    contestants = {
        f"{beside}{', attached' if attach else ''}": partial(_round, bench, before, attach)
        for beside, before in _BESIDE.items()
        for attach in ("", _ATTACH)
    }
    samples = bench.interleave("attach", contestants)
    rows = []
    for beside in _BESIDE:
        ours, theirs = samples[f"{beside}, attached"], samples[beside]
        goals = (5.0, 1.0) if "logs" in beside else (None, None)
        for metric, key, unit, most in (
            ("attach, the program's own processor time", "ms", "ms", goals[0]),
            ("attach, the program's own memory", "mib", "MiB", goals[1]),
        ):
            goal = Goal(most, Of.EXCESS) if most else None
            rows.append(Row(metric, unit, ours[key], theirs[key], beside, goal))
    return rows


def _round(bench: Bench, before: str, attach: str) -> Figures:
    command: Sequence[str] = [
        *(sys.executable, "-c", _PROGRAM.format(before=before, attach=attach)),
        bench.broker.url,
    ]
    process = bench.guard.start(command, clean_environment(), stdout=subprocess.PIPE)
    said, _ = process.communicate(timeout=30)
    found: dict[str, float] = json.loads(said)
    return found
