"""The deadlines of a unit, each armed at most once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from statusd.core import events as ev
from statusd.scheduler import Scheduler

WALL_S = 10.0
"""How often a deadline of the clock on the wall is looked at, which goes on while we are suspended,
and which somebody may set."""


class Timers:
    """Keeps the deadlines that a status asks for.

    A timer of the loop that is made and cancelled for each command costs as much as a decision: one
    that runs already, and will look in time, is left alone.

    Args:
        loop: who wakes us.
        passed: gets what has passed.
        wall: returns Unix time.
    """

    def __init__(
        self, loop: Scheduler, passed: Callable[[ev.Passed], None], wall: Callable[[], float]
    ) -> None:
        self._loop = loop
        self._passed = passed
        self._wall = wall
        self._at: dict[ev.Timer, float] = {}
        self._handles: dict[ev.Timer, asyncio.TimerHandle] = {}
        self._due: dict[ev.Timer, float] = {}

    def arm(self, arm: ev.Arm) -> None:
        """Set a deadline, in the place of an older one of the same name."""
        timer, after_s, at = arm
        if at:
            self._at[timer] = at
            after_s = min(after_s, WALL_S)
        due = self._loop.time() + after_s
        self._due[timer] = due
        armed = self._handles.get(timer)
        if armed is None or armed.when() > due:
            self._set(timer, due)

    def disarm(self, disarm: ev.Disarm) -> None:
        """Forget a deadline."""
        self._due.pop(disarm.timer, None)

    def close(self) -> None:
        """Forget them all."""
        self._due.clear()
        for handle in self._handles.values():
            handle.cancel()

    def _set(self, timer: ev.Timer, due: float) -> None:
        armed = self._handles.get(timer)
        if armed is not None:
            armed.cancel()
        self._handles[timer] = self._loop.call_at(due, self._look, timer)

    def _look(self, timer: ev.Timer) -> None:
        del self._handles[timer]
        due = self._due.get(timer)
        if due is None:
            return
        if timer in self._at and (left_s := self._at[timer] - self._wall()) > 0:
            due = self._due[timer] = self._loop.time() + min(left_s, WALL_S)
        if due > self._loop.time():  # it was set anew meanwhile
            self._set(timer, due)
            return
        del self._due[timer]
        self._passed(ev.Passed(timer))
