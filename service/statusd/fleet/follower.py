"""What a watcher does, step by step and without a connection: one logic for both worlds.

A unit's history may be cut, put back, or another's: what is missing is told, and the rest is read.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from statusd.core.errors import ConfigError, Unavailable
from statusd.core.messages import Target
from statusd.fleet.history import MOST_EVENTS, Event, event_of, is_gap, is_id, place, unreadable
from statusd.fleet.records import as_text
from statusd.fleet.targets import Globs, texts
from statusd.wire import shapes
from statusd.wire.names import Names
from statusd.wire.talk import Ask, Operation, Sleep, Where, read

if TYPE_CHECKING:
    from statusd.wire.outbox import RedisCommand

BLOCK_S = 1.0
"""How long a watcher waits at most; how often it looks for new units, however much comes."""
LOOK_BACK_S = 5.0
"""How often a watcher to whom nothing comes looks whether it waits at the right place."""
MOST_BEFORE = 100
"""So many places of each unit's history are remembered."""


class Follower:
    """Where a watcher is, and what it does next.

    Args:
        name: only units whose names fit one of these globs.
        since: unit -> id of the last event that is known.

    Raises:
        ConfigError: what stands in ``since`` is no id.
    """

    def __init__(self, namespace: str, name: Globs, since: Mapping[str, str] | None) -> None:
        for unit, known in (since or {}).items():
            if not is_id(known):
                raise ConfigError(f"since: {unit}: an event's id is wanted, 1795400000000-42")
        self.positions = dict(since or {})
        """Unit -> id of the last event that was given out; kept up to date."""
        self._namespace = namespace
        self._target = Target(name=texts(name))
        self._ready: list[Event] = []
        self._failures = 0
        self._began = False
        self._aside: set[str] = set()
        self._asked = frozenset(self.positions)
        self._roster: set[str] = set()
        self._here: set[str] | frozenset[str] = self._asked
        self._before: dict[str, deque[str]] = {}
        self._looked_back = time.monotonic()
        self._found = float("-inf")

    def next_ready(self) -> Event | None:
        """Return the next event of those that have been read."""
        return self._ready.pop(0) if self._ready else None

    def failed(self, error: Unavailable) -> Operation[None]:
        """Wait a moment for a broker that is away; longer each time, and never as long as others.

        Raises:
            Unavailable: that is none: we have no right to read, and time mends no right.
        """
        if "NOPERM" in str(error):
            raise error
        self._failures += 1
        yield Sleep(min(BLOCK_S, 0.02 * 2 ** min(self._failures, 16)) * random.random())

    def step(self, block_s: float) -> Operation[None]:
        """Read what there is, or comes within ``block_s`` seconds.

        Raises:
            Unavailable: the broker refuses, or says what can't be.
        """
        yield from self._read(min(BLOCK_S, block_s))
        self._failures = 0

    def _read(self, block_s: float) -> Operation[None]:
        if not self.positions or time.monotonic() - self._found >= BLOCK_S:
            yield from self._find_units()
            self._found = time.monotonic()
        if self._aside - {""}:
            yield from self._sort(sorted(self._aside - {""}))
        here = self._here - self._aside
        names = [name for name in self.positions if name in here]
        if not names:
            yield Sleep(block_s / 4)
            return
        line = self._line(names, "BLOCK", max(1, int(block_s * 1000)))
        (reply,) = yield Ask([line], blocks=True)
        if shapes.is_wrong_type(reply):
            yield from self._sort(names)
            return
        yield from self._take(names, (yield from read(shapes.streams, reply, "XREAD")))

    def _take(
        self, names: Sequence[str], found: dict[bytes, list[shapes.Entry]]
    ) -> Operation[None]:
        """Give out what was read of these units."""
        units = {self._key(name): name for name in names}
        for key, entries in found.items():
            name = units.get(as_text(key))
            if name is None:
                raise Unavailable(f"{(yield Where())} told of a key that nobody had asked for")
            for entry_id, fields in entries:
                self._give(name, entry_id, event_of(name, as_text(key), entry_id, fields))
        if not found and time.monotonic() - self._looked_back > LOOK_BACK_S:
            yield from self._look_back(names)

    def _key(self, name: str) -> str:
        return Names(self._namespace, name).history

    def _line(self, names: Sequence[str], *options: str | int) -> RedisCommand:
        """Return the line that reads what is new of these units."""
        places = (self.positions[name] for name in names)
        keys = map(self._key, names)
        return ("XREAD", "COUNT", MOST_EVENTS, *options, "STREAMS", *keys, *places)

    def _sort(self, names: Sequence[str]) -> Operation[None]:
        """Set aside those whose history is none, so that the others can be read; tell it once."""
        replies = yield Ask([("XREAD", "COUNT", 1, *self._line([name])[3:]) for name in names])
        for name, reply in zip(names, replies, strict=True):
            if not shapes.is_wrong_type(reply):
                self._aside.discard(name)
            elif name not in self._aside:
                self._aside.add(name)
                self._ready.append(unreadable(name, self._key(name), "", "it is no stream"))

    def _find_units(self) -> Operation[None]:
        """Look for units that are new in the roster; at first, begin with what comes now.

        One that is struck off is read until the next look, for its last words, and then no more, or
        a fleet of short jobs would be read ever more slowly; should it come back, it is read on
        where it was.
        """
        key = Names(self._namespace).roster
        (reply,) = yield Ask([("HKEYS", key)])
        if not shapes.is_wrong_type(reply):
            self._aside.discard("")
            roster = map(as_text, (yield from read(shapes.names, reply, "HKEYS")))
            names = [n for n in roster if self._target.is_for(n, frozenset(), "")]
            yield from self._begin(names)
            before, self._roster = self._roster, set(names)
            self._here = self._asked | before | self._roster
            self._aside &= self._here
            for gone in self._before.keys() - self._here:
                del self._before[gone]
        elif "" not in self._aside:
            self._aside.add("")
            self._ready.append(unreadable("", key, "", "it is no hash"))

    def _begin(self, names: Sequence[str]) -> Operation[None]:
        new = [name for name in names if name not in self.positions]
        self.positions.update(dict.fromkeys(new, "0-0"))
        if not self._began:
            for name, newest in (yield from self._newest(new)).items():
                self.positions[name] = newest
        self._began = True

    def _newest(self, names: Sequence[str]) -> Operation[dict[str, str]]:
        """Return unit -> id of its newest entry, of those that have one."""
        lines = [("XREVRANGE", self._key(name), "+", "-", "COUNT", 1) for name in names]
        found: dict[str, str] = {}
        for name, reply in zip(names, (yield Ask(lines)), strict=True):
            if not shapes.is_wrong_type(reply):
                entries = yield from read(shapes.entries, reply, "XREVRANGE")
                if entries:
                    found[name] = entries[0][0]
        return found

    def _look_back(self, names: Sequence[str]) -> Operation[None]:
        """Find histories that were put back: somebody's entry of the far future is gone again.

        Who waits for what comes after it would wait for ever.
        """
        self._looked_back = time.monotonic()
        for name, newest in (yield from self._newest(names)).items():
            if place(newest) < place(self.positions[name]):
                before = [at for at in self._before.get(name, ()) if place(at) <= place(newest)]
                self.positions[name] = max(before, key=place, default=newest)

    def _give(self, name: str, entry_id: str, event: Event) -> None:
        known = self.positions[name]
        if "unreadable" not in event and is_gap(known, event):
            self._ready.append({"gap": name, "after": known, "before": entry_id})
        self._ready.append(event)
        self._before.setdefault(name, deque(maxlen=MOST_BEFORE)).append(known)
        self.positions[name] = entry_id
