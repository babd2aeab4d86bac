"""How units leave: they hear nothing any more, say what is left, and give everything back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from statusd.daemon.living import Living
from statusd.daemon.session import Session
from statusd.unit import life
from statusd.unit.unit import Unit

FLUSH_S = 1.0
"""Redis' share of a stop: so long a broker may say nothing while it is told the last words."""


class Farewell:
    """Takes each step with all that leave together.

    Args:
        session: where they say it; living: keeps a bug in one from the others.
    """

    def __init__(self, session: Session, living: Living) -> None:
        self._session = session
        self._living = living

    def stop_hearing(self, units: Iterable[Unit]) -> None:
        """Nothing comes any more."""
        for unit in units:
            self._living.guarded(unit, life.stop_hearing)

    async def say_last_words(self, units: Sequence[Unit]) -> None:
        """Say what is left, and keep what the broker doesn't take."""
        await self._living.step(life.say_last_words, units)
        await self._session.drain(FLUSH_S)
        for unit in units:
            self._living.guarded(unit, life.keep_unsent)

    async def close(self, units: Sequence[Unit]) -> None:
        """Let them give everything back."""
        await self._living.step(life.close, units)

    async def retire(self, unit: Unit) -> None:
        """End one unit's life while others go on; whatever lives of its worker goes first."""
        unit.supervisor.kill()
        self.stop_hearing([unit])
        await self.say_last_words([unit])
        await self.close([unit])
        self._session.close_outbox(unit.publisher.outbox)
