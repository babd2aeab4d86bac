"""Settings as lines of text, by which one process of ours tells another: JSON, and TOML's dates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime, time
from typing import Any

from statusd.settings.tables import Content, LifecycleTable
from statusd.settings.verdict import Mistake, Verdict

_WHEN = "\0when"
"""The only key of what stands for a date or a time."""
_WRITTEN = json.dumps(_WHEN)
_KINDS = {kind.__name__: kind for kind in (datetime, date, time)}


def line(value: Any) -> bytes:
    """Return plain values as a line.

    Raises:
        ValueError: a number has more digits than Python writes; what stands for a date is none.
    """
    dates = 0

    def when(value: date | time) -> dict[str, list[str]]:
        nonlocal dates
        dates += 1
        return {_WHEN: [type(value).__name__, value.isoformat()]}

    text = json.dumps(value, default=when)
    if text.count(_WRITTEN) != dates:
        raise ValueError(f"{_WRITTEN} is our own")
    return text.encode("ascii") + b"\n"


def read(text: bytes) -> Any:
    """Return what a line says.

    Raises:
        ValueError: it is none.
    """
    return json.loads(text, object_hook=_of_when)


def _of_when(table: dict[str, Any]) -> Any:
    if table.keys() != {_WHEN}:
        return table
    kind, text = table[_WHEN]
    return _KINDS[kind].fromisoformat(text)


def told(verdict: Verdict) -> Any:
    """Return a verdict in plain values."""
    return plain(verdict) if isinstance(verdict, Content) else [*verdict]


def heard(said: Any) -> Verdict:
    """Return the verdict that those plain values are."""
    if isinstance(said, Mapping):
        made: Content = _with(Content(), said)
        return made
    return tuple(Mistake(kind, tuple(place), text, entry) for kind, place, text, entry in said)


def plain(value: Any) -> Any:
    """Return a value in plain ones: of a table what isn't as by default, and so of those in it."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    usual = type(value)()
    found: dict[str, Any] = {}
    for field in fields(value):
        inner = getattr(value, field.name)
        if is_dataclass(inner) or repr(inner) != repr(getattr(usual, field.name)):  # 1.0 is no 1
            found[field.name] = plain(inner)
    return found


def _with(table: Any, said: Mapping[str, Any]) -> Any:
    """Return a table with what isn't as by default."""
    changed: dict[str, Any] = {}
    for name, value in said.items():
        usual = getattr(table, name)
        if is_dataclass(usual):
            changed[name] = _with(usual, value)
        elif isinstance(usual, tuple) and not isinstance(table, LifecycleTable):
            changed[name] = tuple(value)
        else:
            changed[name] = value
    return replace(table, **changed)
