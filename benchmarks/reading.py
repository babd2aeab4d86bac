"""Rows 5: one read of the state in the process that works."""

from __future__ import annotations

from benchmarks.contestants import Contestant
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Row


def measure(bench: Bench) -> list[Row]:
    """Measure in the real worker and in the real parent; the loop's own time is taken off."""
    samples = bench.interleave(
        "reading",
        {
            # The listener's first stamp stands before what its parent measures.
            "S": lambda: _round(bench.seed("read"), {"value": 1}),
            "statusd": lambda: _round(bench.unit("reading"), {"state": 0, "word": 1}),
        },
    )
    theirs, ours = samples["S"]["value"], samples["statusd"]
    baseline = "S, Value('i').value"
    return [
        Row("one read of worker.state", "ns", ours["state"], theirs, baseline, Goal(0.5)),
        Row("one read of the raw state word", "ns", ours["word"], theirs, baseline, Goal(0.18)),
    ]


def _round(contestant: Contestant, values: dict[str, int]) -> Figures:
    with contestant:
        contestant.page.wait(max(values.values()) + 1, nap_s=0.05)
        return {name: contestant.page.value(n) / 1000 for name, n in values.items()}
