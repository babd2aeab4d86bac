"""How far a unit has read the stream of durable commands, and what the stream says to that.

Pure: ids and counts come in as the broker tells them. Rules of this file: ids of a stream only
grow, so one that is lower than ours is another stream, or an older copy of the same; the broker
counts what was ever added, so what we can't read any more is known by its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from statusd.core.bounds import MOST_COUNT, MOST_ID, Unreadable, decimal, whole

START = "0-0"
"""Before the first entry of any stream."""
REMEMBERED = 32
"""So many entries are remembered, to recognise an older copy of the stream by."""


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """A place in the stream.

    Args:
        id: the last entry that was read; empty if the stream was never looked at.
        added: how many entries had ever been added up to there; None if that isn't known.
        recent: the ids of the last entries that were read, the newest last.
    """

    id: str = ""
    added: int | None = None
    recent: tuple[str, ...] = ()

    def after(self, ids: Iterable[str]) -> StreamPosition:
        """Return the place after reading the entries ``ids``, in order."""
        read = tuple(ids)
        if not read:
            return self
        added = None if self.added is None else self.added + len(read)
        return StreamPosition(read[-1], added, (*self.recent, *read)[-REMEMBERED:])

    @classmethod
    def parse(cls, content: Any) -> StreamPosition:
        """Return the place that `fields` described; no place for anything else."""
        try:
            return cls.read(content)
        except Unreadable:
            return cls()

    @classmethod
    def read(cls, content: Any) -> StreamPosition:
        """Return the place that `fields` described.

        Raises:
            Unreadable: it is none.
        """
        if not isinstance(content, dict):
            raise Unreadable("no place in a stream")
        added, recent = content.get("added"), content.get("recent", ())
        if not isinstance(recent, list | tuple) or len(recent) > REMEMBERED:
            raise Unreadable("no list of ids")
        for entry_id in (content.get("id"), *recent):
            number(entry_id)
        known = None if added is None else whole(added, MOST_COUNT)
        return cls(content["id"], known, tuple(recent))

    @property
    def fields(self) -> dict[str, Any]:
        """The place for Redis: id and count."""
        return {"id": self.id, "added": self.added}


NOWHERE = StreamPosition()
"""The place of whoever has never looked at the stream."""


class StreamInfo(NamedTuple):
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
    def parse(cls, reply: Mapping[bytes, Any]) -> StreamInfo:
        """Return what the reply to XINFO STREAM says.

        Raises:
            Unreadable: it is none.
        """
        added = reply.get(b"entries-added")
        return cls(
            as_id(reply.get(b"last-generated-id")),
            None if added is None else whole(added, MOST_COUNT),
            whole(reply.get(b"length"), MOST_COUNT),
        )

    @property
    def is_exhausted(self) -> bool:
        """Tell whether the highest id that there can be was given out: nothing can be added."""
        return number(self.last) == (MOST_ID, MOST_ID)


class Resume(NamedTuple):
    """What became of the stream while we didn't look.

    Args:
        place: from where to read on.
        reset: in words, what is wrong with the stream; empty if it goes on where we were.
    """

    place: StreamPosition
    reset: str = ""


def number(entry_id: object) -> tuple[int, int]:
    """Return an id as something that can be compared.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(entry_id, str):
        raise Unreadable("no id of an entry")
    return _parsed(entry_id)


@lru_cache(maxsize=64)
def _parsed(entry_id: str) -> tuple[int, int]:
    """Return an id as something that can be compared; all units are at the same one, mostly."""
    milliseconds, _, count = entry_id.partition("-")
    return decimal(milliseconds, MOST_ID), decimal(count or "0", MOST_ID)


def as_id(said: object) -> str:
    """Return an id as the broker says it.

    Raises:
        Unreadable: it is none.
    """
    known = said.decode("ascii", "replace") if isinstance(said, bytes) else said
    number(known)
    return str(known)


def higher(one: StreamPosition, other: StreamPosition) -> StreamPosition:
    """Return the place that is further on; one that was never looked at is before all."""
    if not one.id or not other.id:
        return one if one.id else other
    return one if number(one.id) >= number(other.id) else other


def has_gone_back(place: StreamPosition, info: StreamInfo) -> bool:
    """Tell whether the stream ends before ``place``: it isn't the one that we read."""
    return number(info.last) < number(place.id)


def judge(place: StreamPosition, info: StreamInfo, tail: Iterable[str] = ()) -> Resume:
    """Return from where to read on.

    Args:
        tail: the ids of the last entries of a stream that has gone back.
    """
    if not place.id:
        return Resume(StreamPosition(info.last, info.added))
    if not has_gone_back(place, info):
        if place.added is not None and info.added is not None and info.added < place.added:
            return Resume(replace(place, added=None), "the stream of commands was begun anew")
        return Resume(place)
    if info.last == START:
        return Resume(StreamPosition(START, 0), "the stream of commands is gone")
    return _judge_lower(place, info, tail)


def _judge_lower(place: StreamPosition, info: StreamInfo, tail: Iterable[str]) -> Resume:
    """Judge a stream that ends before ``place``."""
    text = f"the stream of commands went back from {place.id} to {info.last}"
    if not place.recent:
        return Resume(replace(place, id=info.last, added=info.added), text)
    common = set(place.recent).intersection(tail)
    if not common:
        return Resume(StreamPosition(START, 0), f"{text}; it is another one")
    # An older copy (a failover, a backup): what is in it has been obeyed already, but for what was
    # added to it since.
    last = max(common, key=number)
    return Resume(replace(place, id=last, added=info.added if last == info.last else None), text)


def settled(place: StreamPosition, info: StreamInfo) -> tuple[StreamPosition, int]:
    """Return the place with its count set right, and how many entries nobody can read any more.

    Call it when everything up to ``info.last`` was read, and nothing beyond. Where one of the two
    counts isn't known (before Redis 7 the broker has none), nothing is known to be lost.
    """
    if info.added is None or place.added is None:
        return replace(place, added=info.added), 0
    return replace(place, added=info.added), max(0, info.added - place.added)
