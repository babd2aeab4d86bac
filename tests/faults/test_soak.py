"""A unit that suffers a fault again and again uses no more at the end than at the beginning.

Some seconds in each ``make nightly``; for figures, ``make soak MINUTES=30``.

What is judged, and why:

- Objects of each kind that statusd or asyncio has made: connections, tasks, processes. One that a
  fault leaves behind is seen after some seconds; values that caches remember are no such objects.
- What lives in the daemon, counted inside it: allocations of Python after a collection. A leak is
  a line that rises by more than its noise, and by one allocation or more for each fault of a kind.
  Only in a soak that is one: in a short one, what is remembered fills up.
- Bytes that are in use of the C library's heap, and pages of memory that are the daemon's own
  (RssAnon). Both grow in steps: the table of a dictionary doubles, though as many entries stand in
  it as before, and a heap takes pages and gives few of them back. So they must come to a plateau.
- Not the proportional set size: it changes with every process that maps the same libraries, as a
  worker does that is killed and started.
"""

from __future__ import annotations

import json
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
LEAST = 8
"""So many faults strike at least: a broker that stands still may take most of a short one."""
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
MOST_MORE = 4
"""By so many the objects of a kind may be more at the end than after the first fault."""
NOT_COUNTED = (
    "statusd.core.events.EventHead",
    "asyncio.events.Handle",
    "asyncio.events.TimerHandle",
)
"""What caches of texts remember, and what the loop keeps of timers that were cancelled."""
INSIDE = """\
import collections, ctypes, gc, json, os, sys, threading, time

class Heap(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

def tell():
    time.sleep(1)  # its arguments aren't known yet
    if sys.argv[1:2] != ["run"]:
        return
    ask = getattr(ctypes.CDLL(None), "mallinfo2", Heap)  # of glibc since 2.33
    ask.restype = Heap
    file = os.environ["LIVING"]
    while True:
        gc.collect()
        heap = ask()
        blocks, kib = sys.getallocatedblocks(), (heap.uordblks + heap.hblkhd) // 1024
        kinds = collections.Counter(map(type, gc.get_objects()))
        named = {f"{kind.__module__}.{kind.__name__}": n for kind, n in kinds.items()}
        whose = ("statusd.", "asyncio.", "_asyncio.")
        ours = {kind: n for kind, n in named.items() if kind.startswith(whose)}
        with open(file + ".new", "w") as new:
            json.dump([blocks, kib, ours], new)
        os.replace(file + ".new", file)
        del kinds, named, ours
        time.sleep(2)

gc.freeze = lambda: None  # what is frozen isn't told, and what comes in its place is
threading.Thread(target=tell, daemon=True).start()
"""
"""A ``sitecustomize`` by which the daemon tells what lives in it: allocations, KiB of C, kinds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon uses, seen from outside and from inside.

    Args:
        usage: as the system counts it.
        blocks: allocations of Python that live.
        heap_kib: what is in use of the C library's heap; 0 where it doesn't tell.
        objects: how many objects of each kind of statusd's and asyncio's.
    """

    usage: Usage
    blocks: int
    heap_kib: int
    objects: dict[str, int]

    @classmethod
    def of(cls, one: Program) -> Sample:
        """Look at a daemon."""
        blocks, heap_kib, objects = json.loads((one.directory / "living").read_text("ascii"))
        counted = {kind: n for kind, n in objects.items() if kind not in NOT_COUNTED}
        return cls(Usage.of(one.pid), blocks, heap_kib, counted)

    @classmethod
    def new(cls, one: Program) -> Sample:
        """Wait until a daemon tells what lives in it now, and look at it."""
        living = one.directory / "living"
        living.unlink(missing_ok=True)
        wait_until(living.exists, 15, "the daemon to tell what lives in it now")
        return cls.of(one)

    def more(self, before: Sample) -> dict[str, int]:
        """Return by how many the objects of each kind are more than ``before``, if they are."""
        grown = {kind: n - before.objects.get(kind, 0) for kind, n in self.objects.items()}
        return {kind: n for kind, n in grown.items() if n > 0}


@pytest.mark.nightly  # `test_connections_leave_nothing_behind` shows some of it
@pytest.mark.fault("R04")
def test_nothing_grows(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Descriptors and objects are what they were; in a long one, memory comes to a plateau."""
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
        while time.monotonic() - began < minutes * 60 or len(samples) < LEAST:
            due = time.monotonic() + every_s
            nemesis.strike()
            nemesis.rest()
            samples.append(Sample.of(one.program) if samples else Sample.new(one.program))
            wait_for(due)
        live.stop(30)
        durable.stop(30)
        leaves_nothing(one.program, samples)
    report(seed, samples, nemesis.done, is_long=is_long)


def leaves_nothing(one: Program, samples: list[Sample]) -> None:
    """Wait until descriptors and objects of ``one`` are what they were: some go a little later.

    Raises:
        AssertionError: they stay.
    """
    most = max(sample.usage.descriptors for sample in samples[: len(samples) // 2])

    def left() -> dict[str, int]:
        now = Sample.of(one)
        kinds = {kind: n for kind, n in now.more(samples[0]).items() if n > MOST_MORE}
        more = now.usage.descriptors - most
        return {**kinds, **({"descriptors": more} if more > 0 else {})}

    wait_until(lambda: not left(), 15, f"{left()} to be gone again")


def observed(toml: dict[str, Any], folder: Path) -> Program:
    """Start a unit that tells what lives in it."""
    program = Program(toml, directory=folder, env=observing(folder))
    wait_until((folder / "living").exists, 15, "the daemon to tell what lives in it")
    return program


def observing(folder: Path) -> dict[str, str]:
    """Return the environment of a daemon in ``folder`` that tells what lives in it."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(INSIDE, encoding="utf-8")
    paths = os.pathsep.join([str(folder), environment(folder)["PYTHONPATH"]])
    return {"PYTHONPATH": paths, "LIVING": str(folder / "living")}


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
    print(f"objects that are more, by kind: {samples[-1].more(samples[0])}")
    if is_long:  # else nothing was filled before
        before, after = halves(descriptors)
        assert after <= before
        per_minute = sum(faults.values()) / (lasted_s / 60)
        assert not (living.is_growth and living.per_x >= per_minute), "each fault leaves something"
        assert heap[1] - heap[0] <= PLATEAU_KIB
        assert own[1] - own[0] <= PLATEAU_KIB


def halves(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the first half and of the second."""
    half = len(numbers) // 2
    return statistics.median(numbers[:half]), statistics.median(numbers[half:])
