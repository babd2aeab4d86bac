"""What survives a daemon of one unit, as plain values."""

from __future__ import annotations

from typing import NamedTuple

from statusd.core.unit import Cause, Memory
from statusd.unit.outages import Deaf
from statusd.unit.stream_position import NOWHERE, StreamPosition
from statusd.wire.outbox import RedisCommand

MOST_SOURCE, MOST_REASON = 2048, 500
"""The longest text that says where a command came in, and why we were deaf, in characters."""


class Ended(NamedTuple):
    """Which command has ended a unit: who sent it, from where, and when (wall clock, seconds)."""

    by: str
    source: str
    at: float

    @classmethod
    def of(cls, cause: Cause, at: float) -> Ended | None:
        """Return it of why a unit ends; None if nobody asked for it."""
        if cause.command is None or not cause.is_asked:
            return None
        return cls(cause.command.by, cause.source[:MOST_SOURCE], at)


class Kept(NamedTuple):
    """What survives a daemon of one unit.

    Args:
        memory: of its status.
        unsent: what the world was to be told and could not be, as lines of the outbox.
        place: how far the stream of durable commands has been read.
        deaf: the outage that the history doesn't have yet; None for none.
        ended: by which command it is ending, or has; None if by none.
    """

    memory: Memory
    unsent: tuple[RedisCommand, ...] = ()
    place: StreamPosition = NOWHERE
    deaf: Deaf | None = None
    ended: Ended | None = None


NOTHING = Kept(Memory())
"""What a unit's first daemon finds."""
