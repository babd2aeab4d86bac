"""Whether a daemon grew: what a soak has sampled, and what may be said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev

from tests.tools.usage import Slope

WARM, WARM_MESSAGES = 0.3, 200_000
"""So great a share of the run, and so many messages at least, fill caches and the book of 10,000
ids, and aren't judged."""
BATCHES = 20
"""The rest is cut into so many; see `drift`."""
MEMORY = {
    "pss_kib": ("proportional memory (PSS), KiB", math.inf),
    "anon_kib": ("memory of its own (RssAnon), KiB", 1024.0),
    "blocks": ("allocations that live", 0.0),
}
"""What is looked at, and so much of its growth is not judged: PSS moves when other processes come
and go, and CPython takes memory in arenas of 1 MiB, whose pages fill up for long."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon used when it had dealt with so many messages.

    Args:
        pss_kib: proportional set size; it moves with what other processes share.
        anon_kib: the memory that is its own.
        blocks: allocations of Python that live.
    """

    messages: int
    at_s: float
    pss_kib: int
    anon_kib: int
    blocks: int
    descriptors: int
    threads: int


def judge(samples: Sequence[Sample]) -> tuple[list[str], list[str]]:
    """Return what is to be said of the run, and what is wrong with it."""
    warm = max(WARM * samples[-1].messages, WARM_MESSAGES)
    judged = [sample for sample in samples if sample.messages > warm]
    if len(judged) < BATCHES:
        return [], [
            f"too short to be judged: {BATCHES} blocks after {warm:,.0f} messages are needed"
        ]
    half = len(judged) // 2
    said, wrong = [], []
    for key, (memory, nothing) in MEMORY.items():
        for name, unit, scale in (("messages", "million messages", 1e6), ("at_s", "minute", 60.0)):
            points = [(getattr(s, name) / scale, float(getattr(s, key))) for s in judged]
            line = drift(points)
            text = f"{memory}: {line.per_x:+.2f} per {unit} (noise {line.noise:.2f})"
            said.append(text)
            if line.is_growth and line.per_x * (points[-1][0] - points[0][0]) > nothing:
                wrong.append(f"growth of {text}")
    for name in (*MEMORY, "descriptors", "threads"):
        values = [getattr(sample, name) for sample in judged]
        text = f"{values[0]} when warm, {values[-1]} at the end, at most {max(values)}"
        said.append(f"{name}: {text}")
        if name not in MEMORY and median(values[half:]) > median(values[:half]):
            wrong.append(f"more {name}")
    return said, wrong


def drift(points: Sequence[tuple[float, float]]) -> Slope:
    """Return how much y grows with x, and the noise of that.

    A heap grows and shrinks in steps that stay, like a random walk: a line of least squares would
    call any step a trend. So the noise is that of the steps between the means of batches.
    """
    size = max(1, len(points) // BATCHES)
    batches = [points[at : at + size] for at in range(0, len(points) - size + 1, size)]
    xs, ys = ([fmean(point[axis] for point in batch) for batch in batches] for axis in (0, 1))
    steps = [after - before for before, after in pairwise(ys)]
    way = xs[-1] - xs[0]
    return Slope(sum(steps) / way, stdev(steps) * math.sqrt(len(steps)) / way)
