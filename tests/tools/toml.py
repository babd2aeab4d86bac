"""Writing TOML, as far as settings need it; Python's own `tomllib` only reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def to_toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Return ``table`` as TOML 1.0: nested tables become ``[sections]``.

    Args:
        table: of texts, paths, numbers, booleans, lists, and tables of those.
        path: the name of the section that ``table`` stands in.

    Raises:
        TypeError: it holds something else, such as None.
    """
    lines = [
        f"{_key(key)} = {_value(value)}\n"
        for key, value in table.items()
        if not isinstance(value, Mapping)
    ]
    for key, value in table.items():
        if isinstance(value, Mapping):
            section = (*path, key)
            lines.append(f"\n[{'.'.join(map(_key, section))}]\n{to_toml(value, section)}")
    return "".join(lines)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    # A JSON text is a TOML text, but for surrogate pairs (avoided) and DEL (not escaped in JSON).
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str() | Path():
            return _text(str(value))
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case Mapping():
            pairs = (f"{_key(key)} = {_value(inner)}" for key, inner in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            raise TypeError(f"TOML has no {type(value).__name__}: {value!r}")
