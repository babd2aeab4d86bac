"""What a reply has to be: a server may say anything, and its clients would choke on it.

Each function takes a reply as hiredis reads it and returns what it stands for, or raises
`Misshapen`; errors (`hiredis.ReplyError`) are sorted out before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import hiredis

from statusd.core.text import shown

_ID = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)


class Misshapen(ValueError):
    """A reply that is well-formed RESP, and no answer to what was asked."""


def is_error(reply: object) -> bool:
    """Tell whether the broker refused."""
    return isinstance(reply, hiredis.ReplyError)


def is_wrong_type(reply: object) -> bool:
    """Tell whether a key is of another type than it should be: a matter of that key alone."""
    return is_error(reply) and str(reply).startswith("WRONGTYPE")


def _misshapen(reply: object) -> Misshapen:
    return Misshapen(f"{type(reply).__name__} {shown(repr(reply), 80)}")


def number(reply: object) -> int:
    """Return a whole number, as of PUBLISH."""
    if isinstance(reply, int) and not isinstance(reply, bool):
        return reply
    raise _misshapen(reply)


def data(reply: object) -> bytes:
    """Return a string, as of XADD."""
    if isinstance(reply, bytes):
        return reply
    raise _misshapen(reply)


def data_or_none(reply: object) -> bytes | None:
    """Return a string, as of GET, or None where there is no key."""
    return None if reply is None else data(reply)


def elements(reply: object) -> list[Any]:
    """Return a list of anything."""
    if isinstance(reply, list):
        return reply
    raise _misshapen(reply)


def elements_of(count: int) -> Callable[[object], list[Any]]:
    """Return what reads a list of so many, as of MGET."""

    def read(reply: object) -> list[Any]:
        found = elements(reply)
        if len(found) != count:
            raise Misshapen(f"{len(found)} in the place of {count}")
        return found

    return read


def names(reply: object) -> list[bytes]:
    """Return a list of strings, as of HKEYS."""
    return [data(one) for one in elements(reply)]


def table(reply: object) -> dict[bytes, Any]:
    """Return a map whose keys are strings, as of HGETALL or HELLO."""
    if isinstance(reply, dict):
        return {data(key): value for key, value in reply.items()}
    raise _misshapen(reply)


def audience(reply: object) -> list[int]:
    """Return how many hear each channel, as PUBSUB NUMSUB tells after each name."""
    return [number(count) for _, count in _pairs(elements(reply))]


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    if len(flat) % 2:
        raise _misshapen(flat)
    return list(zip(flat[::2], flat[1::2], strict=True))


def clock(reply: object) -> float:
    """Return the time that TIME tells, in seconds."""
    found = names(reply)
    if len(found) == 2 and all(one.isdigit() and len(one) < 12 for one in found):
        return int(found[0]) + int(found[1]) / 1e6
    raise _misshapen(reply)


def place(reply: object) -> tuple[str, int]:
    """Return host and port, as a Sentinel tells of a master."""
    found = names(reply)
    host = found[0].decode("utf-8", "replace") if found else ""
    is_host = 0 < len(host) < 256 and host.isascii() and host.isprintable()
    if len(found) == 2 and is_host and found[1].isdigit() and len(found[1]) <= 5:
        return host, int(found[1])
    raise _misshapen(reply)


Entry = tuple[str, dict[bytes, bytes]]


def entries(reply: object) -> list[Entry]:
    """Return the entries of a stream, id and fields, as of XRANGE."""
    return [_entry(one) for one in elements(reply)]


def _entry(reply: object) -> Entry:
    found = elements(reply)
    if len(found) != 2:
        raise _misshapen(reply)
    entry_id = data(found[0]).decode("ascii", "replace")
    if not _ID.fullmatch(entry_id):
        raise _misshapen(reply)
    return entry_id, dict(_pairs(names(found[1] or [])))  # none: it was deleted meanwhile


def streams(reply: object) -> dict[bytes, list[Entry]]:
    """Return stream -> entries, as of XREAD; none if there is nothing new."""
    if reply is None:
        return {}
    return {key: entries(found) for key, found in table(reply).items()}
