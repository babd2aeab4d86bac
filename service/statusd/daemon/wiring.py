"""The one place that knows all parts: settings in, a daemon out."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from statusd.core.errors import ConfigError, Unavailable
from statusd.core.lifecycle import Lifecycle
from statusd.core.status import Status
from statusd.core.unit import Identity
from statusd.daemon import reload
from statusd.daemon.daemon import Daemon
from statusd.daemon.means import Outlets, means
from statusd.daemon.plan import FolderPlan, Plan
from statusd.daemon.reload import FolderSettings
from statusd.daemon.reloader import NewSettings
from statusd.daemon.service_manager import ServiceManager
from statusd.home import nobodys, xdg
from statusd.settings.deadline import moment
from statusd.settings.folder import Folder, FolderUnit
from statusd.settings.models import Settings
from statusd.unit import claim
from statusd.unit.claim import CHOSEN, Origin
from statusd.unit.kept import NOTHING
from statusd.unit.name_lock import NameLock
from statusd.unit.parts import Parts
from statusd.unit.state_file import StateFile, usable
from statusd.wire.address import Address
from statusd.wire.link import Link, Listener
from statusd.wire.local import daemon_socket_file, socket_file
from statusd.wire.names import Names, former_name, settings_path
from statusd.wire.own_broker import present_folder


def build(
    settings: Settings,
    file: Path | None,
    load_again: Callable[[], Settings],
    *,
    fresh: bool = False,
    typed: str = "",
    adapt: Callable[[Plan], Plan] = lambda plan: plan,
) -> Daemon:
    """Return a daemon for ``settings``; it has taken its name on this machine, and no more.

    Args:
        settings: what the user wants.
        file: where they came from; its folder is a place to look for the worker's modules.
        load_again: returns the settings as they are now, for SIGHUP.
        fresh: forget the goal of the last time.
        typed: the line that was typed in the place of a file; empty if none was.
        adapt: may put other parts in the place of the usual ones.

    Raises:
        ConfigError: a home directory is needed, and there is none.
        Unavailable: the state directory can't be used, or the name is taken.
    """
    outlets = Outlets()
    unit = unit_parts(settings, origin(settings, file, typed=typed), outlets, fresh=fresh)
    load = reload.of_file(settings, load_again)
    return Daemon(adapt(_plan(settings, unit.names, (unit,), load, outlets)))


def build_folder(
    folder: Folder,
    load_again: Callable[[], Folder],
    *,
    fresh: bool = False,
    until_ended: bool = False,
    adapt: Callable[[Plan], Plan] = lambda plan: plan,
) -> Daemon:
    """Return a daemon for the units of ``folder``; it has taken the names that it could get.

    Args:
        folder: what the user wants.
        load_again: returns it as it is now, for SIGHUP.
        fresh: forget the goals of the last time, and who was ended.
        until_ended: it leaves when all its units have ended.
        adapt: may put other parts in the place of the usual ones.

    Raises:
        ConfigError: a home directory is needed, and there is none.
        Unavailable: the state directory can't be used, or the daemon's name is taken, or each
            unit's.
    """
    shared, outlets = folder.shared, Outlets()
    names = Names(shared.redis.namespace, folder.name)
    lock = _daemon_lock(state_directory(shared), folder.name)
    units: list[Parts] = []
    failed: dict[str, str] = {}
    ended: dict[str, Parts] = {}
    for one in folder.units:
        try:
            unit = _one_of_many(one, outlets, fresh=fresh)
        except Unavailable as error:
            failed[one.settings.name] = str(error)
            continue
        if unit.kept.ended is None:
            units.append(unit)
        else:
            ended[one.settings.name] = unit
            unit.state_file.give_up()
    if not units and not ended:
        raise Unavailable("; ".join(dict.fromkeys(failed.values())))
    known = FolderSettings(folder, load_again)

    def again(name: str, loop: asyncio.AbstractEventLoop) -> Parts:
        return _one_of_many(known.begin(name), outlets, fresh=False, loop=loop)

    plan = _plan(shared, names, units, known.reload, outlets)
    socket = daemon_socket_file(names.namespace, names.name)
    more = FolderPlan(lock, socket, failed, ended, again, known, until_ended=until_ended)
    return Daemon(adapt(replace(plan, folder=more)))


def _one_of_many(
    unit: FolderUnit,
    outlets: Outlets,
    *,
    fresh: bool,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Parts:
    """Return what a unit of a folder is made of; see `unit_parts`."""
    whose = origin(unit.settings, unit.file, unit.instance)
    return unit_parts(unit.settings, whose, outlets, fresh=fresh, is_one_of_many=True, loop=loop)


def _daemon_lock(directory: Path, name: str) -> NameLock:
    with usable(directory):
        return NameLock(directory / f"{name}.daemon", "daemon")


def _plan(
    settings: Settings,
    names: Names,
    units: Sequence[Parts],
    load: Callable[[], NewSettings],
    outlets: Outlets,
) -> Plan:
    """Return what a daemon is made of.

    Args:
        settings: what in them is the daemon's; names: of the daemon.
    """
    return Plan(
        units=units,
        names=names,
        boot=max([int(time.time() * 1000), *(unit.identity.boot for unit in units)]),
        make_link=partial(_link, settings.address(), names.name),
        reload=load,
        service_manager=ServiceManager.from_environment(),
        outlets=outlets,
        listen=settings.http.where(),
        prompts=settings.daemon.signals,
    )


def unit_parts(
    settings: Settings,
    origin: Origin,
    outlets: Outlets,
    *,
    fresh: bool,
    is_one_of_many: bool = False,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Parts:
    """Return what the unit of ``settings`` is made of; its name on this machine is taken.

    Args:
        origin: where its name comes from.
        outlets: where its worker may print to.
        fresh: nothing of the last time counts.
        is_one_of_many: lines of the log, and of its worker, name it.
        loop: of the daemon, if it isn't the running one.

    Raises:
        ConfigError, Unavailable: as `build` does; then nothing is taken.
    """
    names = Names(settings.redis.namespace, settings.name)
    directory = state_directory(settings)
    whose = names.name if is_one_of_many else ""
    deadline = _deadline(settings, origin)
    worker = means(settings, origin.file, directory, outlets, whose, deadline)
    state_file = StateFile(directory, names.name, names.namespace, origin, loop)
    try:
        kept, last_boot = (NOTHING, 0) if fresh else state_file.load()
    except Unavailable:
        state_file.give_up()
        raise
    identity = Identity(
        names.name,
        frozenset(settings.tags),
        boot=max(int(time.time() * 1000), last_boot + 1),
        namespace=names.namespace,
    )
    return Parts(
        identity=identity,
        make_status=lambda memory, objection: Status(
            identity,
            lifecycle=settings.states(),
            capabilities=settings.capabilities(),
            policy=replace(settings.policy(), deadline=deadline),
            memory=memory,
            default_goal=settings.goal,
            draw=random.random,
            objection=objection,
        ),
        names=names,
        means=worker,
        state_file=state_file,
        kept=kept,
        last_boot=last_boot,
        socket=socket_file(names.namespace, names.name),
        channels=settings.control.channels,
        lasting_s=settings.control.durable_s,
        fresh=fresh,
        drawn=lambda: _drawn(settings.states()),
        own_words=frozenset(row.trigger for row in settings.states().rows),
    )


def _deadline(settings: Settings, origin: Origin) -> float:
    """Return when the unit has to be over, in Unix time; 0 for never.

    Raises:
        Unavailable: that isn't known here, or is over; of a program that has attached: or is near.
    """
    now, worker = time.time(), settings.worker
    try:
        at = moment(worker.deadline, os.environ, now)
        if (
            settings.is_attached and at and at - now <= worker.margin_s()
        ):  # its program works already
            less = f"less than deadline_margin_s ({worker.margin_s():g} s) is left"
            raise ValueError(f"{worker.deadline}: {less}")
    except ValueError as error:
        where = f"{origin.file}: " if origin.file is not None else ""
        raise Unavailable(f"{where}worker.deadline: {error}") from None
    return at


def _drawn(lifecycle: Lifecycle) -> str:
    from statusd.lifecycles.drawing import as_json  # when it is wanted: a start can do without

    return as_json(lifecycle)


def origin(settings: Settings, file: Path | None, instance: int = 0, *, typed: str = "") -> Origin:
    """Return where the unit's name comes from; without a file it is as it always was.

    Args:
        typed: the line that was typed in the place of a file.
    """
    if typed:
        return Origin(claim.typed(present_folder(), typed), is_derived=settings.is_name_derived)
    if file is None:
        return CHOSEN
    path = str(settings_path(file))
    if not settings.is_name_derived:
        return Origin(path)
    return Origin(path, is_derived=True, former="" if instance else former_name(file))


def _link(address: Address, name: str, listener: Listener, channels: tuple[str, ...]) -> Link:
    """Return a link that hears ``channels``, or sends."""
    client = f"statusd-{name}-{'hears' if channels else 'sends'}"
    return Link(address, client, listener, draw=random.random, clock=elapsed, channels=channels)


def elapsed() -> float:
    """Return seconds that nobody sets and that go on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def state_directory(settings: Settings) -> Path:
    """Return where state files live: the setting, systemd's ``$STATE_DIRECTORY``, or XDG's.

    Raises:
        ConfigError: none is set, and this user has no home.
    """
    chosen = settings.state_directory or os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if chosen:
        return Path(chosen)
    base = xdg("XDG_STATE_HOME", ".local/state")
    if base is None:
        cure = "set state_directory, STATUSD_STATE_DIRECTORY or HOME"
        raise ConfigError(f"state directory: {nobodys()}: {cure}")
    return base / "statusd"
