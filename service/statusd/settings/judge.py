"""The judge of what is written: each value by its kind, each table by its keys, all at once.

With `schema` the one place that imports pydantic's core, some MiB of a process. So whoever lives
long has it asked in another one (`daemon.judging`), and imports it only where that fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic_core import SchemaValidator, ValidationError

from statusd.settings.schema import of_table
from statusd.settings.tables import Content
from statusd.settings.verdict import Mistake, Verdict


def judge(content: Mapping[str, Any]) -> Verdict:
    """Return what ``content``, a table as TOML has them, comes to; or every mistake in it."""
    try:
        found: Content = _validator().validate_python(dict(content))
    except ValidationError as error:
        return tuple(_mistakes(error))
    return found


@cache
def _validator() -> SchemaValidator:
    return SchemaValidator(of_table(Content))


def _mistakes(error: ValidationError) -> Iterator[Mistake]:
    """Yield them in plain values, which another process may be told."""
    for item in error.errors(include_url=False, include_context=False):
        place, value = item["loc"], item["input"]
        is_entry = bool(place) and isinstance(place[-1], int)
        shown = value if is_entry and isinstance(value, str | int | float) else None
        yield Mistake(item["type"], place, item["msg"], shown)
