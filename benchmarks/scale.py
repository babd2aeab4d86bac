"""Rows 14: many channels to one unit, many units on one channel, and one unit among many."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.broker import Wire, pack
from benchmarks.contestants import CHANNEL, Contestant, Seed
from benchmarks.crowds import Folder
from benchmarks.latency import TRIGGERS, latencies, round_of
from benchmarks.page import Page
from benchmarks.rounds import Bench, Figures, Samples
from benchmarks.table import Goal, Row

CHANNELS = 10_000
UNITS = 100
AT_ONCE = 10
"""So many are started at the same time."""
MESSAGES = 20
"""So many go to all units in one round."""
PAUSE_S = (0.06, 0.09)
"""Two messages are so far apart: a hundred units have told of the one before the next comes."""
FAN_CHANNEL, FOLDER_CHANNEL = "fan", "folder"


def measure(bench: Bench) -> list[Row]:
    """Measure channels, then units."""
    return [*_channels(bench), *_units(bench), *_one_of_many(bench)]


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
    triggers, raw, together = (
        [pack("PUBLISH", channel, word) for word in TRIGGERS]
        for channel in (CHANNEL, FAN_CHANNEL, FOLDER_CHANNEL)
    )
    with ExitStack() as stack:
        for crowd in (units, alone, apart):
            _start(crowd, stack)
        folder = stack.enter_context(
            Folder(bench, count, "blocked", goal="RUNNING", channels=[FOLDER_CHANNEL])
        )
        samples = bench.interleave(
            "units",
            {
                "fan": partial(_last, bench, _pages(alone), raw, count),
                "apart": partial(_last, bench, _pages(apart), raw, 1),
                "statusd": partial(_last, bench, _pages(units), triggers, 1),
                "folder": partial(_last, bench, folder.pages, together, 1),
            },
        )
    return _fan_rows(samples, count)


def _fan_rows(samples: Samples, count: int) -> list[Row]:
    """Return the crowds beside raw subscribers: all in one process, and a process each."""
    alone = f"the broker's fan-out: {count} raw subscribers in one process"
    apart = f"{count} raw subscribers, a process each"
    crowds = {
        "statusd": (f"{count} units' workers", "fan", Goal(2.0)),
        "folder": (f"{count} workers of one daemon", "apart", Goal(2.5)),
    }
    return [
        Row(
            f"PUBLISH -> last of {what}, blocked in wait(), has acted, p50",
            "us",
            samples[crowd]["p50"],
            samples[name]["p50"],
            baseline,
            goal if name == aimed else None,
        )
        for crowd, (what, aimed, goal) in crowds.items()
        for name, baseline in (("fan", alone), ("apart", apart))
    ]


def _pages(crowd: Sequence[Contestant]) -> list[Page]:
    return [one.page for one in crowd]


def _start(crowd: Sequence[Contestant], stack: ExitStack) -> None:
    """Start all of ``crowd``, some at a time, and have them ended by ``stack``."""
    for at in range(0, len(crowd), AT_ONCE):
        some = crowd[at : at + AT_ONCE]
        for one in some:
            stack.callback(one.close)
            one.start()
        for one in some:
            one.wait()


def _last(bench: Bench, pages: Sequence[Page], messages: Sequence[bytes], each: int) -> Figures:
    """Return the median of when the last of ``pages`` has got the last of ``each`` stamps."""
    taken = []
    with Wire(bench.broker.port) as wire:
        for number in range(MESSAGES):
            time.sleep(random.uniform(*PAUSE_S))
            wanted = [page.count + each for page in pages]
            sent = time.monotonic_ns()
            wire.send(messages[number & 1])
            wire.take()
            time.sleep(PAUSE_S[0])  # who looks at a hundred pages takes a core from them
            for page, count in zip(pages, wanted, strict=True):
                page.wait(count, nap_s=0.005)
            last = max(page.value(count - 1) for page, count in zip(pages, wanted, strict=True))
            taken.append((last - sent) / 1000)
    return {"p50": sorted(taken)[len(taken) // 2]}


# ---- one of many units -------------------------------------------------------------------------


def _one_of_many(bench: Bench) -> list[Row]:
    """Measure a unit that has a daemon of its own, and one of many in a daemon."""
    count = AT_ONCE if bench.quick else UNITS
    samples = bench.interleave(
        "one of many",
        {
            "alone": lambda: round_of(bench, bench.unit("blocked"), TRIGGERS),
            "among": lambda: _among(bench, count),
        },
    )
    return [
        Row(
            f"PUBLISH -> worker blocked in wait(), one of {count} in a daemon, {quantile}",
            "us",
            samples["among"][quantile],
            samples["alone"][quantile],
            "a unit with a daemon of its own",
            goal,
        )
        for quantile, goal in (("p50", Goal(1.2)), ("p99", None))
    ]


def _among(bench: Bench, count: int) -> Figures:
    with Folder(bench, count, "blocked", goal="RUNNING", channels=["own.{instance}"]) as folder:
        return latencies(bench, folder.pages[0], "own.1", TRIGGERS)
