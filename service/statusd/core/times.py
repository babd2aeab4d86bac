"""Times as they are written."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

LAST_S = 253402300799.0
"""The last second that RFC 3339 can write; an id that somebody chose may be anything."""


def rfc3339(wall: float) -> str:
    """Return a time of the wall clock (seconds) as RFC 3339 text in UTC, to the millisecond."""
    return _to_the_millisecond(int(wall * 1000))


@lru_cache(maxsize=4)
def _to_the_millisecond(wall_ms: int) -> str:
    seconds, milliseconds = divmod(wall_ms, 1000)
    return f"{_to_the_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def has_passed(at: str, now: float) -> bool:
    """Tell whether the time ``at`` (RFC 3339; empty for never) is over at ``now`` (Unix time)."""
    return bool(at) and datetime.fromisoformat(at).timestamp() <= now
