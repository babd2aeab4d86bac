"""Documents that are on their way: an event of a unit is there a moment before its document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from statusd.fleet.history import Event
from statusd.fleet.response_collector import UnitInfo

PATIENCE_S = 0.5
"""So long a document is waited for. Whoever writes it later is seen as it is, whenever that is."""


class _Wanted(NamedTuple):
    """How new a document is to be, by boot and event, and until when that is waited for."""

    place: tuple[int, int]
    until: float


class Awaited:
    """The units of which there was news that their documents don't tell yet.

    Args:
        clock: the time, in seconds; it only goes on.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wanted: dict[str, _Wanted] = {}

    @property
    def names(self) -> list[str]:
        """Of those whose documents are to be read."""
        return sorted(self._wanted)

    def expect(self, event: Event) -> bool:
        """Wait for the document of an event; return whether it is about a unit at all."""
        name, boot, seq = event.get("name"), event.get("boot"), event.get("seq")
        if not isinstance(name, str):
            return False
        numbers = (boot if isinstance(boot, int) else 0, seq if isinstance(seq, int) else 0)
        known = self._wanted.get(name)
        place = max(numbers, known.place) if known else numbers
        self._wanted[name] = _Wanted(place, self._clock() + PATIENCE_S)
        return True

    def settle(self, units: Mapping[str, UnitInfo]) -> None:
        """Wait no longer for those that are there, that take too long, or that nobody knows.

        An event may name anybody; a unit stands in the roster before it tells of anything.
        """
        now = self._clock()
        for name, wanted in tuple(self._wanted.items()):
            unit = units.get(name)
            if unit is None or wanted.until <= now or _place(unit) >= wanted.place:
                del self._wanted[name]


def _place(unit: UnitInfo) -> tuple[int, int]:
    """Return how new a unit's document is; one that has none may be on its way."""
    seq = unit.document.get("seq")
    return unit.boot, seq if isinstance(seq, int) else -1
