"""What may stand under each key of a command, in a table: who judges it, and what is wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from statusd.core.bounds import MOST_COUNT

MAX_ARGS_BYTES = 4096
"""The size of ``args`` as compact JSON, in bytes."""
WORD = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{0,63}")
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_CHANNEL = re.compile(r"[\x21-\x7e]{1,256}")
_TARGET = '"name", "tag", "state"'
_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(WORD.fullmatch(value.encode("ascii", "replace")))


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and bool(_ID.fullmatch(value))


def _is_channel(value: Any) -> bool:
    return isinstance(value, str) and bool(_CHANNEL.fullmatch(value))


def _is_text(value: Any) -> bool:
    """Tell whether ``value`` is printable text of at most 128 characters (no lone surrogate)."""
    return isinstance(value, str) and len(value) <= 128 and value.isprintable()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_COUNT


def _is_texts(value: Any) -> bool:
    # An empty list would be for everybody, which a program that found nobody can't have meant.
    values = value if isinstance(value, list) else [value]
    return 0 < len(values) <= 100 and all(_is_text(v) and v for v in values)


def _is_target(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"name", "tag", "state"}
        and all(map(_is_texts, value.values()))
    )


def _is_scalar(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, bool | int | float)
        or (isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value))
    )


def _is_args(value: Any) -> bool:
    if not isinstance(value, dict) or not all(map(_is_text, value)):
        return False
    return all(map(_is_scalar, value.values())) and len(_compact(value)) <= MAX_ARGS_BYTES


def _is_time(value: Any) -> bool:
    from datetime import datetime

    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


class Field(NamedTuple):
    """What fits, and in words what is wanted."""

    fits: Callable[[Any], bool]
    wanted: str


FIELDS: dict[str, Field] = {
    "command": Field(_is_word, "a word"),
    "control": Field(_is_word, "a word of the daemon"),
    "id": Field(_is_id, "1 to 128 ASCII characters"),
    "by": Field(_is_text, "printable text, at most 128 characters"),
    "target": Field(_is_target, f"an object of {_TARGET}, each a text or a list of some"),
    "reply_to": Field(_is_channel, "a channel's name"),
    "expires": Field(_is_time, "an RFC 3339 time with its zone"),
    "boot": Field(_is_count, "a number"),
    "run": Field(_is_count, "a number"),
    "args": Field(_is_args, f"a flat object of at most {MAX_ARGS_BYTES} bytes"),
}


def fits(key: str, value: Any) -> bool:
    """Tell whether a command may have ``value`` under ``key``, which may be none of its keys."""
    return key in FIELDS and FIELDS[key].fits(value)
