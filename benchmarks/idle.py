"""Row 10: what a unit costs while nobody asks it for anything."""

from __future__ import annotations

import time

from benchmarks.broker import Wire
from benchmarks.contestants import Contestant
from benchmarks.processes import cpu_s, family
from benchmarks.rounds import Bench, say
from benchmarks.table import Goal, Of, Row

BEAT_S = 3.0
"""Every so often a daemon touches its document; a window is a multiple of it."""
WINDOW_S = 10 * BEAT_S
COMMANDS = "total_commands_processed"
"""What the broker counts them as, in ``INFO stats``."""
WINDOWS = 5
"""No more than these: they are long, and agree."""


def measure(bench: Bench) -> list[Row]:
    """Measure windows of the lives of one unit and of S, at the same time: both are idle."""
    window_s = BEAT_S if bench.quick else WINDOW_S
    windows, commands = [], []
    with (
        bench.unit("bare") as unit,
        bench.seed("poll") as seed,
        Wire(bench.broker.port) as wire,
    ):
        time.sleep(BEAT_S)
        for number in range(min(bench.rounds, WINDOWS)):
            say(f"idle: window {number + 1}")
            before = wire.count(COMMANDS)
            windows.append(_window((unit, seed), window_s))
            obeyed = wire.count(COMMANDS) - before - 1  # the question itself
            commands.append(obeyed * 60 / window_s)
    ours, theirs = zip(*windows, strict=True)
    metric = f"idle CPU of the tree per minute, in windows of {window_s:g} s"
    baseline = "S, both, parent polls every 0.1 s"
    return [
        Row(metric, "s", ours, theirs, baseline, Goal(0.03, Of.VALUE)),
        Row("idle: commands to the broker a minute", "", commands, goal=Goal(130.0, Of.VALUE)),
    ]


def _window(contestants: tuple[Contestant, ...], window_s: float) -> list[float]:
    """Return the CPU time that each of them used, as if for a minute."""
    before = [_used_s(one) for one in contestants]
    time.sleep(window_s)
    return [(_used_s(one) - s) * 60 / window_s for one, s in zip(contestants, before, strict=True)]


def _used_s(one: Contestant) -> float:
    return sum(map(cpu_s, family(one.pid)))
