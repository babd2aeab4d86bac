"""Rows 3 and 4: what a message costs the process that listens, in CPU time."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from benchmarks.broker import Wire, pack
from benchmarks.contestants import CHANNEL, Contestant
from benchmarks.latency import NAMES, TRIGGERS
from benchmarks.processes import cpu_s
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Row
from benchmarks.verdicts import REPLIES, wait_done

WORDS = 100_000
TRANSITIONS = 10_000
SINGLE = 2_000
BLOCK = 1000
"""So many words are sent ahead of their replies when none changes anything."""
BURST = 50
"""So many when each is a transition: the next burst waits for the last event of this one."""


def measure(bench: Bench) -> list[Row]:
    """Measure words that change nothing, then transitions in bursts, then one by one."""
    return [*_words(bench), *_transitions(bench)]


# ---- words that change nothing ---------------------------------------------------------------


def _words(bench: Bench) -> list[Row]:
    samples = bench.interleave(
        "words", {"S": lambda: _seed_words(bench), "statusd": lambda: unit_words(bench)}
    )
    metric = "CPU of the listening process per 100,000 words that change nothing"
    ours, theirs = samples["statusd"]["cpu"], samples["S"]["cpu"]
    return [Row(metric, "s", ours, theirs, "S, parent polls every 0.1 s", Goal(0.1))]


def _seed_words(bench: Bench) -> Figures:
    with bench.seed("poll") as seed, Wire(bench.broker.port) as wire:

        def change_to(name: str) -> None:
            before = seed.page.count
            wire.call("PUBLISH", CHANNEL, name)
            seed.page.wait(before + 1)

        change_to(NAMES[1])  # its parent looks seldom: it must not see the flood's word as news
        processed = partial(change_to, NAMES[0])
        return _flood(bench, seed, seed.helper.pid, wire, NAMES[1], processed)


def unit_words(bench: Bench) -> Figures:
    """Flood a unit with a word that changes nothing, and return what that cost its daemon."""
    port = bench.broker.port
    with bench.unit("bare") as unit, Wire(port) as wire, Wire(port, REPLIES) as subscriber:

        def processed() -> None:
            ping = {"command": "ping", "id": "after", "reply_to": REPLIES}
            wire.call("PUBLISH", CHANNEL, json.dumps(ping))
            wait_done(subscriber, "after")

        return _flood(bench, unit, unit.pid, wire, TRIGGERS[1], processed)


def _flood(
    bench: Bench,
    contestant: Contestant,
    pid: int,
    wire: Wire,
    word: str,
    processed: Callable[[], None],
) -> Figures:
    total = bench.size(WORDS)
    block = pack("PUBLISH", CHANNEL, word) * BLOCK
    before_s = cpu_s(pid)
    for _ in range(total // BLOCK):
        wire.send(block)
        for _ in range(BLOCK):
            if wire.take() != 1:
                raise ConnectionError(f"{type(contestant).__name__} doesn't listen any more")
    processed()
    return {"cpu": (cpu_s(pid) - before_s) * WORDS / total}


# ---- transitions -----------------------------------------------------------------------------


def _transitions(bench: Bench) -> list[Row]:
    rows = []
    for burst, total, how, goal in (
        (BURST, TRANSITIONS, f"in bursts of {BURST}", Goal(1.5)),
        (1, SINGLE, "one at a time", Goal(2.5)),
    ):
        sizes = (burst, bench.size(total))
        samples = bench.interleave(
            f"transitions {how}",
            {
                "machine": partial(_machine, bench, *sizes),
                "statusd": partial(unit_transitions, bench, *sizes),
                "quiet log": partial(unit_transitions, bench, *sizes, level="warning"),
            },
        )
        theirs = samples["machine"]["cpu"]
        baseline = "redis-py + transitions, tells nobody"
        metric = f"CPU of the daemon per 100,000 transitions, {how} ({sizes[1]:,} run)"
        ours, quiet = samples["statusd"]["cpu"], samples["quiet log"]["cpu"]
        rows.append(Row(metric, "s", ours, theirs, baseline, goal))
        rows.append(Row(f"the same with log.level = warning, {how}", "s", quiet, theirs, baseline))
    return rows


def _machine(bench: Bench, burst: int, total: int) -> Figures:
    with bench.seed("machine") as machine, Wire(bench.broker.port) as wire:
        first = machine.page.count

        def processed(number: int) -> None:
            machine.page.wait(first + number, nap_s=0.0001)

        return _alternate(machine.pid, wire, burst, total, processed)


def unit_transitions(bench: Bench, burst: int, total: int, *, level: str = "info") -> Figures:
    """Lead a unit through ``total`` transitions, and return what they cost its daemon."""
    port = bench.broker.port
    with (
        bench.unit("bare", level=level) as unit,
        Wire(port) as wire,
        Wire(port, "statusd:events") as subscriber,
    ):
        heard = 0

        def processed(number: int) -> None:
            nonlocal heard
            while heard < number:
                subscriber.take()
                heard += 1

        return _alternate(unit.pid, wire, burst, total, processed)


def _alternate(
    pid: int, wire: Wire, burst: int, total: int, processed: Callable[[int], None]
) -> Figures:
    """Send pause, resume, pause ... and wait after each burst until all of it was processed."""
    messages = [pack("PUBLISH", CHANNEL, word) for word in TRIGGERS]
    before_s = cpu_s(pid)
    for start in range(0, total, burst):
        numbers = range(start, start + burst)
        wire.send(b"".join(messages[number & 1] for number in numbers))
        for _ in numbers:
            wire.take()
        processed(start + burst)
    return {"cpu": (cpu_s(pid) - before_s) * WORDS / total}
