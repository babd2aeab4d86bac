"""What a judge says of settings, in plain values: they may have to come from another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from statusd.settings.tables import Content

_UNKNOWN = "unexpected_keyword_argument"
_KEY = "[key]"
"""Stands behind a key that is wrong itself."""


class Mistake(NamedTuple):
    """One mistake as the judge found it.

    Args:
        kind: the name that pydantic's core has for what is wrong.
        place: keys, and the numbers of entries of lists.
        text: what that says of it.
        entry: the value, if it is an entry of a list, and a text or a number.
    """

    kind: str
    place: tuple[str | int, ...]
    text: str
    entry: str | int | float | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """Return the path of the setting that it is about."""
        return tuple(str(p) for p in self.place if not isinstance(p, int) and p != _KEY)

    @property
    def is_unknown_key(self) -> bool:
        """Tell whether there is no such setting."""
        return self.kind == _UNKNOWN


Verdict = Content | tuple[Mistake, ...]
"""What a judge says of what is written."""
Judge = Callable[[Mapping[str, Any]], Verdict]
"""Is asked of what is written, a table as TOML has them."""
