"""The units of a daemon: all of them, those that live, and what a bug in one costs the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from statusd.core import events as ev
from statusd.unit.unit import EXIT_BUG, Unit

EXIT_LEASE_LOST = 78
"""The name is held by another daemon: starting again won't mend that."""
WORST = (EXIT_BUG, EXIT_LEASE_LOST, 75)
"""Of the codes of its units a daemon leaves with the first of these; else with that of work that is
cut short (``daemon.requeue_exit``), if there is any."""


class Living:
    """Keeps book of who lives.

    Args:
        units: all of them.
        stays: the daemon goes on without any of them.
    """

    def __init__(self, units: Iterable[Unit], *, stays: bool = False) -> None:
        self._units = {unit.name: unit for unit in units}
        self._codes: dict[str, int] = {}
        self.stays = stays
        self.are_many = stays or len(self._units) > 1
        """There are others to tell each of them from, or were, or will be."""
        self._asked_to_end = 0
        self._early: list[ev.Signalled | ev.Prompted] | None = []
        """What came before they have begun; None if they have."""
        self._is_asked_early = asyncio.Event()

    @property
    def units(self) -> list[Unit]:
        """Those that have not ended yet, as they are now."""
        return list(self._units.values())

    @property
    def by_name(self) -> Mapping[str, Unit]:
        """The same, by their names."""
        return self._units

    def guarded(self, unit: Unit, call: Callable[[Unit], object]) -> None:
        """Do something with a unit; a bug in it is no other unit's."""
        try:
            call(unit)
        except Exception as error:  # the safety net
            unit.fail(error)

    def each(self, call: Callable[[Unit], object]) -> None:
        """Do something with each of them."""
        for unit in self.units:
            self.guarded(unit, call)

    async def step(self, step: Callable[[Unit], Awaitable[None]], units: Sequence[Unit]) -> None:
        """Take a step with each of ``units``, all at the same time."""
        done = await asyncio.gather(*map(step, units), return_exceptions=True)
        for unit, error in zip(units, done, strict=True):
            if isinstance(error, Exception):
                unit.fail(error)

    async def in_turn(self, step: Callable[[Unit], Awaitable[None]]) -> None:
        """Take a step with all of them, one after the other."""
        for unit in self.units:
            await self.step(step, [unit])

    async def unless_signalled(
        self, step: Callable[[Unit], Awaitable[None]]
    ) -> dict[Unit, BaseException] | None:
        """Take a step with all of them, at the same time, before they begin.

        Returns:
            Those with which it has failed, and why; None if we were signalled meanwhile.
        """
        units = self.units
        taking = asyncio.gather(*map(step, units), return_exceptions=True)
        asked = asyncio.ensure_future(self._is_asked_early.wait())
        await asyncio.wait((taking, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not taking.done():
            taking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await taking
            return None
        return {u: e for u, e in zip(units, taking.result(), strict=True) if e is not None}

    def begin(self) -> None:
        """Take what came while they could say nothing, for they had no names yet."""
        early, self._early = self._early or (), None
        for one in early:
            self._tell(one)

    def signalled(self, signalled: ev.Signalled) -> None:
        """Let each of them hear of a signal; before they begin, whoever waits for that."""
        if self._early is not None:
            self._is_asked_early.set()
        self._tell(signalled)

    def prompted(self, prompted: ev.Prompted) -> None:
        """Let each of them obey a word of a signal; before they begin, as soon as they do."""
        self._tell(prompted)

    def _tell(self, told: ev.Signalled | ev.Prompted) -> None:
        if self._early is None:
            self.each(lambda unit: unit.happened(told))
        else:
            self._early.append(told)

    def ended(self, unit: Unit, code: int) -> bool:
        """Take note of the code that a unit leaves with; tell whether it has just ended."""
        code = EXIT_LEASE_LOST if unit.lease.holder is not None else code
        self._note(unit.name, code)
        return not self.are_over and self._units.pop(unit.name, None) is not None

    def _note(self, name: str, code: int) -> None:
        """Take note of a code, if none that is worse is known of that unit."""
        self._codes[name] = min(code, self._codes.get(name, code), key=rank)

    def failed(self, unit: Unit) -> None:
        """Take note of a unit that could not begin: its name is held."""
        self.lacks(unit.name)
        del self._units[unit.name]

    def add(self, unit: Unit) -> None:
        """Let a unit live that has just begun; what its last life has left is forgotten."""
        self._units[unit.name] = unit
        self._codes.pop(unit.name, None)

    def lacks(self, name: str) -> None:
        """Take note of a unit whose name could not even be taken on this machine."""
        self._note(name, EXIT_LEASE_LOST)

    def asked_to_end(self) -> int:
        """Stay no longer than any of them lives; return how often that was asked for."""
        self.stays = False
        self._asked_to_end += 1
        return self._asked_to_end

    @property
    def are_over(self) -> bool:
        """Tell whether all have ended; the last stays among those that live, to say so."""
        return not self.stays and self._units.keys() <= self._codes.keys()

    @property
    def code(self) -> int:
        """What the daemon leaves with."""
        return min(self._codes.values(), key=rank, default=0)


def rank(code: int) -> int:
    """Return how bad a code is; the worst is 0."""
    return WORST.index(code) if code in WORST else len(WORST) + (code == 0)
