"""What the server knows of the fleet: read from the broker once, however many look.

Two tasks: one follows the histories, one reads the documents, of those of which there is news at
once and of all every second. Rules of this file: what was known stays shown while the broker is
away, with since when; what can't be read of one unit is a matter of that unit.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from statusd.core.errors import Unavailable
from statusd.core.times import rfc3339
from statusd.fleet.follower import Follower
from statusd.fleet.history import Event
from statusd.fleet.response_collector import UnitInfo
from statusd.fleet.snapshot import Snapshot
from statusd.web.awaited import Awaited
from statusd.web.broadcast import Broadcast
from statusd.wire.async_client import AsyncClient

LOOK_S = 1.0
"""How often all documents are read."""
REST, MOST_REST_S = 4.0, 5.0
"""After it has taken long, so many times as long is rested before the next time, in bounds."""
FIRST_S = 0.02
"""So long is waited for the first event: who is asked whether all is well is to know it soon."""
NOT_ASKED = "not asked yet"
AT_ONCE = 300
"""So many units are told of at a time: what else there is to do needn't wait for all of them."""
NEWS_S = 0.06
"""So long is rested after an event: the next are read along."""
DOCUMENT_S = 0.03
"""After an event its document is on its way: so long it is waited for, and as long once more."""
AGAIN_S = 0.5
"""How long after a failure it is tried again."""
SAMPLES, SAMPLE_S = 150, 4.0
"""So many points a curve has, and how far apart they are at least."""
WIDTH = 4
"""So many numbers a point has."""


class Broker(NamedTuple):
    """What is known of the link to the broker.

    Args:
        is_up: the last thing that was asked was answered.
        since: when that began, RFC 3339.
        reason: why it isn't.
        heard: when it answered last, RFC 3339; empty for never.
    """

    is_up: bool
    since: str
    reason: str = ""
    heard: str = ""

    def record(self) -> dict[str, Any]:
        """Return it as the API has it."""
        state = "up" if self.is_up else "away"
        return {"state": state, "since": self.since, "reason": self.reason, "heard": self.heard}


class Curve:
    """The last minutes of a unit: time, step, share of a processor, memory; bounded."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def add(self, now: float, document: Mapping[str, Any]) -> None:
        """Take a point of ``document``, unless the last one is too near."""
        if self._numbers and 0 <= now - self._numbers[-WIDTH] < SAMPLE_S:
            return
        progress, worker = document.get("progress") or {}, document.get("worker") or {}
        used = worker.get("resources") or {}
        found = (progress.get("step"), used.get("cpu"), used.get("memory"))
        self._numbers.extend((now, *(_number(value) for value in found)))
        del self._numbers[: -SAMPLES * WIDTH]

    def record(self) -> list[list[float | None]]:
        """Return the points, oldest first: ``[time, step, cpu, memory]``; null for unknown."""
        numbers = [None if math.isnan(one) else round(one, 3) for one in self._numbers]
        return [numbers[first : first + WIDTH] for first in range(0, len(numbers), WIDTH)]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


class Mirror:
    """The fleet of one namespace as it was last heard of.

    Args:
        client: to the broker, with room for two conversations at once.
        namespace: of the fleet.
        broadcast: where news go.
        wall: the time, in seconds since 1970.
    """

    def __init__(
        self,
        client: AsyncClient,
        namespace: str,
        broadcast: Broadcast,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.broker = Broker(False, rfc3339(wall()), NOT_ASKED)
        self.namespace = namespace
        self._client, self._broadcast, self._wall = client, broadcast, wall
        self._snapshot = Snapshot(namespace)
        self._units: dict[str, UnitInfo] = {}
        self._records: dict[str, str] = {}
        self._curves: dict[str, Curve] = {}
        self._awaited = Awaited(time.monotonic)
        self._news = asyncio.Event()
        self._troubles = {"documents": NOT_ASKED, "histories": NOT_ASKED}

    # ---- what is known ---------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The broker's address, without secrets."""
        return self._client.where

    def __len__(self) -> int:
        """Return how many units are known."""
        return len(self._units)

    def get(self, name: str) -> UnitInfo | None:
        """Return one unit, if it is known."""
        return self._units.get(name)

    def records(self) -> str:
        """Return all units as a JSON array."""
        return f"[{','.join(self._records[name] for name in sorted(self._records))}]"

    def curve(self, name: str) -> list[list[float | None]]:
        """Return the last minutes of one unit, see `Curve.record`."""
        known = self._curves.get(name)
        return known.record() if known else []

    # ---- how it gets to be known -----------------------------------------------------------------

    async def run(self) -> None:
        """Keep up with the fleet until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._look())

    async def _follow(self) -> None:
        """Tell each event on. After one it rests for a moment: the next are read along."""
        follower, block_s = Follower(self.namespace, None, None), FIRST_S
        while True:
            try:
                await self._client.run(follower.step(block_s))
            except Unavailable as error:
                self._note("histories", str(error))
                await asyncio.sleep(AGAIN_S)
            else:
                self._note("histories")
                block_s = self._client.block_s
            told = False
            while (event := follower.next_ready()) is not None:
                self._tell(event)
                told = True
            if told:
                await asyncio.sleep(NEWS_S)

    def _tell(self, event: Event) -> None:
        self._broadcast.say("event", _line(event))
        if self._awaited.expect(event):
            self._news.set()

    async def _look(self) -> None:
        due = 0.0
        while True:
            began = time.monotonic()
            everything = began >= due
            self._news.clear()
            try:
                await self._look_at(None if everything else self._awaited.names)
            except Unavailable as error:
                self._note("documents", str(error))
                await asyncio.sleep(AGAIN_S)
                continue
            self._note("documents")
            self._awaited.settle(self._units)
            now = time.monotonic()
            if everything:
                due = max(began + LOOK_S, now + min(MOST_REST_S, REST * (now - began)))
            await self._rest(due - now)

    async def _rest(self, at_most_s: float) -> None:
        """Wait until there are documents to be read."""
        if not self._awaited.names:
            try:
                async with asyncio.timeout(max(0.0, at_most_s)):
                    await self._news.wait()
            except TimeoutError:
                return
        await asyncio.sleep(DOCUMENT_S)

    async def _look_at(self, names: Sequence[str] | None) -> None:
        """Read the documents of these, or of all, and tell what is new."""
        looking = self._snapshot.look() if names is None else self._snapshot.look_at(names)
        news = await self._client.run(looking)
        for name in news.gone:
            self._strike(name)
        for first in range(0, len(news.changed), AT_ONCE):
            self._take(news.changed[first : first + AT_ONCE])
            await asyncio.sleep(0)

    def _strike(self, name: str) -> None:
        if self._units.pop(name, None) is not None:
            del self._records[name]
            self._curves.pop(name, None)
            self._broadcast.say("gone", _line({"name": name}))

    def _take(self, units: Iterable[UnitInfo]) -> None:
        now = self._wall()
        for unit in units:
            self._curves.setdefault(unit.name, Curve()).add(now, unit.document)
            known = self._units.get(unit.name)
            self._units[unit.name] = unit
            self._records[unit.name] = record = _line(unit.record())
            if known is None or known.news() != unit.news():
                self._broadcast.say("unit", record)

    def _note(self, what: str, reason: str = "") -> None:
        """Note how asking for ``what`` went; it is up if all was answered that was asked last."""
        now, before = rfc3339(self._wall()), self.broker
        self._troubles[what] = reason
        troubles = dict.fromkeys(filter(None, self._troubles.values()))
        is_up = not troubles
        reasons = [trouble for trouble in troubles if trouble != NOT_ASKED] or troubles
        since = before.since if before.is_up == is_up else now
        heard = before.heard if reason else now
        self.broker = Broker(is_up, since, "; ".join(reasons), heard)
        if self.broker[:3] != before[:3]:
            self._broadcast.say("broker", _line(self.broker.record()))


def _line(record: Mapping[str, Any]) -> str:
    """Return a record as JSON in one line, which any reader of JSON can read.

    Half a character, as a document's text may have it, is told as an escape: it is no UTF-8.
    """
    return json.dumps(record, separators=(",", ":"))
