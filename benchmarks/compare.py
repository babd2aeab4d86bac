"""``python -m benchmarks.compare BASE``: what the working tree changes, beside a revision.

Both are unpacked into temporary folders and installed into environments of their own, with the
pins that each brings. The benchmarks' own code is that of the working tree for both: the same
messages, the same workers. They take turns: A B B A, then B A A B, and so on, each turn with new
processes, so that whatever drifts or alternates hits both.

A block of four turns gives one ratio: the geometric mean of B's two turns over A's. The interval is
a studentised bootstrap of the blocks' mean; it holds with 95 % for all rows *together*, so that a
run in which nothing differs says "no difference" in every row, 19 times of 20.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from benchmarks import latency, life, memory, shell, throughput, verdicts
from benchmarks.broker import Broker
from benchmarks.machine import Others, header
from benchmarks.processes import ROOT, Guard
from benchmarks.rounds import Bench, Figures, say
from benchmarks.table import aligned, sample

LEVEL = 0.95
RESAMPLES = 10_000
BLOCKS = 10
BURST = (throughput.BURST, 5000)
TURNS = "ABBA", "BAAB"

Measure = Callable[[Bench], Figures]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row.

    Args:
        text: what is measured; lower is better.
        unit: of the figure.
        key: of the figure in what ``measure`` returns.
    """

    text: str
    unit: str
    measure: Measure
    key: str


METRICS = {
    "spinning": Metric(
        "PUBLISH -> worker spinning on worker.state, p50",
        "us",
        lambda bench: latency.round_of(bench, bench.unit("spinning"), latency.TRIGGERS),
        "p50",
    ),
    "blocked": Metric(
        "PUBLISH -> worker blocked in wait(), p50",
        "us",
        lambda bench: latency.round_of(bench, bench.unit("blocked"), latency.TRIGGERS),
        "p50",
    ),
    "verdict": Metric("command -> final verdict, p50", "us", verdicts.round_of, "p50"),
    "words": Metric("CPU per 100,000 words", "s", throughput.unit_words, "cpu"),
    "transitions": Metric(
        "CPU per 100,000 transitions",
        "s",
        lambda bench: throughput.unit_transitions(bench, *BURST),
        "cpu",
    ),
    "start": Metric("start -> READY", "ms", life.unit_start, "ms"),
    "memory": Metric("PSS of the tree", "MiB", memory.unit_memory, "tree"),
    "end": Metric("SIGTERM -> gone", "ms", life.unit_end, "ms"),
    "send": Metric("statusd send WORD", "ms", shell.send, "ms"),
    "wait": Metric("statusd send WORD --wait", "ms", shell.send_and_wait, "ms"),
    "status": Metric("statusd status of 1,000 units", "ms", shell.status, "ms"),
    "import": Metric("python -c 'import statusd; statusd.Fleet'", "ms", shell.load_fleet, "ms"),
}


# ---- what a run says ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio with the interval that it lies in."""

    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What may be said of it."""
        if self.low <= 1 <= self.high:
            return "no difference"
        return f"{abs(1 - self.ratio):.1%} {'less' if self.ratio < 1 else 'MORE'}"


def interval(
    ratios: Sequence[float], level: float, chance: random.Random, resamples: int = RESAMPLES
) -> Interval:
    """Return the geometric mean of ``ratios``, and where it lies with that certainty.

    Studentised: each resample is measured by its own spread, which holds for few blocks as well.
    """
    logs = [math.log(ratio) for ratio in ratios]
    mean, error = _mean_and_error(logs)
    scores = []
    for _ in range(resamples):
        other, its_error = _mean_and_error(chance.choices(logs, k=len(logs)))
        if its_error:  # a resample of one and the same block says nothing of the spread
            scores.append((other - mean) / its_error)
    scores.sort()
    tail = int(len(scores) * (1 - level) / 2)
    low, high = (scores[tail], scores[-1 - tail]) if scores else (0.0, 0.0)
    return Interval(math.exp(mean), math.exp(mean - high * error), math.exp(mean - low * error))


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    return fmean(values), stdev(values) / math.sqrt(len(values))


def ratios_of(turns: Sequence[tuple[str, float]]) -> list[float]:
    """Return one ratio, B to A, for each four ``turns``."""
    ratios = []
    for at in range(0, len(turns), 4):
        logs: dict[str, list[float]] = {"A": [], "B": []}
        for side, value in turns[at : at + 4]:
            logs[side].append(math.log(value))
        ratios.append(math.exp(fmean(logs["B"]) - fmean(logs["A"])))
    return ratios


def table(found: Mapping[str, Sequence[tuple[str, float]]], chance: random.Random) -> str:
    """Return a line for each metric; the certainty is shared among them (Bonferroni)."""
    level = 1 - (1 - LEVEL) / len(found)
    lines: list[tuple[str, ...]] = [
        ("metric", "unit", "A median (min-max)", "B median (min-max)", "B / A", "95 %", "verdict")
    ]
    for name, turns in found.items():
        metric, seen = METRICS[name], interval(ratios_of(turns), level, chance)
        sides = [sample([value for side, value in turns if side == which]) for which in "AB"]
        between = f"{seen.low:.3f} to {seen.high:.3f}"
        lines.append((metric.text, metric.unit, *sides, f"{seen.ratio:.3f}", between, seen.verdict))
    return aligned(lines)


# ---- the two sides -----------------------------------------------------------------------------


def unpack(revision: str | None, folder: Path) -> Path:
    """Put a revision, or the working tree as it is, into ``folder``, and install it.

    Returns:
        The Python of its environment.
    """
    source = folder / "source"
    source.mkdir(parents=True)
    if revision is None:
        listing = _git("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ".")
        for name in filter(None, listing.decode().split("\0")):
            if (ROOT / name).is_file():  # it may be deleted and not yet committed
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, source / name)
    else:
        archive = _git("archive", "--format=tar", revision)
        subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
    home = folder / "environment"
    venv.create(home, with_pip=True)
    python = home / "bin/python"
    quiet = ("--quiet", "--disable-pip-version-check")
    pins = ("-c", str(source / "constraints.txt"))
    command = [str(python), "-m", "pip", "install", *quiet, *pins, str(source)]
    subprocess.run(command, check=True)
    return python


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


def main() -> int:
    """Install both, let them take turns, print."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        print(_compare(arguments))
    except KeyboardInterrupt:
        return 130
    return 0


def _compare(arguments: argparse.Namespace) -> str:
    revision = _git("rev-parse", "--short", f"{arguments.base}^{{commit}}").decode().strip()
    began, others = time.monotonic(), Others()
    with tempfile.TemporaryDirectory(prefix="statusd-compare-") as home:
        folder = Path(home)
        say(f"installing {revision}, then the working tree")
        pythons = {"A": unpack(revision, folder / "a"), "B": unpack(None, folder / "b")}
        with Guard() as guard, Broker(guard, folder) as broker:
            bench = Bench(guard, broker, arguments.rounds)
            benches = {side: replace(bench, python=str(p)) for side, p in pythons.items()}
            found = {
                name: _turns(name, benches, arguments.rounds) for name in arguments.only or METRICS
            }
            head = header(broker)
    say("")
    lines = [f"- {name}: {head[name]}" for name in ("date", "machine", "python", "broker")]
    lines.append(f"- other processes: {others}")
    lines.append(f"- A: {revision}; B: the working tree, {head['commit']}")
    lasted_s = time.monotonic() - began
    lines.append(f"- {arguments.rounds} blocks of four turns, A B B A, {lasted_s:.0f} s")
    return "\n".join(lines) + "\n\n" + table(found, random.Random(1))


def _turns(name: str, benches: Mapping[str, Bench], blocks: int) -> list[tuple[str, float]]:
    metric, turns = METRICS[name], []
    for side in "AB":  # each warms its caches up
        metric.measure(benches[side])
    for number in range(blocks):
        for side in TURNS[number % 2]:
            say(f"{name}: block {number + 1} of {blocks}: {side}")
            turns.append((side, metric.measure(benches[side])[metric.key]))
    return turns


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("base", metavar="BASE", help="any name of a commit")
    parser.add_argument("--only", action="append", choices=METRICS, help="may be given repeatedly")
    parser.add_argument("--rounds", type=int, default=BLOCKS, metavar="N", help="blocks of four")
    arguments = parser.parse_args()
    if arguments.rounds < 5:
        parser.error("--rounds must be at least 5: fewer blocks tell nothing of their spread")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
