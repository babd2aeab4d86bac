"""Rows 6 and 8: from the start to work, and from SIGTERM to nothing left."""

from __future__ import annotations

import json
import signal
import subprocess
import time

from benchmarks.processes import Watch, family
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Of, Row

GONE_S = 5.0
"""What is still there so long after SIGTERM has been left behind."""


def measure(bench: Bench) -> list[Row]:
    """Measure starts, then ends."""
    starts = bench.interleave(
        "start", {"S": lambda: _seed_start(bench), "statusd": lambda: unit_start(bench)}
    )
    ends = bench.interleave(
        "end", {"S": lambda: _seed_end(bench), "statusd": lambda: unit_end(bench)}
    )
    left = sum(ends["S"]["left"])
    return [
        Row(
            "start -> READY, worker up, listening",
            "ms",
            starts["statusd"]["ms"],
            starts["S"]["ms"],
            "S: start -> subscribed",
            Goal(1.5),
        ),
        Row(
            "SIGTERM -> daemon, guard and worker gone",
            "ms",
            ends["statusd"]["ms"],
            ends["S"]["ms"],
            f"S: parent gone; its listener stayed {left:.0f} of {bench.rounds} times",
            Goal(10.0, Of.VALUE),
        ),
    ]


def unit_start(bench: Bench) -> Figures:
    """Start a unit, and return how long it took to be up."""
    unit = bench.unit("bare", goal="READY")
    try:
        started = time.monotonic_ns()
        up = _when_up(unit.start(stderr=subprocess.PIPE))
        return {"ms": (up - started) / 1e6}
    finally:
        unit.close()


def _when_up(process: subprocess.Popen[bytes]) -> int:
    """Return when the log said both: the state is READY, and the link hears."""
    assert process.stderr is not None
    missing = [{"event": "state.changed", "new": "READY"}, {"event": "link.up", "link": "hears"}]
    while missing:
        text = process.stderr.readline()
        now = time.monotonic_ns()
        if not text:
            raise ChildProcessError("the daemon ended before it was up")
        line = json.loads(text)
        missing = [fields for fields in missing if not fields.items() <= line.items()]
    return now


def _seed_start(bench: Bench) -> Figures:
    seed = bench.seed("poll")
    try:
        started = time.monotonic_ns()
        seed.start()
        seed.wait()
        return {"ms": (seed.page.value(0) - started) / 1e6}
    finally:
        seed.close()


def unit_end(bench: Bench) -> Figures:
    """End a unit by SIGTERM, and return how long it took to be gone."""
    with bench.unit("bare") as unit:
        watches = [Watch(pid) for pid in family(unit.pid)]
        sent = _terminate(watches[0])
        gone = [watch.wait(GONE_S) for watch in reversed(watches)]
        taken_ms = (time.monotonic_ns() - sent) / 1e6
        for watch in watches:
            watch.close()
    if not all(gone):
        raise TimeoutError(f"not gone {GONE_S:g} s after SIGTERM")
    return {"ms": taken_ms}


def _seed_end(bench: Bench) -> Figures:
    with bench.seed("poll") as seed:
        parent, listener = Watch(seed.pid), seed.helper
        sent = _terminate(parent)
        parent.wait(GONE_S)
        taken_ms = (time.monotonic_ns() - sent) / 1e6
        parent.close()
        return {"ms": taken_ms, "left": float(not listener.wait(0.2))}


def _terminate(watch: Watch) -> int:
    sent = time.monotonic_ns()
    signal.pidfd_send_signal(watch.fd, signal.SIGTERM)
    return sent
