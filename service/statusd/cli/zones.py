"""Times for human eyes: in the zone of whoever reads, or in UTC; JSON is UTC as it is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

InZone = Callable[[str], str]
"""Returns a time (RFC 3339) in a zone; what is no time stays as it is."""


def local(at: str) -> str:
    """Return a time in the zone of this machine (``$TZ``), as RFC 3339 with its offset."""
    try:
        found = datetime.fromisoformat(at)
        return found.astimezone().isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):  # none, or in a year that no clock here has
        return at


def as_it_is(at: str) -> str:
    """Return a time in UTC, as it was written."""
    return at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument that chooses the zone."""
    parser.add_argument("--utc", action="store_true", help="times in UTC; default: the local zone")


def of(arguments: argparse.Namespace) -> InZone:
    """Return what writes times as they were asked for."""
    return as_it_is if arguments.utc else local


def since(text: str, now: datetime) -> str:
    """Return the time that ``text`` means as RFC 3339 in UTC, to be compared as text.

    Args:
        text: ``5m``, ``2h``, ``3d`` before ``now``; or a date or a time as ISO 8601 has it, without
            an offset in the local zone.

    Returns:
        An empty text if it is none.
    """
    found = _before(text, now)
    if found is None:
        try:
            found = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            return ""
    return found.strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.microsecond // 1000:03d}Z"


def _before(text: str, now: datetime) -> datetime | None:
    from statusd.core.errors import ConfigError
    from statusd.wire.durable import seconds

    if text[-1:] not in ("s", "m", "h", "d"):
        return None  # a bare number may be a year
    try:
        return now.astimezone(UTC) - timedelta(seconds=seconds(text))
    except (ConfigError, OverflowError):
        return None
