"""The mistakes in settings, in words that need no Python: where it stands, and what is wanted.

Nothing here shows a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from statusd.core.suggestions import nearest
from statusd.core.text import shown
from statusd.lifecycles.load import Source
from statusd.settings.variables import fields, variable

_PLAINLY = {
    "tuple_type": 'a list is wanted: ["..."]',
    "dict_type": 'a table is wanted: { NAME = "..." }',
    "model_type": "a table is wanted",
    "model_attributes_type": "a table is wanted",
    "string_unicode": "it is not UTF-8",
    "string_type": 'a text is wanted, in quotes: "..."',
    "float_parsing": "a number is wanted",
    "float_type": "a number is wanted",
    "int_parsing": "a whole number is wanted",
    "int_type": "a whole number is wanted",
    "string_pattern_mismatch": "letters, digits and . _ - (in names @, too), at most 64",
}
"""The kind of a mistake -> in words that need no Python."""
MOST_VALUE = 60
"""So much of a wrong value is shown, in characters."""
_UNSHOWN = (("worker", "command"),)
"""The lists whose entries may be secrets."""


def no_json(error: ValueError) -> str:
    """Say which variable should be JSON, as lists and tables are; without its content."""
    named = re.search(r'field "(\w+)"', str(error))
    if named is None:  # whatever it is, it may show what it can't read
        return 'environment: lists and tables are JSON there: ["a", "b"]'
    inside = variable((named[1],))
    return f'environment: {inside} (or {inside}__...): a list or a table is JSON: ["a", "b"]'


def path_of(item: Any) -> tuple[str, ...]:
    """Return the path of the setting that an error of pydantic's is about."""
    return tuple(str(part) for part in item["loc"] if not isinstance(part, int))


def _entry(item: Any, path: tuple[str, ...]) -> str:
    """Return which entry of a list is meant, with its value, so that two are told apart."""
    place = item["loc"][-1] if item["loc"] else ""
    if not isinstance(place, int):
        return ""
    value = item["input"]
    shows = path not in _UNSHOWN and isinstance(value, str | int | float)
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return f"entry {place + 1}" + (f" ({shown(text, MOST_VALUE)})" if shows else "") + ": "


def describe(item: Any, source: Source, environ: Mapping[str, str]) -> str:
    """Return an error of pydantic's as one line: where, and what would be right."""
    path = path_of(item)
    message = item["msg"].removeprefix("Value error, ").replace("Input should be '", "one of '")
    message = _PLAINLY.get(item["type"], message)
    if item["type"] == "extra_forbidden":
        siblings = [p[len(path) - 1] for p in fields() if p[: len(path) - 1] == path[:-1]]
        near = nearest(path[-1], tuple(dict.fromkeys(siblings)))
        message = "unknown key" + (f", did you mean {near}?" if near else "")
    message = f"{_entry(item, path)}{message}"
    if path and variable(path) in environ:
        return f"environment: {variable(path)}: {message}"
    named = re.match(r"(\w+)\.(\w+): ", message)
    if named and not path:  # a question about the whole, and the message says where to look
        path, message = (named[1], named[2]), message[named.end() :]
    return f"{source.place(path)}: {message}"
