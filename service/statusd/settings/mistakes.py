"""The mistakes in settings, in words that need no Python: where it stands, and what is wanted.

Nothing here shows a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from statusd.core.suggestions import nearest
from statusd.core.text import shown
from statusd.lifecycles.load import Source
from statusd.settings.variables import fields, variable
from statusd.settings.verdict import Mistake

_PLAINLY = {
    "tuple_type": 'a list is wanted: ["..."]',
    "dict_type": 'a table is wanted: { NAME = "..." }',
    "dataclass_type": "a table is wanted",
    "string_unicode": "it is not UTF-8",
    "string_type": 'a text is wanted, in quotes: "..."',
    "float_parsing": "a number is wanted",
    "float_type": "a number is wanted",
    "bool_type": "true or false is wanted",
    "bool_parsing": "true or false is wanted",
    "int_parsing": "a whole number is wanted",
    "int_type": "a whole number is wanted",
    "string_pattern_mismatch": "letters, digits and . _ - (in names @, too), at most 64",
}
"""The kind of a mistake -> in words that need no Python."""
MOST_VALUE = 60
"""So much of a wrong value is shown, in characters."""
_UNSHOWN = (("worker", "command"),)
"""The lists whose entries may be secrets."""


def no_json(key: str) -> str:
    """Say which variable should be JSON, as lists and tables are; without its content."""
    inside = variable((key,))
    return f'environment: {inside} (or {inside}__...): a list or a table is JSON: ["a", "b"]'


def _entry(mistake: Mistake) -> str:
    """Return which entry of a list is meant, with its value, so that two are told apart."""
    place = mistake.place[-1] if mistake.place else ""
    if not isinstance(place, int):
        return ""
    value = mistake.entry
    shows = mistake.path not in _UNSHOWN and value is not None
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return f"entry {place + 1}" + (f" ({shown(text, MOST_VALUE)})" if shows else "") + ": "


def describe(mistake: Mistake, source: Source, environ: Mapping[str, str]) -> str:
    """Return a mistake as one line: where, and what would be right."""
    path = mistake.path
    message = mistake.text.removeprefix("Value error, ").replace("Input should be '", "one of '")
    message = _PLAINLY.get(mistake.kind, message)
    if mistake.is_unknown_key:
        siblings = [p[len(path) - 1] for p in fields() if p[: len(path) - 1] == path[:-1]]
        near = nearest(path[-1], tuple(dict.fromkeys(siblings)))
        message = "unknown key" + (f", did you mean {near}?" if near else "")
    message = f"{_entry(mistake)}{message}"
    if path and variable(path) in environ:
        return f"environment: {variable(path)}: {message}"
    named = re.match(r"(\w+)\.(\w+): ", message)
    if named and not path:  # a question about the whole, and the message says where to look
        path, message = (named[1], named[2]), message[named.end() :]
    return f"{source.place(path)}: {message}"
