"""Rows 9: one command, typed in a shell."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.contestants import CHANNEL, clean_environment
from benchmarks.fleet import documents
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Row

TIMES = 5
"""Each command runs so often in one round."""


def measure(bench: Bench) -> list[Row]:
    """Measure the console script, redis-py, and redis-cli if there is one; wall time."""
    port = str(bench.broker.port)
    publish = f"import redis; redis.Redis(port={port}).publish({CHANNEL!r}, 'PAUSED')"
    commands = {"python -c 'redis.Redis().publish()'": [sys.executable, "-c", publish]}
    plain = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if plain:
        commands[f"{Path(plain).name} PUBLISH"] = [plain, "-p", port, "PUBLISH", CHANNEL, "PAUSED"]
    contestants: dict[str, Callable[[], Figures]] = {
        name: partial(_round, bench, command) for name, command in commands.items()
    }
    with bench.unit("bare"):
        samples = bench.interleave("shell", {**contestants, "statusd": partial(_send, bench)})
    row = partial(Row, "statusd send WORD, wall time", "ms", samples["statusd"]["ms"])
    first, *others = commands
    return [
        row(samples[first]["ms"], first, Goal(1.5)),
        *(row(samples[name]["ms"], name) for name in others),
    ]


def send(bench: Bench) -> Figures:
    """Return how long one command to a unit takes, typed in a shell."""
    with bench.unit("bare"):
        return _send(bench)


def send_and_wait(bench: Bench) -> Figures:
    """Return the same with ``--wait``: until the unit has answered."""
    with bench.unit("bare"):
        return _round(bench, [_script(bench), "send", "ping", "--wait", "--url", bench.broker.url])


def status(bench: Bench) -> Figures:
    """Return how long it takes to see a thousand units."""
    with documents(bench.broker.port):
        return _round(bench, [_script(bench), "status", "--url", bench.broker.url])


def load_fleet(bench: Bench) -> Figures:
    """Return how long Python takes to have the class, and to leave again."""
    return _round(bench, [bench.python, "-c", "import statusd; statusd.Fleet"])


def _script(bench: Bench) -> str:
    return str(Path(bench.python).with_name("statusd"))


def _send(bench: Bench) -> Figures:
    return _round(bench, [_script(bench), "send", "ping", "--url", bench.broker.url])


def _round(bench: Bench, command: Sequence[str]) -> Figures:
    taken_s = []
    for _ in range(TIMES):
        started = time.monotonic()
        code = bench.guard.start(command, clean_environment()).wait()
        taken_s.append(time.monotonic() - started)
        if code:
            raise ChildProcessError(f"{' '.join(command)}: exit code {code}")
    return {"ms": sorted(taken_s)[TIMES // 2] * 1000}
