"""What the environment says: ``STATUSD_REDIS__URL`` is ``url`` of ``[redis]``.

Rules of this file: upper and lower case are the same; lists and tables are JSON; nothing is judged
here, and of what is no JSON nothing is shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, get_origin, get_type_hints

from statusd.settings.layers import merged
from statusd.settings.tables import PREFIX, Content

_BELOW = "__"
"""Between a table and its key."""


class NoJson(ValueError):
    """A list or a table is no JSON.

    Args:
        key: the setting or table at the top that it is in.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def written(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the environment says, as if it stood in a file.

    Raises:
        NoJson: it can't be read.
    """
    said = {name.lower(): value for name, value in environ.items()}
    said = {name: value for name, value in said.items() if name.startswith(PREFIX.lower())}
    found: dict[str, Any] = {}
    if said:
        for key, kind in get_type_hints(Content).items():
            try:
                value = _value(key, kind, said)
            except (ValueError, RecursionError):
                raise NoJson(key) from None
            if value is not None:
                found[key] = value
    return found


def _value(key: str, kind: Any, said: Mapping[str, str]) -> Any:
    """Return what is said of a key at the top; None for nothing."""
    name = PREFIX.lower() + key
    text = said.get(name)
    if not _is_json(kind):
        return text
    whole = {} if text is None else json.loads(text)
    if not isinstance(whole, dict):
        return whole
    value = merged(whole, _below(kind, name + _BELOW, said))
    if text is None and not value:
        return None
    return {_as_spelt(kind, inner): value[inner] for inner in value}


def _below(kind: Any, prefix: str, said: Mapping[str, str]) -> dict[str, Any]:
    """Return what is said of each key of a table, by variables of their own."""
    found: dict[str, Any] = {}
    for name, text in said.items():
        if not name.startswith(prefix):
            continue
        *above, last = name.removeprefix(prefix).split(_BELOW)
        table: Any = found
        for key in above:
            table = table.setdefault(key, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):
            is_json = not above and _is_json(_kinds(kind).get(last))
            table[last] = json.loads(text) if text and is_json else text
    return found


def _is_json(kind: Any) -> bool:
    """Tell whether it is a list or a table."""
    return is_dataclass(kind) or get_origin(kind) in (tuple, dict)


def _as_spelt(kind: Any, key: str) -> str:
    """Return a key of a table as its field has it, if there is one."""
    return next((name for name in _kinds(kind) if name == key.lower()), key)


def _kinds(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind) if is_dataclass(kind) else {}
