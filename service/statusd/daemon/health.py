"""What the service manager is told of the unit, and whether its watchdog is fed.

Ready is a unit whose worker runs and that has tried to reach its broker, and a daemon whose units
have each run or failed; alive is a loop whose links, inbox and supervisor all turn. A broker that
is away is told, and changes neither.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from statusd.core.status import Status
from statusd.core.text import shown
from statusd.daemon.living import Living
from statusd.daemon.service_manager import ServiceManager
from statusd.daemon.session import Session
from statusd.daemon.watchdog import FEEDS, Tick, Watchdog
from statusd.unit.unit import Unit
from statusd.wire.link import LinkState
from statusd.worker.board import Record

TICK_S = 5.0
"""So often the service manager is told how things are, if that is news, and the watchdog is fed."""
MORE_S = 20.0
"""So much time is asked for at each tick while a start or a stop goes on."""
MOST_LINES = 4
"""Of more units than these it is said how many are in which state, not what each does."""
MOST_SHOWN = 120
"""So many characters of the worker's own text are shown."""


class Health:
    """Speaks with the service manager, and with whoever asks how the daemon is.

    Args:
        manager: the service manager.
        living: its units that have not ended.
        session: their broker session.
        complain: called with the parts that are stuck.
    """

    def __init__(
        self,
        manager: ServiceManager,
        living: Living,
        session: Session,
        complain: Callable[[list[str]], None],
    ) -> None:
        self._manager = manager
        self._living = living
        self._links = {
            "hearing link": session.subscriber_link,
            "sending link": session.publisher_link,
        }
        self._subscribed = session.subscriber_link
        self._complain = complain
        self._watchdog = Watchdog()
        self._failed_once: set[str] = set()
        """Those of many units that have failed at least once before the daemon was ready."""
        self._stuck: list[str] = []
        self._missed = 0
        self._ticked_at = 0.0
        watchdog_s = manager.watchdog_s
        self.tick_s = min(TICK_S, watchdog_s / FEEDS) if watchdog_s else TICK_S
        """How often every part has to turn, in seconds."""

    def tick(self) -> None:
        """Feed the watchdog if every part has turned since the last time; and so on for ever."""
        loop = asyncio.get_running_loop()
        loop.call_later(self.tick_s, self.tick)
        now = self._ticked_at = loop.time()
        self._stuck = self._watchdog.stuck(dict(self._ticks(now)))
        self._missed = self._missed + 1 if self._stuck else 0
        if not self._stuck:
            self._manager.alive()
        elif self._missed > 1:  # the first may be our own sleep: timers are told before readers
            self._complain(self._stuck)
        self.report()
        self._ask_for_time()

    def _ticks(self, now: float) -> Iterator[tuple[str, Tick]]:
        """Yield how far each part of the loop has come; an empty inbox has nothing to do.

        Nor has a unit that has ended, while others go on.
        """
        for name, link in self._links.items():
            yield name, Tick(link.ticks, may_wait=not link.is_overdue(now))
        for unit in self._living.units:
            whose = f" of {unit.name}" if self._living.are_many else ""
            boot = unit.status.identity.boot
            yield f"inbox{whose}", Tick(unit.reporter.counts.handled, unit.is_waiting, boot)
            yield f"supervisor{whose}", Tick(unit.supervisor.looks, boot=boot)

    def health(self, unit: Unit) -> dict[str, Any]:
        """Return what `statusd health` is told; that it is told anything is most of it."""
        identity = unit.status.identity
        return {
            "name": identity.name,
            "boot": identity.boot,
            "state": unit.status.state.name,
            "unseen": unit.status.is_unseen,
            **self.shared(),
            "trouble": unit.store.file.trouble,
        }

    def shared(self) -> dict[str, Any]:
        """Return what of it is the daemon's, whatever its units do."""
        late_s = asyncio.get_running_loop().time() - self._ticked_at
        stuck = list(self._stuck) if self._missed > 1 else []
        if self._ticked_at and late_s > 3 * self.tick_s:
            stuck.append("steward")  # as it has always been called there
        return {
            "pid": os.getpid(),
            "link": self._subscribed.state.value,
            "link_trouble": self._subscribed.trouble,
            "stuck": stuck,
        }

    def report(self) -> None:
        """Tell state, link and progress, and which stage of its life the daemon is in."""
        manager, link = self._manager, self._subscribed
        if not manager.listens:
            return
        manager.status("; ".join(self._lines()))
        if not self._is_starting() and (link.trouble or link.state is LinkState.LISTENING):
            manager.ready()
        is_over = all(s.state in (s.lifecycle.ending, s.lifecycle.end) for s in self._statuses())
        if is_over and not self._living.stays and not manager.is_stopping:
            self.stop(0)

    def _statuses(self) -> Iterator[Status]:
        return (unit.status for unit in self._living.units)

    def _is_starting(self) -> bool:
        """Tell whether there is a unit whose worker doesn't run yet, or is tried again.

        Of many units one that is tried again holds up no other: whoever waits for the daemon, waits
        until each of them has run, or has failed once.
        """
        starting = [s for s in self._statuses() if s.state in s.lifecycle.postponing]
        if self._living.are_many and not self._manager.is_ready:
            failing = (s.identity.name for s in starting if s.state is s.lifecycle.backoff)
            self._failed_once.update(failing)
        return any(s.identity.name not in self._failed_once for s in starting)

    def _lines(self) -> Iterator[str]:
        units = self._living.units
        if len(units) > MOST_LINES:
            yield self._sum(units)
            return
        for unit in units:
            process = unit.supervisor.process
            alive = unit.status.worker.alive and process is not None
            record = process.record() if alive and process is not None else None
            whose = f"{unit.name}: " if self._living.are_many else ""
            state = unit.status.state.name
            yield whose + in_a_line(state, self._subscribed.state, self._subscribed.trouble, record)

    def _sum(self, units: Sequence[Unit]) -> str:
        """Return how many units are in which state: ``38 RUNNING, 2 FAILED; link LISTENING``."""
        counts = Counter(unit.status.state.name for unit in units)
        states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        return in_a_line(states, self._subscribed.state, self._subscribed.trouble, None)

    def stop(self, code: int) -> None:
        """Tell that the end has begun; whose work was done before anything was tried was ready."""
        if code == 0 and any(status.worker.run for status in self._statuses()):
            self._manager.ready()
        self._manager.stopping()
        self._ask_for_time()

    def _ask_for_time(self) -> None:
        """Let nobody lose patience as long as we turn and there is still something to wait for."""
        manager = self._manager
        is_starting = not manager.is_ready and self._is_starting()
        is_waiting = manager.is_stopping and any(
            stop is not None and bool(stop.next)
            for stop in (status.supervision.stopping.stop for status in self._statuses())
        )
        if is_starting or is_waiting:
            manager.extend(MORE_S)


def in_a_line(state: str, link: LinkState, trouble: str, record: Record | None) -> str:
    """Return ``RUNNING, 42 % exposing; link LISTENING``: one line, whatever the worker says."""
    work = ""
    if record is not None and record.step is not None:
        step, total = record.step, record.total
        work = (
            f"{min(1.0, max(0.0, step / total)):.0%}".replace("%", " %") if total else f"{step:g}"
        )
    if record is not None and record.text:
        text = "".join(c for c in " ".join(record.text.split()) if c.isprintable())
        work = f"{work} {text[:MOST_SHOWN]}".strip()
    heard = f"DOWN: {shown(' '.join(trouble.split()))}" if trouble else link.value
    return f"{state}{f', {work}' if work else ''}; link {heard}"
