"""``python -m benchmarks.peers``: statusd beside its peers, in the same run."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.broker import Broker
from benchmarks.machine import Others, header
from benchmarks.peers.daemons import DAEMONS
from benchmarks.peers.environments import REQUIREMENTS, environment, pinned
from benchmarks.peers.measures import TOPICS
from benchmarks.peers.page import page, together
from benchmarks.processes import Guard
from benchmarks.rounds import Bench, say


def main() -> int:
    """Install what is missing, measure, and print; nothing that was started outlives us."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        found = _measure(arguments)
    except KeyboardInterrupt:
        return 130
    print(page(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return 0


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    peers = arguments.peer or list(DAEMONS)
    for name in peers:
        environment(REQUIREMENTS[name])
    started, others = time.monotonic(), Others()
    with (
        tempfile.TemporaryDirectory(prefix="statusd-bench-") as folder,
        Guard() as guard,
        Broker(guard, Path(folder)) as broker,
    ):
        bench = Bench(guard, broker, arguments.rounds, arguments.quick)
        head = header(broker)
        topics = [TOPICS[topic](bench, peers) for topic in arguments.only or TOPICS]
    say("")
    head["other processes"] = str(others)
    quick = ", --quick: not to be quoted" if arguments.quick else ""
    head["rounds"] = f"{arguments.rounds}, interleaved, {time.monotonic() - started:.0f} s{quick}"
    head["peers"] = ", ".join(f"{name} {pinned(REQUIREMENTS[name])}" for name in peers)
    head["topics"] = ", ".join(arguments.only or TOPICS)
    parts = [{"headers": [], "samples": topic} for topic in topics]
    return {**together(parts), "headers": [head]}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", action="append", choices=TOPICS, help="may be given repeatedly")
    parser.add_argument("--peer", action="append", choices=DAEMONS, help="likewise")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 5, or 2 with --quick")
    parser.add_argument("--quick", action="store_true", help="a smoke run: nothing to be quoted")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every round's figures as well")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 2 if arguments.quick else 5
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
