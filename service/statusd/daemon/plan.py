"""What a daemon is made of, before it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from statusd.daemon.means import Outlets
from statusd.daemon.reload import FolderSettings
from statusd.daemon.reloader import NewSettings
from statusd.daemon.service_manager import ServiceManager
from statusd.daemon.session import MakeLink
from statusd.unit.name_lock import NameLock
from statusd.unit.parts import Parts
from statusd.wire.listen import Listen
from statusd.wire.names import Names


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What the daemon of a folder has besides.

    Args:
        lock: of its name on this machine; socket: where it is asked on this host.
        failed: unit -> why it can't be started.
        ended: what those are made of that a command has ended; their state files are given up.
        again: returns what a unit is made of, by its name, when it begins again; it may wait for
            the disk, and is called in a thread, with the loop of the daemon.
        settings: of the folder, now and as they were read last.
        until_ended: it leaves when all its units have ended; else when it is signalled.
    """

    lock: NameLock
    socket: Path
    failed: Mapping[str, str]
    ended: Mapping[str, Parts]
    again: Callable[[str, asyncio.AbstractEventLoop], Parts]
    settings: FolderSettings
    until_ended: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a daemon is made of; see `wiring`.

    Args:
        units: what each of its units is made of.
        names: of the namespace, and of the daemon's own channel (canary).
        boot: tells its canary from an older one's.
        make_link: makes a link to the broker.
        reload: returns new settings, or raises StatusdError.
        service_manager: who is told how far we are.
        outlets: where its workers print to.
        listen: where HTTP is answered; None for nowhere.
        folder: what it has besides, if it is that of a folder.
        prompts: signal -> the word that it stands for.
    """

    units: Sequence[Parts]
    names: Names
    boot: int
    make_link: MakeLink
    reload: Callable[[], NewSettings]
    service_manager: ServiceManager
    outlets: Outlets
    listen: Listen | None = None
    folder: FolderPlan | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)


def all_parts(plan: Plan) -> list[Parts]:
    """Return what all its units are made of, also those that rest when it begins."""
    return [*plan.units, *(plan.folder.ended.values() if plan.folder is not None else ())]


def without_units(plan: Plan) -> Plan:
    """Return what stays of a plan while its units come and go: who lives has its own parts."""
    return replace(plan, units=())


def stays(folder: FolderPlan | None) -> bool:
    """Tell whether a daemon goes on when its last unit has ended."""
    return folder is not None and not folder.until_ended


def launches(plan: Plan) -> str:
    """Return the name of a daemon that launches units again; empty for one that doesn't."""
    return plan.names.name if plan.folder is not None else ""
