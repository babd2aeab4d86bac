"""Putting a command into the stream of durable ones, for whoever sends it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from statusd.core.errors import ConfigError
from statusd.wire import shapes
from statusd.wire.talk import Operation, ask

if TYPE_CHECKING:
    from statusd.wire.names import Names
    from statusd.wire.outbox import RedisCommand

LENGTH = 10_000
"""About so many entries are kept in the stream."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def kept(names: Names, message: str) -> RedisCommand:
    """Return the line that keeps ``message`` for every unit of the namespace."""
    return ("XADD", names.commands, "MAXLEN", "~", LENGTH, "*", "command", message)


def seconds(text: str) -> float:
    """Return a time span like ``90s``, ``10m``, ``2h``, ``1d`` (or bare seconds) in seconds.

    Raises:
        ConfigError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not found:
        raise ConfigError(f"{text!a} is no time span: 90s, 10m, 2h, 1d")
    return float(found[1]) * _UNITS[found[2] or "s"]


def expiry(after_s: float) -> Operation[str]:
    """Return the time (RFC 3339) in ``after_s`` seconds, by the broker's clock.

    Raises:
        Unavailable: the broker doesn't tell the time.
        ConfigError: that is too far away.
    """
    from datetime import UTC, datetime, timedelta

    told = yield from ask(shapes.clock, "TIME")
    try:
        now = datetime.fromtimestamp(told, UTC)
        return (now + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        raise ConfigError(f"{after_s:g} s from now is beyond the calendar") from None
