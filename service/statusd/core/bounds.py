"""What comes from outside, within bounds: looked at before it is converted.

The rule of this file: every number has a range, every text a length, every nesting a depth. What is
beyond raises `Unreadable`, and nothing else does, so that whoever reads a key, a reply or a message
has one way out: it is unreadable, or it is what it should be.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MOST_COUNT = 2**63 - 1
"""The largest number that Redis counts with."""
MOST_ID = 2**64 - 1
"""The largest number in the id of an entry of a stream; there are two in each."""
MOST_BOOT = 253402300799999
"""The last millisecond that RFC 3339 can write. The boot of somebody else is a time, and there is
room for later ones above it: an id in a history must still be greater."""
MOST_RUN = 2**53 - 1
"""The last number of a run; there is room for more above it."""
MOST_PID = 2**31 - 1
"""The largest number that a process can have."""
MOST_KEPT = 4096
"""So many bytes may stand in a key of ours that holds a small JSON object."""
MOST_TEXT = 255
"""So many characters has a name or a text that is shown, e.g. that of a host."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.?)*+"?', re.DOTALL)  # possessive: read once, to the end
_DIGITS = re.compile(r"[0-9]{1,20}")


class Unreadable(ValueError):
    """It is not what it should be; says why, in words that hold nothing of it."""


def whole(value: object, most: int, least: int = 0) -> int:
    """Return a number that came as one.

    Raises:
        Unreadable: it is none, or it isn't between ``least`` and ``most``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Unreadable(f"no number from {least} to {most}")
    return value


def decimal(value: object, most: int) -> int:
    """Return a number that came as text: digits, nothing else.

    Raises:
        Unreadable: it is none, or greater than ``most``.
    """
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    if not isinstance(text, str) or not _DIGITS.fullmatch(text):
        raise Unreadable(f"no number from 0 to {most}")
    return whole(int(text), most)


def text(value: object, most: int = MOST_TEXT) -> str:
    """Return a text that can be shown anywhere: printable ASCII, and not too long.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(value, str) or len(value) > most:
        raise Unreadable(f"no text of at most {most} characters")
    if not (value.isascii() and value.isprintable()):
        raise Unreadable("not printable")
    return value


def decode(payload: object, depth: int, most: int = MOST_KEPT) -> Any:
    """Return what a JSON text says.

    Args:
        payload: its bytes.
        depth: how deep objects and arrays may be nested.
        most: how many bytes it may have.

    Raises:
        Unreadable: it is no JSON, too long, too deep, has a key twice or a number beyond a float's.
    """
    if not isinstance(payload, bytes) or len(payload) > most:
        raise Unreadable(f"no text of at most {most} bytes")
    if payload.count(b"{") + payload.count(b"[") > depth and nesting(payload) > depth:
        raise Unreadable(f"nested deeper than {depth} levels")
    try:
        return _DECODER.decode(payload.decode("utf-8"))
    except UnicodeDecodeError:
        raise Unreadable("not valid JSON: not UTF-8") from None
    except ValueError as error:
        raise Unreadable(f"not valid JSON: {str(error)[:100]}") from None


def fields(payload: object, depth: int = 1) -> dict[str, Any]:
    """Return the object that a small JSON text is, e.g. in a key of ours.

    Raises:
        Unreadable: it is none.
    """
    content = decode(payload, depth)
    if not isinstance(content, dict):
        raise Unreadable("no JSON object")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
)


def nesting(text: bytes) -> int:
    """Return how deep ``text`` is nested, found before any parser can choke on it."""
    depth = deepest = 0
    for sign in _STRING.sub(b"", text):
        if sign in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in b"]}":
            depth -= 1
    return deepest
