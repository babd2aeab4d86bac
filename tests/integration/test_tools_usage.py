"""Tests of `tests.tools.usage`: what is counted, and what is called growth."""

from __future__ import annotations

import mmap
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from tests.tools import Stopwatch, Usage, killing, slope, wait_until
from tests.tools.usage import queued_s

pytestmark = pytest.mark.nightly  # it tests what tests are made with


def test_what_we_use_is_counted() -> None:
    """Three more descriptors, one more thread, more memory and time than before."""
    before = Usage.of(os.getpid())
    descriptors = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    # New pages, whatever the allocator has in store.
    memory = mmap.mmap(-1, 10_240_000, flags=mmap.MAP_PRIVATE)
    memory.write(bytes(len(memory)))

    after = Usage.of(os.getpid())

    release.set()
    thread.join()
    for descriptor in descriptors:
        os.close(descriptor)
    assert after.descriptors - before.descriptors == 3
    assert after.threads - before.threads == 1
    assert after.pss_kib - before.pss_kib > 9000
    assert after.anonymous_kib - before.anonymous_kib > 9000
    assert after.cpu_s > before.cpu_s
    assert after.at > before.at
    memory.close()


WORK = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
print(flush=True)
input()
time.sleep(0.2)
while time.process_time() < 0.5 or sys.argv[2:]: pass
input()
"""


@pytest.mark.skipif(queued_s(1) == 0 == queued_s(os.getpid()), reason="it isn't counted here")
def test_a_stopwatch_counts_sleep_and_work_and_not_the_queue() -> None:
    """Four share one processor: it takes several times as long, and is as long as it would be."""
    one = str(min(os.sched_getaffinity(0)))
    with ExitStack() as stack:
        children = []
        for more in ([], ["for ever"], ["for ever"], ["for ever"]):
            words = [sys.executable, "-c", WORK, one, *more]
            child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            children.append(stack.enter_context(child))
            stack.enter_context(killing(child))
            assert child.stdout is not None
            child.stdout.readline()
        first = children[0]
        watch, began = Stopwatch(first.pid), time.monotonic()
        for child in reversed(children):
            assert child.stdin is not None
            child.stdin.write(b"\n")
            child.stdin.flush()

        wait_until(lambda: Usage.of(first.pid).cpu_s >= 0.5, 30, "its work to be done")
        shown, took = watch.read(), time.monotonic() - began

    assert 0.6 < shown < took - 0.5


def test_a_slope_is_told_from_noise() -> None:
    """A rise of two in noise of one is seen after a hundred points; none is seen where none is."""
    chance = random.Random(7)
    noise = [(float(x), chance.gauss(1000, 1)) for x in range(100)]

    rising = slope([(x, y + 2 * x) for x, y in noise])

    assert abs(rising.per_x - 2) < 0.05
    assert rising.is_growth
    assert not slope(noise).is_growth
    assert abs(slope(noise).per_x) < 3 * slope(noise).noise
