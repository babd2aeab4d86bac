"""Takes turns: each contestant runs once a round, in an order that moves on from round to round."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.broker import Broker
from benchmarks.contestants import Seed, Unit
from benchmarks.processes import Guard

Figures = Mapping[str, float]
"""What one contestant reached in one round: name of the metric -> value."""
Samples = Mapping[str, Mapping[str, list[float]]]
"""Contestant -> metric -> the values of all rounds."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every topic is given.

    Args:
        guard: starts processes so that none outlives us.
        broker: the one that all contestants share.
        rounds: how often each contestant runs and counts.
        quick: a smoke run: small, and not to be quoted.
        python: of the environment that statusd is run from.
        distributions: "topic: contestant" -> every single latency of each round, in microseconds.
    """

    guard: Guard
    broker: Broker
    rounds: int
    quick: bool = False
    python: str = sys.executable
    distributions: dict[str, list[list[float]]] = field(default_factory=dict)

    def size(self, full: int) -> int:
        """Return how many of ``full`` repetitions are to be done in one round."""
        return max(1, full // 10) if self.quick else full

    def unit(self, worker: str | list[str], **options: Any) -> Unit:
        """Return a daemon that is not started yet; ``options`` are those of `Unit`."""
        return Unit(self.guard, self.broker, worker, python=self.python, **options)

    def seed(self, role: str) -> Seed:
        """Return a hand-written program that is not started yet."""
        return Seed(self.guard, self.broker, role, "seed")

    def limit(self, role: str) -> Seed:
        """Return the least program that can do it, not started yet."""
        return Seed(self.guard, self.broker, role, "limit")

    def interleave(self, topic: str, contestants: Mapping[str, Callable[[], Figures]]) -> Samples:
        """Run each contestant once a round; a first round warms caches up and doesn't count."""
        samples: dict[str, dict[str, list[float]]] = {name: {} for name in contestants}
        names = list(contestants)
        for number in range(self.rounds + (not self.quick)):
            counts = self.quick or number > 0
            for name in names:
                say(f"{topic}: round {number} of {self.rounds}: {name}")
                figures = contestants[name]()
                if not counts:
                    continue
                for metric, value in figures.items():
                    samples[name].setdefault(metric, []).append(value)
                if isinstance(figures, Latencies):
                    self.distributions.setdefault(f"{topic}: {name}", []).append(figures.all)
            names.append(names.pop(0))
        return samples


def say(text: str) -> None:
    """Tell whoever waits how far we are."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class Latencies(dict[str, float]):
    """The 50th and the 99th percentile (nearest rank) of ``values``, and all of them.

    Args:
        values: in microseconds.
    """

    def __init__(self, values: list[float]) -> None:
        ranked = sorted(values)
        super().__init__(p50=ranked[len(ranked) // 2], p99=ranked[len(ranked) * 99 // 100])
        self.all = [round(value, 1) for value in ranked]
