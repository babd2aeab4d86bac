"""A unit that suffers a fault again and again uses no more at the end than at the beginning.

Some seconds in every run of the suite; for figures, ``make soak MINUTES=30``.

What is judged, and why:

- What lives in the daemon, counted inside it: allocations of Python after a collection. A leak is
  a line that rises by more than its noise, and by one allocation or more for each fault of a kind.
- Bytes that are in use of the C library's heap, and pages of memory that are the daemon's own
  (RssAnon). Both grow in steps: the table of a dictionary doubles, though as many entries stand in
  it as before, and a heap takes pages and gives few of them back. So they must come to a plateau.
- Not the proportional set size: it changes with every process that maps the same libraries, as a
  worker does that is killed and started.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from statusd.core.answers import REMEMBERED_IDS
from tests.conftest import BROKERS
from tests.faults.nemesis import DURABLE_FROM, Nemesis, Victim, victim, words
from tests.faults.outages import wait_for
from tests.faults.test_nemesis import again
from tests.tools import Broker, Program, Publisher, environment, wait_until
from tests.tools.usage import Usage, slope

pytestmark = pytest.mark.timeout(36_000)  # of hours; each wait in it has its own limit

LONG = 10.0
"""So many minutes make a soak; less is a look whether it runs."""
EVERY_S = 10.0
"""How often a fault strikes in a soak that is one."""
WARM, WARM_S = 0.2, 360.0
"""So great a share of a soak, and so many seconds at least of one that is long, is not judged: what
is remembered fills up (the caches of texts have 256 entries, and durable commands renew them)."""
PLATEAU_KIB = 1024
"""By so much the second half of what is judged may lie above the first: Python takes memory from
the system by the mebibyte."""
DURABLE_FIRST = 1000
"""So many durable commands fill the caches of texts, of which none has more than 256 entries."""
INSIDE = """\
import ctypes, gc, os, sys, threading, time

class Heap(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

def tell():
    time.sleep(1)  # its arguments aren't known yet
    if sys.argv[1:2] != ["run"]:
        return
    ask = getattr(ctypes.CDLL(None), "mallinfo2", Heap)  # of glibc since 2.33
    ask.restype = Heap
    file = os.open(os.environ["LIVING"], os.O_WRONLY)
    while True:
        gc.collect()
        heap = ask()
        numbers = sys.getallocatedblocks(), (heap.uordblks + heap.hblkhd) // 1024
        os.pwrite(file, b"%16d%16d" % numbers, 0)
        time.sleep(2)

threading.Thread(target=tell, daemon=True).start()
"""
"""A ``sitecustomize`` by which the daemon tells what lives in it: allocations, and KiB of C."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon uses, seen from outside and from inside.

    Args:
        usage: as the system counts it.
        blocks: allocations of Python that live.
        heap_kib: what is in use of the C library's heap; 0 where it doesn't tell.
    """

    usage: Usage
    blocks: int
    heap_kib: int

    @classmethod
    def of(cls, one: Victim) -> Sample:
        """Look at the daemon of ``one``."""
        blocks, heap_kib = map(int, (one.directory / "living").read_text("ascii").split())
        return cls(Usage.of(one.program.pid), blocks, heap_kib)


@pytest.mark.fault("R04")
def test_nothing_grows(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Descriptors are what they were, nothing is kept, and memory comes to a plateau."""
    minutes = float(request.config.getoption("minutes"))
    is_long = minutes >= LONG
    every_s = EVERY_S if is_long else 1.0
    seed = random.randrange(2**32)
    samples: list[Sample] = []
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(BROKERS["valkey"], conf=DURABLE_FROM))
        one = victim("a", broker, tmp_path, observed)
        stack.callback(one.close)
        nemesis = Nemesis(random.Random(seed), broker, [one], again, spare_daemon=True)
        nemesis.rest()
        if is_long:
            fill(one, broker, words(random.Random(seed + 3)))
        live = Publisher(broker.client(), "mychannel", "l")
        durable = Publisher(broker.client(), "statusd:commands", "d", durable=True)
        live.start(words(random.Random(seed + 1)), rate_hz=10)
        durable.start(words(random.Random(seed + 2)), rate_hz=1)
        began = time.monotonic()
        while time.monotonic() - began < minutes * 60:
            due = time.monotonic() + every_s
            nemesis.strike()
            nemesis.rest()
            samples.append(Sample.of(one))
            wait_for(due)
        live.stop(30)
        durable.stop(30)
    report(seed, samples, nemesis.done, is_long=is_long)


def observed(toml: dict[str, Any], folder: Path) -> Program:
    """Start a unit that tells what lives in it."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(INSIDE, encoding="utf-8")
    living = folder / "living"
    living.touch()
    paths = os.pathsep.join([str(folder), environment(folder)["PYTHONPATH"]])
    program = Program(toml, directory=folder, env={"PYTHONPATH": paths, "LIVING": str(living)})
    wait_until(lambda: living.stat().st_size, 15, "the daemon to tell what lives in it")
    return program


def fill(one: Victim, broker: Broker, some: Iterator[str]) -> None:
    """Have the unit do once what fills its memory: a book that fills is no leak.

    With the words of the soak: a short answer that makes room for a longer one is none either.
    Twice as many ids as it remembers, for the table of a book that forgets grows once more; and
    durable ones, of which each has a source of its own, for the caches of texts.
    """
    durable = Publisher(broker.client(), "statusd:commands", "e", durable=True)
    live = Publisher(broker.client(), "mychannel", "f")
    for filler, count in ((durable, DURABLE_FIRST), (live, 2 * REMEMBERED_IDS)):
        last = filler.send_all(islice(some, count), batch=100)[-1].id
        answered = partial(one.program.logged, "command.answered", id=last)
        wait_until(answered, 120, f"the answer to {last}")


def report(seed: int, samples: list[Sample], faults: dict[str, int], *, is_long: bool) -> None:
    """Print the figures, and hold them to what is promised; memory in a soak that is one."""
    lasted_s = samples[-1].usage.at - samples[0].usage.at
    warm_at = samples[0].usage.at + max(WARM * lasted_s, WARM_S if is_long else 0.0)
    judged = [sample for sample in samples if sample.usage.at >= warm_at]
    usages = [sample.usage for sample in judged]
    descriptors = [usage.descriptors for usage in usages]
    spent_s = samples[-1].usage.cpu_s - samples[0].usage.cpu_s
    living = slope([(sample.usage.at / 60, sample.blocks) for sample in judged])
    heap = halves([sample.heap_kib for sample in judged])
    own = halves([usage.anonymous_kib for usage in usages])
    print(
        f"\nsoak with seed {seed}: {lasted_s / 60:.1f} min, faults {dict(sorted(faults.items()))}"
    )
    print(f"descriptors: median {statistics.median(descriptors):g}, {descriptors[-1]} at the end")
    print(f"threads: {usages[0].threads} -> {usages[-1].threads}; CPU {spent_s / lasted_s:.2%}")
    print(
        f"living: {judged[0].blocks} -> {judged[-1].blocks} allocations, "
        f"{living.per_x:+.2f} a minute (noise {living.noise:.2f})"
    )
    print(f"heap of C in use: {heap[0]:.0f} -> {heap[1]:.0f} KiB, half by half")
    print(f"memory of its own: {own[0]:.0f} -> {own[1]:.0f} KiB, half by half")
    print(f"proportional set size: {usages[0].pss_kib} -> {usages[-1].pss_kib} KiB, not judged")
    before, after = halves(descriptors)
    assert after <= before
    if is_long:  # else nothing was filled before
        per_minute = sum(faults.values()) / (lasted_s / 60)
        assert not (living.is_growth and living.per_x >= per_minute), "each fault leaves something"
        assert heap[1] - heap[0] <= PLATEAU_KIB
        assert own[1] - own[0] <= PLATEAU_KIB


def halves(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the first half and of the second."""
    half = len(numbers) // 2
    return statistics.median(numbers[:half]), statistics.median(numbers[half:])
