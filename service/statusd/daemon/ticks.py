"""What a daemon does for all its units again and again: it lets them beat, and looks after them.

Rule of this file: with a probe of the canary, if that is often enough, for to wake up costs more
than what is done then; and not for all units at once, for a command that comes then has to wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from zlib import crc32

from statusd.daemon.canary import PROBE_S
from statusd.daemon.living import Living
from statusd.scheduler import Scheduler
from statusd.supervision.hang_detector import look_every_s
from statusd.unit.publisher import BEAT_S
from statusd.unit.unit import Unit

TURNS = round(BEAT_S / PROBE_S)
"""So many parts of the units take turns at a beat."""
LOOK_S = 2 * PROBE_S
"""How often workers are looked after that nobody is impatient with."""


class Ticks:
    """Beats and looks.

    Args:
        living: the units.
        loop: whose time it is.
        tick_s: how often each supervisor has to turn, for the watchdog.
        minded: called once for each round of beats.
    """

    def __init__(
        self, living: Living, loop: Scheduler, tick_s: float, minded: Callable[[], None]
    ) -> None:
        self._living = living
        self._loop = loop
        self._tick_s = tick_s
        self._minded = minded
        self._turn = 0
        self._sang_at, self._look_at = -math.inf, math.inf

    def sang(self) -> None:
        """A probe goes out: let a third of the units show that they live with it.

        All of them, where the last probe is long ago: what they had to renew may have run out.
        """
        now, self._turn = self._loop.time(), (self._turn + 1) % TURNS
        is_late, self._sang_at = now - self._sang_at > 2 * PROBE_S, now
        if is_late or not self._turn:
            self._minded()
        for unit in self._living.units:
            if is_late or turn_of(unit.name) == self._turn:
                self._living.guarded(unit, Unit.beat)
        if now >= self._look_at:
            self.look()

    def look(self) -> None:
        """Let every unit look after its worker, as often as the most impatient one needs it."""
        patience = [unit.status.policy.hang_timeout_s for unit in self._living.units]
        limits = [look_every_s(limit_s) for limit_s in patience if limit_s]
        every_s = min([*limits, self._tick_s / 2])
        if every_s < LOOK_S:
            self._look_at = math.inf
            self._loop.call_later(every_s, self.look)
        else:
            self._look_at = self._loop.time() + LOOK_S - PROBE_S / 2
        self._living.each(Unit.look)


def turn_of(name: str) -> int:
    """Return in which of the turns a unit beats: the same one whoever comes or goes."""
    return crc32(name.encode()) % TURNS
