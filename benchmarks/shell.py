"""Rows 9: one command, typed in a shell."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.contestants import CHANNEL, clean_environment
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Of, Row

TIMES = 5
"""Each command runs so often in one round."""


def measure(bench: Bench) -> list[Row]:
    """Measure the console script, redis-py, and redis-cli if there is one; wall time."""
    port = str(bench.broker.port)
    script = str(Path(sys.executable).with_name("statusd"))
    publish = f"import redis; redis.Redis(port={port}).publish({CHANNEL!r}, 'PAUSED')"
    commands = {
        "statusd": [script, "send", "ping", "--url", bench.broker.url],
        "redis-py": [sys.executable, "-c", publish],
    }
    plain = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if plain:
        commands[Path(plain).name] = [plain, "-p", port, "PUBLISH", CHANNEL, "PAUSED"]
    with bench.unit("bare"):
        samples = bench.interleave(
            "shell", {name: partial(_round, bench, c) for name, c in commands.items()}
        )
    ours = samples["statusd"]["ms"]
    goal: Goal | None = Goal(60.0, Of.VALUE)
    rows = []
    for name in list(commands)[1:]:
        baseline = (
            "python -c 'redis.Redis().publish()'" if name == "redis-py" else f"{name} PUBLISH"
        )
        rows.append(
            Row("statusd send WORD, wall time", "ms", ours, samples[name]["ms"], baseline, goal)
        )
        goal = None
    return rows


def _round(bench: Bench, command: Sequence[str]) -> Figures:
    taken_s = []
    for _ in range(TIMES):
        started = time.monotonic()
        code = bench.guard.start(command, clean_environment()).wait()
        taken_s.append(time.monotonic() - started)
        if code:
            raise ChildProcessError(f"{' '.join(command)}: exit code {code}")
    return {"ms": sorted(taken_s)[TIMES // 2] * 1000}
