"""Rows 11: what it costs that a worker's output passes through the daemon."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

from benchmarks.broker import Wire, pack
from benchmarks.contestants import CHANNEL, NAME, Unit, clean_environment
from benchmarks.latency import TRIGGERS, round_of
from benchmarks.processes import end, wait_until
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Row


def measure(bench: Bench) -> list[Row]:
    """Measure floods into a file, and wake-ups of a worker that prints, and of a program."""
    unit = bench.unit
    floods = bench.interleave(
        "flood",
        {
            "inherit": lambda: _flood(bench, unit("flooding", goal="READY", output="inherit")),
            "tagged": lambda: _flood(bench, unit("flooding", goal="READY", output="./out")),
        },
    )
    read = bench.interleave(
        "flood that is read",
        {how: partial(_long_flood, bench, how) for how in ("unread", "read", "stuck")},
    )
    reader = [sys.executable, "-m", "benchmarks.workers"]
    wakes = bench.interleave(
        "wake",
        {
            "inherit": lambda: round_of(bench, unit("printing", output="inherit"), TRIGGERS),
            "tagged": lambda: round_of(bench, unit("printing", output="./out"), TRIGGERS),
            "silent": lambda: round_of(bench, unit("blocked"), TRIGGERS),
            "program": lambda: round_of(bench, unit(reader), TRIGGERS),
        },
    )
    row = partial(Row, unit="us")
    return [
        Row(
            "100 MB of lines printed into a file, tagged",
            "ms",
            floods["tagged"]["ms"],
            floods["inherit"]["ms"],
            'output = "inherit"',
        ),
        *(
            Row(
                f"500 MB of lines printed, {what}",
                "ms",
                read[how]["ms"],
                read["unread"]["ms"],
                "no reader",
            )
            for how, what in _READERS.items()
        ),
        row(
            metric="PUBLISH -> worker blocked in wait(), which prints a line each time, p50",
            ours=wakes["tagged"]["p50"],
            theirs=wakes["inherit"]["p50"],
            baseline='output = "inherit"',
        ),
        row(
            metric="PUBLISH -> program that reads its state as a line, p50",
            ours=wakes["program"]["p50"],
            theirs=wakes["silent"]["p50"],
            baseline="function blocked in wait()",
        ),
    ]


_READERS = {
    "read": "while `statusd logs -f` reads",
    "stuck": "while a `statusd logs -f` that is stopped doesn't read",
}
"""How a flood is read -> in words."""


def _long_flood(bench: Bench, how: str) -> Figures:
    unit = bench.unit("flooding_long", goal="READY", output="./out")
    with unit, nullcontext() if how == "unread" else _reader(bench, unit, how):
        return _flooded(bench, unit)


@contextmanager
def _reader(bench: Bench, unit: Unit, how: str) -> Iterator[None]:
    """Read what it prints, as somebody far away does; or have asked for it, and be stopped."""
    words = [bench.python, "-m", "statusd", "logs", NAME, "-f", "--url", bench.broker.url]
    said = unit.folder / "read"
    with said.open("wb") as out:
        process = bench.guard.start(words, clean_environment(), stdout=out)
    try:
        wait_until(lambda: said.stat().st_size, "the reader to read")
        if how == "stuck":
            os.kill(process.pid, signal.SIGSTOP)
        yield
        os.kill(process.pid, signal.SIGCONT)
    finally:
        end(process)


def _flood(bench: Bench, unit: Unit) -> Figures:
    with unit:
        return _flooded(bench, unit)


def _flooded(bench: Bench, unit: Unit) -> Figures:
    with Wire(bench.broker.port) as wire:
        wire.send(pack("PUBLISH", CHANNEL, "start"))
        wire.take()
        unit.page.wait(1, nap_s=0.01)
        return {"ms": unit.page.value(0) / 1e6}
