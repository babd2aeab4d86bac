"""What SIGHUP may change while the unit lives: together, or not at all.

Rules of this file: new settings are loaded whole before anything changes; what is not in `LIVE`
needs a restart, and is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from statusd.settings.models import Settings

LIVE = (
    "tags",
    "control.channels",
    "control.durable_s",
    "redis.username",
    "redis.password",
    "redis.password_file",
    "redis.sentinel_username",
    "redis.sentinel_password",
    "redis.sentinel_password_file",
    "worker.ready_timeout_s",
    "worker.ack_timeout_s",
    "worker.restart",
    "worker.restart_never_on",
    "worker.backoff_s",
    "worker.budget",
    "worker.window_s",
    "worker.on_failed",
    "worker.hang_timeout_s",
    "worker.stop_timeout_s",
    "worker.signal_stop_timeout_s",
    "worker.kill_timeout_s",
    "log.level",
)
"""What a running unit takes over."""


def changes(old: Settings, new: Settings) -> tuple[list[str], list[str]]:
    """Return the keys that differ: those that are taken over, and those that need a restart."""
    differ = list(_differences(old, new))
    if old.states() != new.states():
        differ += [key for key in ("lifecycle",) if not any(d.startswith(key) for d in differ)]
    return [key for key in differ if key in LIVE], [key for key in differ if key not in LIVE]


def merged(old: Settings, new: Settings) -> Settings:
    """Return ``old`` with what is live of ``new``."""
    update: dict[str, Any] = {}
    for key in LIVE:
        table, _, name = key.rpartition(".")
        if table:
            inner = update.get(table, getattr(old, table))
            update[table] = inner.model_copy(update={name: getattr(getattr(new, table), name)})
        else:
            update[name] = getattr(new, name)
    return old.model_copy(update=update)


def _differences(old: BaseModel, new: BaseModel, above: str = "") -> Iterator[str]:
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, BaseModel):
            yield from _differences(before, after, f"{above}{name}.")
        elif before != after:
            yield above + name
