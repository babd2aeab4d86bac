"""``statusd check``: every mistake in settings and lifecycle, at once."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from statusd.cli.run import find_settings
from statusd.core.errors import ConfigError
from statusd.core.lifecycle import Lifecycle, Part
from statusd.lifecycles import Source
from statusd.settings import Settings, load_lifecycle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the settings (TOML)")
    parser.epilog = "exit codes: 0 no mistakes, 78 mistakes; they stand on standard error"


def main(arguments: argparse.Namespace) -> int:
    """Load the settings as `statusd run` would, and say what they come to."""
    if arguments.file is not None and Source(arguments.file).content.keys() == {"lifecycle"}:
        lifecycle = load_lifecycle(arguments.file)
        print(f"{arguments.file}: no mistakes; a lifecycle, for [lifecycle] file = ...")
        print(f"  states   {_states(lifecycle)}")
        return 0
    file, settings = find_settings(arguments.file)
    missing = [*_missing_program(settings, file), *_missing_library(settings, file)]
    if missing:
        raise ConfigError(*missing)
    channels = ", ".join((f"{settings.redis.namespace}:control", *settings.control.channels))
    print(f"{file or 'environment'}: no mistakes")
    print(f"  unit     {settings.name}")
    print(f"  broker   {settings.address()}")
    print(f"  hears    {channels}")
    if settings.http.listen:
        print(f"  http     http://{settings.http.listen}: /livez /readyz /metrics")
    print(f"  worker   {settings.worker.function or ' '.join(settings.worker.command)}")
    print(f"  told     {_told(settings)}")
    print(f"  states   {_states(settings.states())}")
    print(f"  goal     {settings.first_goal()}")
    return 0


def _states(lifecycle: Lifecycle) -> str:
    return " ".join(state.name for state in lifecycle.members())


def _told(settings: Settings) -> str:
    """Say how the worker learns of its state, and which states it can't be told."""
    worker, lifecycle = settings.worker, settings.states()
    if worker.function:
        return "every state"
    ways = [f"{name} by {number}" for name, number in worker.signals.items()]
    if worker.input == "states":
        ways.insert(0, "every state by a line on its standard input")
    elif not worker.signals.keys() & {"END", "ENDING"}:
        ways.append("END by SIGTERM")
    telling = settings.telling()
    untold = [
        state.name
        for state in lifecycle.members()
        if lifecycle.parts[state] is not Part.ENDS
        and telling.objection(lifecycle, lifecycle.home, state)
    ]
    rest = f"; words that lead to {', '.join(untold)} are refused" if untold else ""
    return ", ".join(ways) + rest


def _missing_library(settings: Settings, file: Path | None) -> Iterator[str]:
    """Yield what an endpoint for metrics can't do without."""
    if not settings.http.listen:
        return
    from statusd.daemon.metrics import load

    try:
        load("registry")
    except ConfigError as error:
        yield f"{Source(file).place(('http', 'listen'))}: {error}"


def _missing_program(settings: Settings, file: Path | None) -> Iterator[str]:
    """Yield what `statusd run` would find out only when it starts the program."""
    worker, source = settings.worker, Source(file)
    directory = source.resolve(worker.directory) if worker.directory else Path.cwd()
    if not directory.is_dir():
        yield f"{source.place(('worker', 'directory'))}: {directory}: no such directory"
        return
    program = worker.command[0] if worker.command else worker.python
    if not program:
        return
    path = worker.environment.get("PATH", os.environ.get("PATH"))
    base = source.resolve("") if worker.python else directory
    found = shutil.which(str(base / program) if "/" in program else program, path=path)
    if found is None:
        where = f" in {base}" if "/" in program and not os.path.isabs(program) else ""
        key = "command" if worker.command else "python"
        text = f"{program}: no such program{where or ' in PATH'}"
        yield f"{source.place(('worker', key))}: {text}"
