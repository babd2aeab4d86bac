"""What SIGHUP may change while units live: together, or not at all.

Rules of this file: new settings are loaded whole before anything changes; what is not in `LIVE`
needs a restart, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from statusd.core.errors import Unavailable
from statusd.daemon.reloader import FolderChanges, NewSettings, UnitSettings
from statusd.settings.folder import COMMON, Folder, FolderUnit
from statusd.settings.models import Settings
from statusd.settings.tables import Content

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
    "worker.memory_max",
    "worker.on_memory",
    "worker.stop_timeout_s",
    "worker.signal_stop_timeout_s",
    "worker.kill_timeout_s",
    "daemon.requeue_exit",
    "log.level",
)
"""What a running unit takes over."""
OF_NO_UNIT = ("instances", "web")
"""How many units a file makes is no affair of any one of them, and what a server of the fleet is
told none of any daemon."""


def of_file(settings: Settings, load_again: Callable[[], Settings]) -> Callable[[], NewSettings]:
    """Return what loads the settings of the only unit anew, and says what is taken over."""

    def reload() -> NewSettings:
        nonlocal settings
        new = load_again()
        differ = changes(settings, new)
        settings = merged(settings, new)
        return NewSettings(settings.address(), settings.log.level, (_of_unit(settings, *differ),))

    return reload


class FolderSettings:
    """The settings of a folder: those by which each unit lives, and those of the last loading.

    Args:
        folder: as it was loaded first; load_again: loads it, or raises StatusdError.
    """

    def __init__(self, folder: Folder, load_again: Callable[[], Folder]) -> None:
        self._load = load_again
        self._shared = folder.shared
        self._latest = {unit.settings.name: unit for unit in folder.units}
        self._lived_by = {name: unit.settings for name, unit in self._latest.items()}

    def reload(self) -> NewSettings:
        """Load the folder anew, and return what is taken over; its units stay those they are."""
        folder, new = self.look()
        self.accept(folder)
        return new

    def look(self) -> tuple[Folder, NewSettings]:
        """Load the folder anew, and return it, and what of it would be taken over."""
        folder, known = self._load(), self._lived_by
        found = {unit.settings.name: unit.settings for unit in folder.units}
        changed, needs_restart = changes(self._shared, folder.shared)
        units = []
        for name in sorted(known.keys() & found.keys()):
            differ = [list(filter(_is_units, keys)) for keys in changes(known[name], found[name])]
            units.append(_of_unit(merged(known[name], found[name]), *differ))
        added, removed = sorted(found.keys() - known.keys()), sorted(known.keys() - found.keys())
        more = FolderChanges(changed, needs_restart, added, removed)
        shared = merged(self._shared, folder.shared)
        return folder, NewSettings(shared.address(), shared.log.level, tuple(units), more)

    def accept(self, folder: Folder) -> None:
        """Let what can change in living units be as ``folder`` says; the rest when they begin."""
        self._shared = merged(self._shared, folder.shared)
        for unit in folder.units:
            name = unit.settings.name
            if name in self._lived_by:
                self._latest[name] = unit
                self._lived_by[name] = merged(self._lived_by[name], unit.settings)

    def add(self, folder: Folder, names: Iterable[str]) -> None:
        """Take in units that are new in ``folder``."""
        for unit in folder.units:
            if unit.settings.name in names:
                self._latest[unit.settings.name] = unit
                self._lived_by[unit.settings.name] = unit.settings

    def remove(self, names: Iterable[str]) -> None:
        """Forget units that are not in the folder any more."""
        for name in names:
            del self._latest[name], self._lived_by[name]

    def begin(self, name: str) -> FolderUnit:
        """Return the settings by which a unit lives that begins again: the latest.

        Raises:
            Unavailable: it has none any more.
        """
        unit = self._latest.get(name)
        if unit is None:  # a reload came before
            raise Unavailable(f"{name} has no settings in the folder any more")
        self._lived_by[name] = unit.settings
        return unit


def _of_unit(settings: Settings, changed: list[str], needs_restart: list[str]) -> UnitSettings:
    return UnitSettings(
        settings.name,
        settings.policy(),
        frozenset(settings.tags),
        settings.control.channels,
        settings.control.durable_s,
        changed,
        needs_restart,
    )


def _is_units(key: str) -> bool:
    return key.partition(".")[0] not in COMMON


def changes(old: Settings, new: Settings) -> tuple[list[str], list[str]]:
    """Return the keys that differ: those that are taken over, and those that need a restart."""
    differ = [key for key in _differences(old, new) if key.partition(".")[0] not in OF_NO_UNIT]
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
            update[table] = replace(inner, **{name: getattr(getattr(new, table), name)})
        else:
            update[name] = getattr(new, name)
    return replace(old, **update)


def _differences(old: Any, new: Any, kind: type = Content, above: str = "") -> Iterator[str]:
    """Yield the keys of what differs in two tables."""
    for field in fields(kind):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if is_dataclass(before):
            yield from _differences(before, after, type(before), f"{above}{field.name}.")
        elif before != after:
            yield above + field.name
