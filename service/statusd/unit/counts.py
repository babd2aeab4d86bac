"""What happened since the daemon started, in plain numbers: whoever exports them reads them here.

Rule of this file: it is written by the loop while it works, so nothing here is more than a look-up
and an addition, and nothing knows how metrics are exported.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

from statusd.core.answers import Answer, Verdict
from statusd.core.events import EventHead
from statusd.core.unit import Death, ExitKind
from statusd.core.words import RESERVED, DecisionKind

CANARY_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""The upper ends of the buckets of the canary's way, in seconds; at 4 s the link is given up."""
DONE_S = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
"""Those of the way from a command to its ``done``; after 600 s a worker is late by default."""

RESET = "reset"
"""Nothing had died: somebody asked for it."""
CAUSES = (*(kind.value for kind in ExitKind), RESET)
"""What a worker is restarted for."""
QUESTIONS = frozenset(word for word, kind in RESERVED.items() if kind is DecisionKind.ASK)
"""Words that are ``done`` by being answered."""

_DONE = Answer.DONE.value  # an enum's value costs a call each time


class Histogram:
    """Counts values by size.

    Args:
        bounds: the upper ends of the buckets, ascending; one without an end is added.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Take in one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Counts:
    """The numbers of one unit."""

    def __init__(self) -> None:
        self.handled = 0
        """How many inputs the status has decided on."""
        # no Counter: it stores by way of a call
        self.transitions: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        """Of each (trigger, old state, new state)."""
        self.verdicts: defaultdict[str, int] = defaultdict(int)
        self.restarts: defaultdict[str, int] = defaultdict(int)
        """Of the worker, by what it had died of (`ExitKind`), or ``reset``."""
        self.canary = Histogram(CANARY_S)
        self.done = Histogram(DONE_S)

    def changed(self, change: EventHead) -> None:
        """The state has changed."""
        self.transitions[change.trigger, change.old, change.new] += 1

    def restarted(self, death: Death | None) -> None:
        """Another worker is to be started, after the ``death`` of the last one."""
        self.restarts[RESET if death is None else death.kind.value] += 1

    def answered(self, verdict: Verdict) -> None:
        """A verdict was given; one may stand for many."""
        self.verdicts[verdict.kind] += verdict.count
        if verdict.kind == _DONE and not verdict.is_repeat and verdict.word not in QUESTIONS:
            self.done.add(verdict.ms / 1000)
