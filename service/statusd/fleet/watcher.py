"""`Watcher`: follows the events of a fleet, one by one, from wherever it was left.

A unit's history may be cut, put back, or another's: what is missing is told, and the rest is read.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from statusd.core.errors import Unavailable
from statusd.core.messages import Target
from statusd.fleet.history import MOST_EVENTS, Event, event_of, is_gap, place, unreadable
from statusd.fleet.records import as_text
from statusd.wire import shapes
from statusd.wire.dial import Dial
from statusd.wire.names import Names

if TYPE_CHECKING:
    from statusd.wire.address import Address
    from statusd.wire.outbox import RedisCommand

BLOCK_S = 1.0
"""How long a watcher blocks at most before it looks for new units."""
LOOK_BACK_S = 5.0
"""How often a watcher to whom nothing comes looks whether it waits at the right place."""
MOST_BEFORE = 100
"""So many places of each unit's history are remembered."""


class Watcher:
    """An endless iterator over events, in the order of each unit, without a gap.

    It reads the histories, not the channel: what happens while the broker is away is read later.
    Where the history was cut (it is bounded), ``{"gap": unit, "after": id, "before": id}`` comes in
    place of what is missing; in place of what can't be read, ``{"unreadable": unit, "key": key,
    "id": id, "reason": why}``. If that is a whole key, because it is of another type, the id is
    empty and the unit empty for the roster; it is told once, and looked at again every second.

    Args:
        positions: unit -> id of the last event that was given out; kept up to date.
    """

    def __init__(
        self, address: Address, namespace: str, globs: tuple[str, ...], positions: dict[str, str]
    ) -> None:
        self.positions = positions
        self.is_closed = False
        self._address = address
        self._namespace = namespace
        self._target = Target(name=globs)
        self._ready: list[Event] = []
        self._dial: Dial | None = None
        self._failures = 0
        self._began = False
        self._aside: set[str] = set()
        self._before: dict[str, deque[str]] = {}
        self._looked_back = time.monotonic()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """Return the next event; wait for it, however long the broker is away."""
        while not self.is_closed:
            event = self.poll()
            if event is not None:
                return event
        raise StopIteration

    def poll(self) -> Event | None:
        """Return the next event, or None after a second without one.

        Raises:
            Unavailable: we have no right to read; a broker that is away is waited for.
        """
        if not self._ready:
            try:
                self._read()
                self._failures = 0
            except Unavailable as error:
                if "NOPERM" in str(error):  # time mends no right
                    raise
                self.close()
                self.is_closed = False
                self._failures += 1
                time.sleep(min(BLOCK_S, 0.02 * 2**self._failures) * random.random())
        return self._ready.pop(0) if self._ready else None

    def close(self) -> None:
        """Hang up, and give out no more."""
        self.is_closed = True
        if self._dial is not None:
            self._dial.close()
            self._dial = None

    def _read(self) -> None:
        if self._dial is None:
            self._dial = Dial(self._address, "statusd-watch", BLOCK_S + 2)
        dial = self._dial
        self._find_units(dial)
        if not self.positions:
            time.sleep(BLOCK_S / 4)
            return
        if self._aside - {""}:
            self._sort(dial, sorted(self._aside - {""}))
        names = [name for name in self.positions if name not in self._aside]
        if not names:
            time.sleep(BLOCK_S / 4)
            return
        reply = dial.replies([self._line(names, "BLOCK", int(BLOCK_S * 1000))])[0]
        if shapes.is_wrong_type(reply):
            self._sort(dial, names)
            return
        units = {self._key(name): name for name in names}
        found = dial.read(shapes.streams, reply, "XREAD")
        for key, entries in found.items():
            name = units.get(as_text(key))
            if name is None:
                raise Unavailable(f"{self._address} told of a key that nobody had asked for")
            for entry_id, fields in entries:
                self._give(name, entry_id, event_of(name, as_text(key), entry_id, fields))
        if not found and time.monotonic() - self._looked_back > LOOK_BACK_S:
            self._look_back(dial, names)

    def _key(self, name: str) -> str:
        return Names(self._namespace, name).history

    def _line(self, names: Sequence[str], *options: str | int) -> RedisCommand:
        """Return the line that reads what is new of these units."""
        places = (self.positions[name] for name in names)
        keys = map(self._key, names)
        return ("XREAD", "COUNT", MOST_EVENTS, *options, "STREAMS", *keys, *places)

    def _sort(self, dial: Dial, names: Sequence[str]) -> None:
        """Set aside those whose history is none, so that the others can be read; tell it once."""
        replies = dial.replies([("XREAD", "COUNT", 1, *self._line([name])[3:]) for name in names])
        for name, reply in zip(names, replies, strict=True):
            if not shapes.is_wrong_type(reply):
                self._aside.discard(name)
            elif name not in self._aside:
                self._aside.add(name)
                self._ready.append(unreadable(name, self._key(name), "", "it is no stream"))

    def _find_units(self, dial: Dial) -> None:
        """Look for units that are new in the roster; at first, begin with what comes now."""
        key = Names(self._namespace).roster
        reply = dial.replies([("HKEYS", key)])[0]
        if not shapes.is_wrong_type(reply):
            self._aside.discard("")
            roster = map(as_text, dial.read(shapes.names, reply, "HKEYS"))
            self._begin(dial, [n for n in roster if self._target.is_for(n, frozenset(), "")])
        elif "" not in self._aside:
            self._aside.add("")
            self._ready.append(unreadable("", key, "", "it is no hash"))

    def _begin(self, dial: Dial, names: Sequence[str]) -> None:
        new = [name for name in names if name not in self.positions]
        self.positions.update(dict.fromkeys(new, "0-0"))
        if not self._began:
            for name, newest in self._newest(dial, new).items():
                self.positions[name] = newest
        self._began = True

    def _newest(self, dial: Dial, names: Sequence[str]) -> dict[str, str]:
        """Return unit -> id of its newest entry, of those that have one."""
        lines = [("XREVRANGE", self._key(name), "+", "-", "COUNT", 1) for name in names]
        found = {}
        for name, reply in zip(names, dial.replies(lines), strict=True):
            if not shapes.is_wrong_type(reply):
                for entry_id, _ in dial.read(shapes.entries, reply, "XREVRANGE")[:1]:
                    found[name] = entry_id
        return found

    def _look_back(self, dial: Dial, names: Sequence[str]) -> None:
        """Find histories that were put back: somebody's entry of the far future is gone again.

        Who waits for what comes after it would wait for ever.
        """
        self._looked_back = time.monotonic()
        for name, newest in self._newest(dial, names).items():
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
