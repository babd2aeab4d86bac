"""The settings' paths and environment variables, and whose name is a slip of one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from statusd.core.suggestions import nearest
from statusd.settings.models import PREFIX, Settings

_INJECTED = re.compile(r"STATUSD_(SERVICE_|PORT|ARG|RUN$|INSTANCE$)")
"""Kubernetes injects these for a Service that is called statusd, and we ourselves in a worker."""


def fields(
    model: type[BaseModel] = Settings, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield the path of every setting."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, (*above, name))
        else:
            yield (*above, name)


def variable(path: tuple[str, ...]) -> str:
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
