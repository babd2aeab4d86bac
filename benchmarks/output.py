"""Rows 11: what it costs that a worker's output passes through the daemon."""

from __future__ import annotations

import sys
from functools import partial

from benchmarks.broker import Wire, pack
from benchmarks.contestants import CHANNEL, Unit
from benchmarks.latency import TRIGGERS, round_of
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


def _flood(bench: Bench, unit: Unit) -> Figures:
    with unit, Wire(bench.broker.port) as wire:
        wire.send(pack("PUBLISH", CHANNEL, "start"))
        wire.take()
        unit.page.wait(1, nap_s=0.01)
        return {"ms": unit.page.value(0) / 1e6}
