"""Whether the service manager's watchdog may be fed: only if every part of the work has turned.

Rules of this file: to turn is to have tried, never to have succeeded: a broker that is away, slow
or frozen and a full disk are no hang of ours. Pure: whoever asks has counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

FEEDS = 4
"""So often within the watchdog's time it is fed: twice would leave no second chance."""


class Tick(NamedTuple):
    """How far one part has come.

    Args:
        number: how often it has turned.
        may_wait: nothing is there to be done, or what it waits for is not overdue.
        boot: of the unit whose part it is: what begins anew counts from the start, and may have
            come just as far as its last life had.
    """

    number: int
    may_wait: bool = False
    boot: int = 0


class Watchdog:
    """Remembers where each part stood at the last beat."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}

    def stuck(self, turns: Mapping[str, Tick]) -> list[str]:
        """Return the parts that have not turned since the last beat; nobody: this is a beat."""
        stuck = [
            name
            for name, turn in turns.items()
            if (turn.boot, turn.number) == self._counts.get(name) and not turn.may_wait
        ]
        if not stuck:
            self._counts = {name: (turn.boot, turn.number) for name, turn in turns.items()}
        return stuck
