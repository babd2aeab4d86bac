"""Tests of `tests.tools.usage`: what is counted, and what is called growth."""

from __future__ import annotations

import mmap
import os
import random
import threading

from tests.tools import Usage, slope


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


def test_a_slope_is_told_from_noise() -> None:
    """A rise of two in noise of one is seen after a hundred points; none is seen where none is."""
    chance = random.Random(7)
    noise = [(float(x), chance.gauss(1000, 1)) for x in range(100)]

    rising = slope([(x, y + 2 * x) for x, y in noise])

    assert abs(rising.per_x - 2) < 0.05
    assert rising.is_growth
    assert not slope(noise).is_growth
    assert abs(slope(noise).per_x) < 3 * slope(noise).noise
