"""The settings' paths and environment variables, and whose name is a slip of one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from typing import Any

from statusd.core.suggestions import nearest
from statusd.settings.tables import PREFIX, Content, KeyPath

_INJECTED = re.compile(r"STATUSD_((WEB_)?(SERVICE_|PORT)|ARG|RUN$|INSTANCE$|DEADLINE$)")
"""Kubernetes injects these for a Service that is called statusd or statusd-web, and we ourselves in
a worker."""


def fields(table: Any = None, above: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every setting."""
    table = Content() if table is None else table
    for field in fields_of(table):
        inner = getattr(table, field.name)
        if is_dataclass(inner):
            yield from fields(inner, (*above, field.name))
        else:
            yield (*above, field.name)


def said_in(content: Mapping[str, Any]) -> frozenset[KeyPath]:
    """Return the paths of the tables and settings that something is said of."""
    found = set()
    for key, value in content.items():
        inner: Iterable[str] = value if isinstance(value, Mapping) else ()
        found |= {(key,), *((key, name) for name in inner)}
    return frozenset(found)


def variable(path: KeyPath) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + "__".join(path).upper()


def unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a complaint about each variable of ours that is no setting."""
    known = {variable(path) for path in fields()} | {variable(path[:1]) for path in fields()}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not _INJECTED.match(name):
            near = nearest(name, tuple(known))
            yield f"environment: unknown variable {name}" + (
                f", did you mean {near}?" if near else ""
            )
