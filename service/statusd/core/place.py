"""How far a unit has read the stream of durable commands, and what the stream says to that.

Pure: ids and counts come in as the broker tells them. Rules of this file: ids of a stream only
grow, so one that is lower than ours is another stream, or an older copy of the same; the broker
counts what was ever added, so what we can't read any more is known by its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

START = "0-0"
"""Before the first entry of any stream."""
REMEMBERED = 32
"""So many entries are remembered, to recognise an older copy of the stream by."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the stream.

    Args:
        id: the last entry that was read; empty if the stream was never looked at.
        added: how many entries had ever been added up to there; None if that isn't known.
        recent: the ids of the last entries that were read, the newest last.
    """

    id: str = ""
    added: int | None = None
    recent: tuple[str, ...] = ()

    def after(self, ids: Iterable[str]) -> Place:
        """Return the place after reading the entries ``ids``, in order."""
        read = tuple(ids)
        if not read:
            return self
        added = None if self.added is None else self.added + len(read)
        return Place(read[-1], added, (*self.recent, *read)[-REMEMBERED:])

    @classmethod
    def parse(cls, content: Any) -> Place:
        """Return the place that `fields` described; no place for anything else."""
        try:
            added = content.get("added")
            recent = tuple(map(str, content.get("recent", ())))
            number(content["id"])
            return cls(content["id"], None if added is None else int(added), recent)
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()

    @property
    def fields(self) -> dict[str, Any]:
        """The place for Redis: id and count."""
        return {"id": self.id, "added": self.added}


NOWHERE = Place()
"""The place of whoever has never looked at the stream."""


class Facts(NamedTuple):
    """What the broker tells of a stream (XINFO STREAM).

    Args:
        last: the highest id that was ever given out.
        added: how many entries were ever added; None before Redis 7.
        length: how many there are now.
    """

    last: str = START
    added: int | None = 0
    length: int = 0

    @classmethod
    def parse(cls, reply: Mapping[bytes, Any]) -> Facts:
        """Return what the reply to XINFO STREAM says."""
        added = reply.get(b"entries-added")
        return cls(reply[b"last-generated-id"].decode(), added, reply[b"length"])


class Finding(NamedTuple):
    """What became of the stream while we didn't look.

    Args:
        place: from where to read on.
        reset: in words, what is wrong with the stream; empty if it goes on where we were.
    """

    place: Place
    reset: str = ""


def number(entry_id: str) -> tuple[int, int]:
    """Return an id as something that can be compared.

    Raises:
        ValueError: it is none.
    """
    milliseconds, _, count = entry_id.partition("-")
    return int(milliseconds), int(count or 0)


def higher(one: Place, other: Place) -> Place:
    """Return the place that is further on; one that was never looked at is before all."""
    if not one.id or not other.id:
        return one if one.id else other
    return one if number(one.id) >= number(other.id) else other


def has_gone_back(place: Place, facts: Facts) -> bool:
    """Tell whether the stream ends before ``place``: it isn't the one that we read."""
    return number(facts.last) < number(place.id)


def judge(place: Place, facts: Facts, tail: Iterable[str] = ()) -> Finding:
    """Return from where to read on.

    Args:
        tail: the ids of the last entries of a stream that has gone back.
    """
    if not place.id:
        return Finding(Place(facts.last, facts.added))
    if not has_gone_back(place, facts):
        if place.added is not None and facts.added is not None and facts.added < place.added:
            return Finding(replace(place, added=None), "the stream of commands was begun anew")
        return Finding(place)
    text = f"the stream of commands went back from {place.id} to {facts.last}"
    if facts.last == START:
        return Finding(Place(START, 0), "the stream of commands is gone")
    if not place.recent or not set(place.recent).isdisjoint(tail):
        # An older copy (a failover, a backup): what is in it has been obeyed already.
        return Finding(replace(place, id=facts.last, added=facts.added), text)
    return Finding(Place(START, 0), f"{text}; it is another one")


def settle(place: Place, facts: Facts) -> tuple[Place, int]:
    """Return the place with its count set right, and how many entries nobody can read any more.

    Call it when everything up to ``facts.last`` was read, and nothing beyond. Where one of the two
    counts isn't known (before Redis 7 the broker has none), nothing is known to be lost.
    """
    if facts.added is None or place.added is None:
        return replace(place, added=facts.added), 0
    return replace(place, added=facts.added), max(0, facts.added - place.added)
