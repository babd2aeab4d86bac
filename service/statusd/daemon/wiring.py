"""The one place that knows all parts: settings in, a daemon out."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from statusd import logs
from statusd.core.errors import ConfigError, Unavailable
from statusd.core.status import Status
from statusd.core.unit import Identity
from statusd.daemon.daemon import Daemon
from statusd.daemon.plan import Plan
from statusd.daemon.reload import changes, merged
from statusd.daemon.reloader import NewSettings
from statusd.daemon.service_manager import ServiceManager
from statusd.home import expanded, nobodys, xdg
from statusd.lifecycles.load import module_places
from statusd.private import room
from statusd.settings.models import Settings
from statusd.supervision.output import Sink
from statusd.supervision.supervisor import Means
from statusd.supervision.worker_channel import Spec
from statusd.supervision.worker_file import WorkerFile
from statusd.unit.claim import CHOSEN, Origin
from statusd.unit.parts import Parts
from statusd.unit.state_file import StateFile
from statusd.unit.state_format import NOTHING
from statusd.wire.address import Address
from statusd.wire.link import Link, Listener
from statusd.wire.local import socket_file
from statusd.wire.names import Names, former_name, settings_path


def build(
    settings: Settings,
    file: Path | None,
    load_again: Callable[[], Settings],
    *,
    fresh: bool = False,
    adapt: Callable[[Plan], Plan] = lambda plan: plan,
) -> Daemon:
    """Return a daemon for ``settings``; it has taken its name on this machine, and no more.

    Args:
        settings: what the user wants.
        file: where they came from; its folder is a place to look for the worker's modules.
        load_again: returns the settings as they are now, for SIGHUP.
        fresh: forget the goal of the last time.
        adapt: may put other parts in the place of the usual ones.

    Raises:
        ConfigError: a home directory is needed, and there is none.
        Unavailable: the state directory can't be used, or the name is taken.
    """
    unit = unit_parts(settings, file, fresh=fresh)
    plan = Plan(
        units=(unit,),
        names=unit.names,
        boot=unit.identity.boot,
        make_link=partial(_link, settings.address(), settings.name),
        reload=_reload(settings, load_again),
        service_manager=ServiceManager.from_environment(),
        listen=settings.http.where(),
    )
    return Daemon(adapt(plan))


def unit_parts(settings: Settings, file: Path | None, *, fresh: bool) -> Parts:
    """Return what the unit of ``settings`` is made of; its name on this machine is taken.

    Raises:
        ConfigError, Unavailable: as `build` does.
    """
    names = Names(settings.redis.namespace, settings.name)
    directory = state_directory(settings)
    state_file = StateFile(directory, names.name, names.namespace, origin(settings, file))
    kept, last_boot = (NOTHING, 0) if fresh else state_file.load()
    identity = Identity(
        names.name,
        frozenset(settings.tags),
        boot=max(int(time.time() * 1000), last_boot + 1),
        namespace=names.namespace,
    )
    worker_file = WorkerFile(directory.absolute(), names.name)
    spec = replace(_spec(settings, file), worker_file=str(worker_file.path))
    return Parts(
        identity=identity,
        make_status=lambda memory, objection: Status(
            identity,
            lifecycle=settings.states(),
            capabilities=settings.capabilities(),
            policy=settings.policy(),
            memory=memory,
            default_goal=settings.goal,
            draw=random.random,
            objection=objection,
        ),
        names=names,
        means=Means(spec, _sinks(settings, file), worker_file),
        state_file=state_file,
        kept=kept,
        last_boot=last_boot,
        socket=socket_file(names.namespace, names.name),
        channels=settings.control.channels,
        lasting_s=settings.control.durable_s,
        fresh=fresh,
    )


def origin(settings: Settings, file: Path | None) -> Origin:
    """Return where the unit's name comes from; without a file it is as it always was."""
    if file is None:
        return CHOSEN
    path = str(settings_path(file))
    if not settings.is_name_derived:
        return Origin(path)
    return Origin(path, is_derived=True, former=former_name(file))


def _link(address: Address, name: str, listener: Listener, channels: tuple[str, ...]) -> Link:
    """Return a link that hears ``channels``, or sends."""
    client = f"statusd-{name}-{'hears' if channels else 'sends'}"
    return Link(address, client, listener, draw=random.random, clock=elapsed, channels=channels)


def _reload(settings: Settings, load_again: Callable[[], Settings]) -> Callable[[], NewSettings]:
    """Return what loads the settings anew and says what of them is taken over."""

    def reload() -> NewSettings:
        nonlocal settings
        new = load_again()
        changed, needs_restart = changes(settings, new)
        settings = merged(settings, new)
        return NewSettings(
            settings.name,
            settings.policy(),
            frozenset(settings.tags),
            settings.control.channels,
            settings.address(),
            settings.log.level,
            settings.control.durable_s,
            changed,
            needs_restart,
        )

    return reload


def elapsed() -> float:
    """Return seconds that nobody sets and that go on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _spec(settings: Settings, file: Path | None) -> Spec:
    lifecycle, worker = settings.states(), settings.worker
    members = lifecycle.members()
    directory = str(_beside(file, worker.directory)) if worker.directory else ""
    places = module_places(file)
    return Spec(
        states=tuple(state.name for state in members),
        parts="".join(lifecycle.parts[state].value for state in members),
        ready=worker.ready,
        function=worker.function,
        command=worker.command,
        python=_program(file, worker.python),
        worker_states=lifecycle.worker_states,
        paths=tuple(dict.fromkeys([directory, *places] if directory else places)),
        lines=worker.input == "states",
        signals={_told_as(name): number for name, number in worker.signals.items()},
        directory=directory,
        environment=_environment(),
        environment_file=_beside(file, worker.environment_file)
        if worker.environment_file
        else None,
        chosen_environment=worker.environment,
        umask=worker.umask,
        nice=worker.nice,
    )


def _told_as(name: str) -> str:
    """Return the state in which a worker is told of END."""
    return "ENDING" if name == "END" else name


def _beside(file: Path | None, path: str) -> Path:
    """Return ``path`` as it is meant: beside the settings' file, if it isn't absolute."""
    base = file.resolve().parent if file is not None else Path.cwd()
    return base / expanded(path)


def _program(file: Path | None, name: str) -> str:
    """Return a program's path; a name without a slash is looked for in PATH."""
    return str(_beside(file, name)) if "/" in name else name


def _sinks(settings: Settings, file: Path | None) -> tuple[Sink, Sink] | None:
    """Return where the worker's standard output and error go; None if it inherits ours."""
    output = settings.worker.output
    if output == "inherit":
        return None
    if output == "tagged":
        is_chosen = settings.log.format == "json"
        out, err = (logs.is_json() and (is_chosen or not os.isatty(fd)) for fd in (1, 2))
        return Sink(1, "stdout", is_json=out), Sink(2, "stderr", is_json=err)
    path = _beside(file, output)
    try:
        sink = Sink.open(path)
    except OSError as error:
        cure = f"{room(error)}name another file"
        raise Unavailable(f"worker.output: {path}: {error.strerror}: {cure}") from None
    return sink, sink


def _environment() -> dict[str, str]:
    """Return the worker's environment: ours, but for what is meant for us alone.

    ``NOTIFY_SOCKET`` and the watchdog's variables are the service manager's words with *us*, and
    ``STATUSD_*`` may hold the broker's password.
    """
    ours = ("STATUSD_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


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
