"""Row 13: what forty jobs cost on one machine, in each way to have them looked after."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from subprocess import CalledProcessError

from benchmarks.broker import Wire
from benchmarks.crowds import Apart, Bare, Crowd, Folder, Supervised
from benchmarks.idle import BEAT_S, COMMANDS
from benchmarks.processes import cpu_s, pss_mib
from benchmarks.rounds import Bench, Figures, Samples, say
from benchmarks.table import Goal, Of, Row

UNITS = 40
FEW = 4
"""So many do for a quick look."""
ROUNDS = 5
"""No more than these: they are long, and agree."""
SETTLE_S = 2.0
WINDOW_S = 4 * BEAT_S
"""A multiple of the time between two beats."""

GOALS = {
    ("pss", "bare"): Goal(320.0, Of.VALUE),
    ("start", "bare"): Goal(2.5, Of.VALUE),
    ("cpu", "apart"): Goal(0.1, Of.VALUE),
    ("commands", "apart"): Goal(1100.0, Of.VALUE),
}
"""Of forty: metric and baseline -> what it may be. Each stands in one row."""


def measure(bench: Bench) -> list[Row]:
    """Measure starts, memory and what an idle crowd uses; side by side, in turns."""
    count = FEW if bench.quick else UNITS
    bench = replace(bench, rounds=min(bench.rounds, ROUNDS))
    made: dict[str, Callable[[], Crowd]] = {
        "folder": lambda: Folder(bench, count),
        "one": lambda: Folder(bench, 1),
        "apart": lambda: Apart(bench, count),
        "supervisord": lambda: Supervised(bench, count),
        "bare": lambda: Bare(bench, count),
    }
    try:
        Supervised(bench, count).close()
    except CalledProcessError:
        say("supervisord can't be installed: without it\n")
        del made["supervisord"]
    samples = bench.interleave(
        "many", {name: partial(_live, bench, make) for name, make in made.items()}
    )
    return [*_against_all(samples, count), *_of_the_daemon(samples, count)]


def _against_all(samples: Samples, count: int) -> list[Row]:
    """Return what one daemon of all costs, beside each other way."""
    ours, what = samples["folder"], f"{count} waiting jobs"
    names = {
        "bare": f"{count} bare Python processes",
        "supervisord": f"supervisord with {count} programs",
        "apart": f"{count} daemons of one unit",
    }
    metrics = {
        "pss": (f"PSS of {what}, all processes", "MiB"),
        "start": (f"start -> {what}, all up", "s"),
        "cpu": (f"idle CPU of {what}, who looks after them, per minute", "s"),
        "commands": (f"commands to the broker per minute, {what}, idle", ""),
    }
    return [
        Row(text, unit, ours[metric], theirs[metric], names[name], GOALS.get((metric, name)))
        for metric, (text, unit) in metrics.items()
        for name, theirs in samples.items()
        if name in names and any(theirs[metric])
    ]


def _of_the_daemon(samples: Samples, count: int) -> list[Row]:
    many, one = samples["folder"]["daemon"], samples["one"]["daemon"]
    further = [(all_ - first) / (count - 1) for all_, first in zip(many, one, strict=True)]
    return [
        Row("PSS of the daemon of a folder of one unit", "MiB", one, goal=Goal(45.0, Of.VALUE)),
        Row(
            f"PSS of a daemon of {count}, per further unit",
            "MiB",
            further,
            goal=Goal(0.3, Of.VALUE),
        ),
    ]


def _live(bench: Bench, make: Callable[[], Crowd]) -> Figures:
    """Let a crowd come up and be idle, and return what that took."""
    crowd = make()
    began = time.monotonic()
    with crowd:
        figures = {"start": time.monotonic() - began}
        time.sleep(SETTLE_S)
        return {**figures, **_memory(crowd), **_idle(bench, crowd)}


def _memory(crowd: Crowd) -> Figures:
    of = {pid: pss_mib(pid) for pid in crowd.pids()}
    return {"pss": sum(of.values()), "daemon": sum(of[pid] for pid in crowd.daemons())}


def _idle(bench: Bench, crowd: Crowd) -> Figures:
    """Return what the daemons use in a window, as if for a minute."""
    with Wire(bench.broker.port) as wire:
        commands, used_s = wire.count(COMMANDS), _used_s(crowd)
        time.sleep(BEAT_S if bench.quick else WINDOW_S)
        window_s = BEAT_S if bench.quick else WINDOW_S
        used_s, commands = _used_s(crowd) - used_s, wire.count(COMMANDS) - commands - 1
    return {"cpu": used_s * 60 / window_s, "commands": commands * 60 / window_s}


def _used_s(crowd: Crowd) -> float:
    return sum(map(cpu_s, crowd.daemons()))
