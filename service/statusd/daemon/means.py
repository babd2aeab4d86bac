"""What a worker is started with, as its settings say it."""

from __future__ import annotations

import os
import signal
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from statusd import logs
from statusd.core.errors import Unavailable
from statusd.home import expanded
from statusd.lifecycles.load import module_places
from statusd.private import room
from statusd.settings.models import Settings
from statusd.supervision.output import Sink
from statusd.supervision.relay import Outlet
from statusd.supervision.ring import Ring
from statusd.supervision.supervisor import Means
from statusd.supervision.worker_channel import Spec
from statusd.supervision.worker_file import WorkerFile

Sinks = tuple[Sink, Sink]


class Outlets:
    """Where workers print to: each descriptor and each file has one sink, whoever shares it."""

    def __init__(self) -> None:
        self._sinks: dict[str, Sinks] = {}

    @property
    def all(self) -> frozenset[Sink]:
        """All that are open, each once."""
        return frozenset(sink for sinks in list(self._sinks.values()) for sink in sinks)

    def keep(self, used: Container[Sink]) -> list[Sink]:
        """Forget those of files that nobody prints to any more, and return them; close each.

        Args:
            used: those that somebody prints to. Nobody may ask for `sinks` meanwhile, or have them
                and not be counted here yet.
        """
        idle = {
            where: sinks[0]
            for where, sinks in self._sinks.items()
            if sinks[0].is_file and sinks[0] not in used
        }
        for where in idle:
            del self._sinks[where]
        return list(idle.values())

    def sinks(self, settings: Settings, file: Path | None) -> Sinks | None:
        """Return where the worker's standard output and error go; None if it inherits ours.

        Raises:
            Unavailable: the file can't be written.
        """
        output = settings.worker.output
        if output == "inherit":
            return None
        where = output if output == "tagged" else str(beside(file, output))
        if where not in self._sinks:
            self._sinks[where] = _tagged(settings) if output == "tagged" else _opened(Path(where))
        return self._sinks[where]


def _tagged(settings: Settings) -> Sinks:
    is_chosen = settings.log.format == "json"
    out, err = (logs.is_json() and (is_chosen or not os.isatty(fd)) for fd in (1, 2))
    return Sink(1, "stdout", is_json=out), Sink(2, "stderr", is_json=err)


def _opened(path: Path) -> Sinks:
    try:
        sink = Sink.open(path)
    except OSError as error:
        cure = f"{room(error)}name another file"
        raise Unavailable(f"worker.output: {path}: {error.strerror}: {cure}") from None
    return sink, sink


def means(
    settings: Settings,
    file: Path | None,
    directory: Path,
    outlets: Outlets,
    whose: str,
    deadline: float = 0.0,
) -> Means:
    """Return what the worker of ``settings`` is started with.

    Args:
        file: where they came from.
        directory: for the file that names its process.
        outlets: where it may print to.
        whose: the unit, as lines of its worker name it among others'; empty for the only one.
        deadline: when its job has to be over, in Unix time; 0 for never.

    Raises:
        Unavailable: its output can't be written.
    """
    worker_file = WorkerFile(directory.absolute(), settings.name, whose)
    spec = replace(_spec(settings, file), worker_file=str(worker_file.path), unit=whose)
    spec = replace(spec, deadline=deadline)
    sinks = outlets.sinks(settings, file)
    return Means(spec, Outlet(*sinks, Ring()) if sinks is not None else None, worker_file)


def _spec(settings: Settings, file: Path | None) -> Spec:
    lifecycle, worker = settings.states(), settings.worker
    members = lifecycle.members()
    directory = str(beside(file, worker.directory)) if worker.directory else ""
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
        environment_file=beside(file, worker.environment_file) if worker.environment_file else None,
        chosen_environment=worker.environment,
        umask=worker.umask,
        nice=worker.nice,
        ignored=_ignored(settings),
    )


def _ignored(settings: Settings) -> tuple[int, ...]:
    """Return the signals that are for the daemon, and by which the worker isn't told a state."""
    told = settings.worker.signals.values()
    return tuple(signal.Signals[name] for name in settings.daemon.signals if name not in told)


def _told_as(name: str) -> str:
    """Return the state in which a worker is told of END."""
    return "ENDING" if name == "END" else name


def beside(file: Path | None, path: str) -> Path:
    """Return ``path`` as it is meant: beside the settings' file, if it isn't absolute."""
    base = file.resolve().parent if file is not None else Path.cwd()
    return base / expanded(path)


def _program(file: Path | None, name: str) -> str:
    """Return a program's path; a name without a slash is looked for in PATH."""
    return str(beside(file, name)) if "/" in name else name


def _environment() -> dict[str, str]:
    """Return the worker's environment: ours, but for what is meant for us alone.

    ``NOTIFY_SOCKET`` and the watchdog's variables are the service manager's words with *us*, and
    ``STATUSD_*`` may hold the broker's password.
    """
    ours = ("STATUSD_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}
