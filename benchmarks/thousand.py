"""Row 15: as many units in one daemon as the machine lets, each with a program that only sleeps."""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.broker import Wire, pack
from benchmarks.crowds import Folder
from benchmarks.idle import BEAT_S
from benchmarks.latency import GAP_S, TRIGGERS
from benchmarks.processes import cpu_s, family, pss_mib
from benchmarks.rounds import Bench, Figures, Latencies, say
from benchmarks.table import Row
from benchmarks.verdicts import wait_done

UNITS = (1, 100, 1000)
"""What a unit costs among these; where it bends is seen between them."""
FEW = (1, 10)
COMMANDS = 200
SETTLE_S = 3.0
WINDOW_S = 4 * BEAT_S
DESCRIPTORS = 6
"""So many has the daemon of each unit: its output and socket, its lock, its process."""
RESERVE = 100
"""So many descriptors are left to whatever else a daemon has open."""
SIGNALS = 'signals = { PAUSED = "SIGSTOP", RUNNING = "SIGCONT" }'
REPLIES = "statusd:reply:thousand"


def measure(bench: Bench) -> list[Row]:
    """Measure each size once: what is looked for is a bend, and not a percent."""
    sizes = [size for size in (FEW if bench.quick else UNITS) if _is_possible(size)]
    found = {size: _live(bench, size) for size in sizes}
    return [row for size in sizes for row in _rows(size, found[size], found[sizes[0]])]


def _is_possible(size: int) -> bool:
    """Tell whether so many units may have their descriptors here; say so if they may not."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = size * DESCRIPTORS + RESERVE
    if needed > most:
        say(f"{size:,} units need {needed:,} descriptors, and {most:,} are allowed (ulimit -n)\n")
    return needed <= most


def _rows(size: int, found: Figures, alone: Figures) -> list[Row]:
    what = f"{size:,} units whose program sleeps" if size > 1 else "one unit whose program sleeps"
    beside = "a daemon of one unit"
    row = partial(Row, baseline=beside if size > 1 else "")
    metrics = {
        "start": ("start -> {what}, all RUNNING", "s"),
        "pss": ("PSS of the daemon of {what}", "MiB"),
        "all": ("PSS of the daemon and {what}", "MiB"),
        "cpu": ("idle CPU of the daemon of {what}, per minute", "s"),
        "p50": ("command -> final verdict, {what}, p50", "us"),
        "p99": ("command -> final verdict, {what}, p99", "us"),
        "descriptors": ("descriptors of the daemon of {what}", ""),
        "threads": ("threads of the daemon of {what}", ""),
    }
    return [
        row(text.format(what=what), unit, [found[key]], [alone[key]] if size > 1 else None)
        for key, (text, unit) in metrics.items()
    ]


def _live(bench: Bench, size: int) -> Figures:
    say(f"thousand: {size} units")
    began = time.monotonic()
    with Folder(
        bench,
        size,
        ["sleep", "3600"],
        goal="RUNNING",
        settings=SIGNALS,
        channels=["own.{instance}"],
    ) as folder:
        start_s = time.monotonic() - began
        time.sleep(SETTLE_S)
        (daemon,) = folder.daemons()
        figures = {
            "start": start_s,
            "pss": pss_mib(daemon),
            "all": sum(map(pss_mib, family(daemon))),
            "descriptors": float(len(_entries(daemon, "fd"))),
            "threads": float(len(_entries(daemon, "task"))),
        }
        before_s = cpu_s(daemon)
        time.sleep(BEAT_S if bench.quick else WINDOW_S)
        window_s = BEAT_S if bench.quick else WINDOW_S
        figures["cpu"] = (cpu_s(daemon) - before_s) * 60 / window_s
        return {**figures, **_verdicts(bench)}


def _entries(pid: int, what: str) -> Sequence[Path]:
    return list(Path(f"/proc/{pid}/{what}").iterdir())


def _verdicts(bench: Bench) -> Figures:
    """Command the first unit by turns, and return how long its final verdicts took."""
    port, taken = bench.broker.port, []
    with Wire(port) as sender, Wire(port, REPLIES) as subscriber:
        for number in range(bench.size(COMMANDS)):
            command = {"command": TRIGGERS[number & 1], "id": str(number), "reply_to": REPLIES}
            message = pack("PUBLISH", "own.1", json.dumps(command))
            time.sleep(random.uniform(*GAP_S))
            sent = time.monotonic_ns()
            sender.send(message)
            wait_done(subscriber, str(number))
            taken.append((time.monotonic_ns() - sent) / 1000)
            sender.take()
    return Latencies(taken)
