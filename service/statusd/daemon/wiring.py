"""The one place that knows all parts: settings in, a daemon out."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from statusd.core.status import Status
from statusd.core.unit import Identity, Memory
from statusd.daemon.loop import Daemon, Parts
from statusd.daemon.process import Spec
from statusd.daemon.service_manager import ServiceManager
from statusd.daemon.state_file import StateFile
from statusd.settings import Settings
from statusd.wire.link import Link
from statusd.wire.names import Names


def build(settings: Settings, file: Path | None, *, fresh: bool = False) -> Daemon:
    """Return a daemon for ``settings``; it has taken its name on this machine, and no more.

    Args:
        settings: what the user wants.
        file: where they came from; its folder is a place to look for the worker's modules.
        fresh: forget the goal of the last time.

    Raises:
        Unavailable: the state directory can't be used, or the name is taken.
    """
    state_file = StateFile(state_directory(settings), settings.name)
    memory, last_boot = (Memory(), 0) if fresh else state_file.load()
    identity = Identity(
        settings.name,
        frozenset(settings.tags),
        boot=max(int(time.time() * 1000), last_boot + 1),
        namespace=settings.redis.namespace,
    )
    status = Status(
        identity,
        policy=settings.policy(),
        memory=memory,
        default_goal=settings.goal,
        draw=random.random,
    )
    address = settings.address()

    def make_link(listener: Daemon, channels: tuple[str, ...]) -> Link:
        name = f"statusd-{settings.name}-{'hears' if channels else 'sends'}"
        return Link(address, name, listener, draw=random.random, wall=time.time, channels=channels)

    parts = Parts(
        status=status,
        names=Names(settings.redis.namespace, settings.name),
        spec=_spec(settings, status, file),
        state_file=state_file,
        service_manager=ServiceManager.from_environment(),
        make_link=make_link,
        channels=settings.control.channels,
    )
    return Daemon(parts)


def _spec(settings: Settings, status: Status, file: Path | None) -> Spec:
    lifecycle = status.lifecycle
    places = [Path.cwd()] if file is None else [Path.cwd(), file.resolve().parent]
    return Spec(
        function=settings.worker.function,
        ready=settings.worker.ready,
        states=tuple(state.name for state in lifecycle.members()),
        parts="".join(lifecycle.parts[state].value for state in lifecycle.members()),
        paths=tuple(dict.fromkeys(map(str, places))),
        environment=_environment(),
    )


def _environment() -> dict[str, str]:
    """Return the worker's environment: ours, but for what is meant for us alone.

    ``NOTIFY_SOCKET`` and the watchdog's variables are the service manager's words with *us*, and
    ``STATUSD_*`` may hold the broker's password.
    """
    ours = ("STATUSD_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


def state_directory(settings: Settings) -> Path:
    """Return where state files live: the setting, systemd's ``$STATE_DIRECTORY``, or XDG's."""
    chosen = settings.state_directory or os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "statusd"
