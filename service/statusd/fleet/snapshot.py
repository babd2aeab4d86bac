"""A fleet that is looked at again and again: only what has changed since is read anew.

Step by step and without a connection, as `operations`. Most documents stand as they did a second
ago: of each it is remembered what its bytes came to, and they are asked for many at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from statusd.fleet.records import as_text
from statusd.fleet.response_collector import UnitInfo, read_fleet
from statusd.wire import shapes
from statusd.wire.names import Names
from statusd.wire.talk import Ask, Operation, ask_key, read

if TYPE_CHECKING:
    from statusd.wire.outbox import RedisCommand

AT_ONCE = 200
"""So many documents are asked for in one line; between two, others have their turn."""

Mark = tuple[int, int]
"""What an entry and a document came to: enough to tell whether they are others now."""
Found = tuple[UnitInfo, Mark]
_LEFT = re.compile(rb'"left":\s*true')


class News(NamedTuple):
    """What a look has found.

    Args:
        changed: units that are new, or others than before; gone: names that are in no roster more.
    """

    changed: Sequence[UnitInfo]
    gone: Sequence[str]


class Snapshot:
    """Looks at the fleet of one namespace.

    A look that fails changes nothing: the next one finds what this one would have.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._roster: dict[str, object] = {}
        self._marks: dict[str, Mark] = {}

    def look(self) -> Operation[News]:
        """Look at all of it.

        Raises:
            Unavailable: the broker refuses.
        """
        roster = yield from self._read_roster()
        gone = [name for name in self._roster if name not in roster]
        found = yield from self._read(roster, [*roster])
        return self._note(roster, found, gone)

    def look_at(self, names: Sequence[str]) -> Operation[News]:
        """Look at some units of which there is news; none is found to be gone.

        The roster is asked only if what is known of it can't be all: of a unit that is new, that
        has begun again, or that has ended.

        Raises:
            Unavailable: the broker refuses.
        """
        if all(name in self._roster for name in names):
            found = yield from self._read(self._roster, names)
            if all(unit.is_alive and not _ends(unit) for unit, _ in found):
                return self._note(self._roster, found, [])
        now = yield from self._read_roster()
        here = [name for name in names if name in now]
        roster = self._roster | {name: now[name] for name in here}
        found = yield from self._read(roster, here)
        return self._note(roster, found, [])

    def _note(self, roster: dict[str, object], found: Sequence[Found], gone: Sequence[str]) -> News:
        """Remember what was found, and return it as news."""
        self._roster = roster
        self._marks |= {unit.name: mark for unit, mark in found}
        for name in gone:
            del self._marks[name]
        return News([unit for unit, _ in found], gone)

    def _read_roster(self) -> Operation[dict[str, object]]:
        key = Names(self._namespace).roster
        found = yield from ask_key(shapes.table, "HGETALL", key)
        return {as_text(name): entry for name, entry in found.items()}

    def _read(self, roster: dict[str, object], names: Sequence[str]) -> Operation[list[Found]]:
        """Return those of the units that are new or others than before, each with its mark."""
        found: list[Found] = []
        for first in range(0, len(names), AT_ONCE):
            some = names[first : first + AT_ONCE]
            documents = yield from self._documents(roster, some)
            for name in some:
                mark = _mark(roster[name]), _mark(documents[name])
                if self._marks.get(name) != mark:
                    (unit,) = read_fleet({name: roster[name]}, documents)
                    found.append((unit, mark))
        return found

    def _documents(
        self, roster: dict[str, object], names: Sequence[str]
    ) -> Operation[dict[str, object]]:
        """Return name -> document, as `read_fleet` takes them.

        What is no text is nothing in the answer to many, so it is asked for by itself: of who
        should have one, and of the others once.
        """
        (reply,) = yield Ask([self._line("MGET", names)])
        found: list[object] = yield from read(shapes.elements_of(len(names)), reply, "MGET")
        documents = dict(zip(names, found, strict=True))
        missing = [name for name in names if documents[name] is None and self._asks(roster, name)]
        replies = yield Ask([self._line("GET", [name]) for name in missing])
        for name, one in zip(missing, replies, strict=True):
            if shapes.is_error(one) and not shapes.is_wrong_type(one):
                yield from read(shapes.data, one, "GET")  # it is about all of them
            documents[name] = one
        return documents

    def _asks(self, roster: dict[str, object], name: str) -> bool:
        entry = roster[name]
        is_known = self._marks.get(name) == (_mark(entry), _mark(None))
        return not is_known or (isinstance(entry, bytes) and not _LEFT.search(entry))

    def _line(self, command: str, names: Sequence[str]) -> RedisCommand:
        return (command, *self._keys(names))

    def _keys(self, names: Sequence[str]) -> Iterator[str]:
        return (Names(self._namespace, name).status for name in names)


def _ends(unit: UnitInfo) -> bool:
    """Tell whether it is about to leave the roster, or has."""
    return unit.document.get("part") == "ends"


def _mark(value: Any) -> int:
    """Return what stands for a value: another one has another, as good as ever."""
    return hash(value if isinstance(value, bytes) else (type(value).__name__, str(value)))
