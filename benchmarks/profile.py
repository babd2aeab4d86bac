"""``python -m benchmarks.profile``: where the daemon's time goes, by py-spy, while it is commanded.

Needs py-spy (``pip install py-spy``), which samples the stack of a running process from outside; on
most systems only root may. Shares are of what the daemon's main thread spends; a function's
share with what it calls has theirs in it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.broker import Broker, Wire, pack
from benchmarks.contestants import CHANNEL, Unit
from benchmarks.latency import TRIGGERS
from benchmarks.processes import Guard
from benchmarks.table import aligned
from benchmarks.throughput import BURST
from benchmarks.verdicts import REPLIES, wait_done

RATE_HZ = 500
MAIN = "statusd/__main__.py"
"""Stands in each stack of the main thread; py-spy takes others that wait for work at their word."""
MOST = 25
"""So many functions are listed."""


def shares(stacks: Iterable[str]) -> list[tuple[str, float, float]]:
    """Return function, its share alone, and its share with all that it calls.

    Args:
        stacks: lines as py-spy writes them raw: frames from the outermost on, and a count.
    """
    alone: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        names = [frame.rpartition(":")[0] + ")" for frame in frames.split(";")]
        alone[names[-1]] += int(count)
        whole.update(dict.fromkeys(names, int(count)))
    total = alone.total() or 1
    return [(name, alone[name] / total, n / total) for name, n in whole.most_common()]


def main() -> int:
    """Command a unit for a while, look at its daemon, and print the shares."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--seconds", type=int, default=15, metavar="N")
    parser.add_argument("--burst", type=int, default=1, metavar="N", help=f"e.g. {BURST}")
    parser.add_argument("--all", action="store_true", help="asyncio and the standard library too")
    arguments = parser.parse_args()
    py_spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if py_spy is None:
        parser.error(f"no py-spy: {sys.executable} -m pip install py-spy")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        commands, stacks = _sampled(py_spy, arguments.seconds, arguments.burst)
    except KeyboardInterrupt:
        return 130
    mine = [row for row in shares(stacks) if row[2] < 1 and (arguments.all or "statusd/" in row[0])]
    rows = mine[:MOST]
    lines: list[tuple[str, ...]] = [("function", "alone", "with what it calls")]
    lines += [(name, f"{alone:.1%}", f"{whole:.1%}") for name, alone, whole in rows]
    print(f"{commands:,} commands, each with verdict, event, history\n\n{aligned(lines)}")
    return 0


def _sampled(py_spy: str, seconds: int, burst: int) -> tuple[int, list[str]]:
    with (
        tempfile.TemporaryDirectory(prefix="statusd-profile-") as home,
        Guard() as guard,
        Broker(guard, Path(home)) as broker,
        Unit(guard, broker, "bare") as unit,
    ):
        file = Path(home) / "stacks"
        what = ("--pid", str(unit.pid), "--duration", str(seconds), "--rate", str(RATE_HZ))
        looking = guard.start([py_spy, "record", *what, "--format", "raw", "--output", str(file)])
        commands = 0
        with Wire(broker.port) as wire, Wire(broker.port, REPLIES) as subscriber:
            while looking.poll() is None:
                _send(wire, subscriber, commands, burst)
                commands += burst
        if looking.returncode:
            raise ChildProcessError(f"py-spy: exit code {looking.returncode}")
        lines = file.read_text("utf-8").splitlines()
    return commands, [line for line in lines if MAIN in line]


def _send(wire: Wire, subscriber: Wire, number: int, burst: int) -> None:
    """Send pause, resume ... as commands with ids, and wait for the last one's verdict."""
    ids = [f"{time.monotonic_ns()}-{number + n}" for n in range(burst)]
    messages = [
        json.dumps({"command": TRIGGERS[(number + n) & 1], "id": one, "reply_to": REPLIES})
        for n, one in enumerate(ids)
    ]
    wire.send(b"".join(pack("PUBLISH", CHANNEL, message) for message in messages))
    for _ in ids:
        wire.take()
    wait_done(subscriber, ids[-1])


if __name__ == "__main__":
    sys.exit(main())
