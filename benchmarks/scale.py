"""Rows 14: many channels to one unit, and many units on one channel."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.broker import Wire, pack
from benchmarks.contestants import CHANNEL, Contestant, Seed
from benchmarks.latency import TRIGGERS, round_of
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Row

CHANNELS = 10_000
UNITS = 100
AT_ONCE = 10
"""So many are started at the same time."""
MESSAGES = 20
"""So many go to all units in one round."""
PAUSE_S = (0.06, 0.09)
"""Two messages are so far apart: a hundred units have told of the one before the next comes."""
FAN_CHANNEL = "fan"


def measure(bench: Bench) -> list[Row]:
    """Measure channels, then units."""
    return [*_channels(bench), *_units(bench)]


# ---- many channels -----------------------------------------------------------------------------


def _channels(bench: Bench) -> list[Row]:
    count = CHANNELS // 10 if bench.quick else CHANNELS
    names = [f"channel.{number}" for number in range(count - 1)]
    samples = bench.interleave(
        "channels",
        {
            "one": lambda: round_of(bench, bench.unit("blocked"), TRIGGERS),
            "many": lambda: round_of(bench, bench.unit("blocked", channels=names), TRIGGERS),
        },
    )
    return [
        Row(
            f"PUBLISH -> worker blocked in wait(), unit on {count:,} channels, {quantile}",
            "us",
            samples["many"][quantile],
            samples["one"][quantile],
            "a unit on one channel",
            goal,
        )
        for quantile, goal in (("p50", Goal(1.1)), ("p99", None))
    ]


# ---- many units --------------------------------------------------------------------------------


class Fan(Seed):
    """``python -m benchmarks.fan``: raw subscribers.

    Args:
        count: of connections in its one process.
    """

    def __init__(self, bench: Bench, count: int) -> None:
        super().__init__(bench.guard, bench.broker, str(count), "fan")

    def _command(self) -> list[str]:
        port, path = str(self._broker.port), self.page.path
        return [sys.executable, "-m", "benchmarks.fan", port, path, self._role, FAN_CHANNEL]


def _units(bench: Bench) -> list[Row]:
    count = AT_ONCE if bench.quick else UNITS
    units = [bench.unit("blocked", name=f"unit-{number:03}") for number in range(count)]
    alone, apart = [Fan(bench, count)], [Fan(bench, 1) for _ in range(count)]
    triggers, raw = (
        [pack("PUBLISH", channel, word) for word in TRIGGERS] for channel in (CHANNEL, FAN_CHANNEL)
    )
    with ExitStack() as stack:
        for crowd in (units, alone, apart):
            _start(crowd, stack)
        samples = bench.interleave(
            "units",
            {
                "fan": partial(_last, bench, alone, raw, count),
                "apart": partial(_last, bench, apart, raw, 1),
                "statusd": partial(_last, bench, units, triggers, 1),
            },
        )
    metric = f"PUBLISH -> last of {count} units' workers, blocked in wait(), has acted, p50"
    row = partial(Row, metric, "us", samples["statusd"]["p50"])
    return [
        row(
            samples["fan"]["p50"],
            f"the broker's fan-out: {count} raw subscribers in one process",
            Goal(2.0),
        ),
        row(samples["apart"]["p50"], f"{count} raw subscribers, a process each"),
    ]


def _start(crowd: Sequence[Contestant], stack: ExitStack) -> None:
    """Start all of ``crowd``, some at a time, and have them ended by ``stack``."""
    for at in range(0, len(crowd), AT_ONCE):
        some = crowd[at : at + AT_ONCE]
        for one in some:
            stack.callback(one.close)
            one.start()
        for one in some:
            one.wait()


def _last(
    bench: Bench, crowd: Sequence[Contestant], messages: Sequence[bytes], each: int
) -> Figures:
    """Return the median of when the last of ``crowd`` has put the last of ``each`` stamps."""
    taken = []
    with Wire(bench.broker.port) as wire:
        for number in range(MESSAGES):
            time.sleep(random.uniform(*PAUSE_S))
            wanted = [one.page.count + each for one in crowd]
            sent = time.monotonic_ns()
            wire.send(messages[number & 1])
            wire.take()
            time.sleep(PAUSE_S[0])  # who looks at a hundred pages takes a core from them
            for one, count in zip(crowd, wanted, strict=True):
                one.page.wait(count, nap_s=0.005)
            last = max(one.page.value(count - 1) for one, count in zip(crowd, wanted, strict=True))
            taken.append((last - sent) / 1000)
    return {"p50": sorted(taken)[len(taken) // 2]}
