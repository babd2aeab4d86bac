"""A unit that suffers a fault again and again uses no more at the end than at the beginning.

Some seconds in every run of the suite; for figures, ``make soak MINUTES=30``.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest

from statusd.core.answers import REMEMBERED_IDS
from tests.conftest import BROKERS
from tests.faults.nemesis import DURABLE_FROM, Nemesis, Victim, victim, words
from tests.faults.outages import wait_for
from tests.faults.test_nemesis import again, new
from tests.tools import Broker, Publisher, wait_until
from tests.tools.usage import Usage, slope

pytestmark = pytest.mark.timeout(36_000)  # of hours; each wait in it has its own limit

EVERY_S = 10.0
"""How often a fault strikes in a soak that is one."""
WARM = 0.2
"""So great a share of the samples is not judged: caches fill at first."""


@pytest.mark.fault("R04")
def test_nothing_grows(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Descriptors and threads are what they were, and memory has no slope beyond its noise."""
    minutes = float(request.config.getoption("minutes"))
    every_s = EVERY_S if minutes >= 5 else 1.0
    seed = random.randrange(2**32)
    samples: list[Usage] = []
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(BROKERS["valkey"], conf=DURABLE_FROM))
        one = victim("a", broker, tmp_path, new)
        stack.callback(one.close)
        nemesis = Nemesis(random.Random(seed), broker, [one], again, spare_daemon=True)
        nemesis.rest()
        if minutes >= 5:
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
            samples.append(Usage.of(one.program.pid))
            wait_for(due)
        live.stop(30)
        durable.stop(30)
    report(seed, samples, nemesis.done)


def fill(one: Victim, broker: Broker, some: Iterator[str]) -> None:
    """Have the unit answer as many ids as it remembers: a book that fills is no leak.

    With the words of the soak: a short answer that makes room for a longer one is none either.
    """
    filler = Publisher(broker.client(), "mychannel", "f")
    last = filler.send_all(islice(some, REMEMBERED_IDS + 1), batch=100)[-1].id
    wait_until(lambda: one.program.logged("command.answered", id=last), 60, f"the answer to {last}")


def report(seed: int, samples: list[Usage], faults: dict[str, int]) -> None:
    """Print the figures, and hold them to what is promised."""
    judged = samples[int(len(samples) * WARM) :]
    line = slope([(sample.at / 60, sample.pss_kib) for sample in judged])
    descriptors = [sample.descriptors for sample in judged]
    spent_s = samples[-1].cpu_s - samples[0].cpu_s
    lasted_s = samples[-1].at - samples[0].at
    print(
        f"\nsoak with seed {seed}: {lasted_s / 60:.1f} min, faults {dict(sorted(faults.items()))}"
    )
    print(f"descriptors: median {statistics.median(descriptors):g}, {descriptors[-1]} at the end")
    print(f"threads: {judged[0].threads} -> {judged[-1].threads}; CPU {spent_s / lasted_s:.2%}")
    print(
        f"memory: {judged[0].pss_kib} -> {judged[-1].pss_kib} KiB, "
        f"{line.per_x:+.2f} KiB a minute (noise {line.noise:.2f})"
    )
    half = len(descriptors) // 2
    assert statistics.median(descriptors[half:]) <= statistics.median(descriptors[:half])
    if len(judged) >= 100:  # of a few points, chance makes a slope
        assert not line.is_growth
