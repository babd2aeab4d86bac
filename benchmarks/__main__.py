"""``python -m benchmarks``: measure, and print a table in Markdown."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import (
    attach,
    fleet,
    idle,
    isolation,
    latency,
    life,
    many,
    memory,
    output,
    plot,
    reading,
    resources,
    scale,
    shell,
    thousand,
    throughput,
    verdicts,
    web,
)
from benchmarks.broker import Broker
from benchmarks.machine import Others, header
from benchmarks.processes import Guard
from benchmarks.results import Results
from benchmarks.rounds import Bench, say
from benchmarks.table import Row, markdown, summary

TOPICS: Mapping[str, Callable[[Bench], list[Row]]] = {
    "latency": latency.measure,
    "verdicts": verdicts.measure,
    "throughput": throughput.measure,
    "reading": reading.measure,
    "resources": resources.measure,
    "life": life.measure,
    "memory": memory.measure,
    "shell": shell.measure,
    "idle": idle.measure,
    "scale": scale.measure,
    "output": output.measure,
    "fleet": fleet.measure,
    "many": many.measure,
    "thousand": thousand.measure,
    "isolation": isolation.measure,
    "attach": attach.measure,
    "web": web.measure,
}


def main() -> int:
    """Measure what was asked for; nothing that was started outlives us."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        results = _measure(arguments)
    except KeyboardInterrupt:
        return 130
    print("\n".join(f"- {name}: {text}" for name, text in results.header.items()))
    print(f"\n{markdown(results.rows)}\n\n{summary(results.rows)}")
    if arguments.json:
        results.write(arguments.json)
    if arguments.plot:
        arguments.plot.write_text(plot.svg(results.distributions), encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=TOPICS, help="may be given repeatedly")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 7, or 2 with --quick")
    parser.add_argument("--quick", action="store_true", help="a smoke run: nothing to be quoted")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every round's figures as well")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="all latencies, as curves")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 2 if arguments.quick else 7
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def _measure(arguments: argparse.Namespace) -> Results:
    started, others = time.monotonic(), Others()
    with (
        tempfile.TemporaryDirectory(prefix="statusd-bench-") as folder,
        Guard() as guard,
        Broker(guard, Path(folder)) as broker,
    ):
        bench = Bench(guard, broker, arguments.rounds, arguments.quick)
        head = header(broker)
        rows = [row for topic in arguments.only or TOPICS for row in TOPICS[topic](bench)]
    say("")
    head["topics"] = ", ".join(arguments.only or TOPICS)
    head["other processes"] = str(others)
    quick = ", --quick: not to be quoted" if arguments.quick else ""
    head["rounds"] = f"{arguments.rounds}, interleaved, {time.monotonic() - started:.0f} s{quick}"
    return Results(head, rows, bench.distributions)


if __name__ == "__main__":
    sys.exit(main())
