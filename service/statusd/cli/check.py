"""``statusd check``: every mistake in settings and lifecycle, at once."""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

from statusd.cli import out
from statusd.cli.files import settings_file
from statusd.cli.settings import find_settings
from statusd.core.errors import ConfigError
from statusd.core.lifecycle import Lifecycle, Part
from statusd.core.suggestions import nearest
from statusd.lifecycles.load import Source, module_places
from statusd.reading import opened
from statusd.settings.load import load_lifecycle
from statusd.settings.models import Settings
from statusd.worker.unexecutable import objection

TLS_FILES = ("ca_file", "cert_file", "key_file")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file", nargs="?", type=settings_file, metavar="FILE", help="the settings (TOML)"
    )
    parser.epilog = """\
examples:
  statusd check                what `statusd run` would say
  statusd check job.toml

exit codes: 0 no mistakes, 78 mistakes; they stand on standard error"""


def main(arguments: argparse.Namespace) -> int:
    """Load the settings as `statusd run` would, and say what they come to."""
    if arguments.file is not None and Source(arguments.file).content.keys() == {"lifecycle"}:
        lifecycle = load_lifecycle(arguments.file)
        out.say(f"{arguments.file}: no mistakes; a lifecycle, for [lifecycle] file = ...")
        out.say(f"  states   {_states(lifecycle)}")
        return 0
    file, settings = find_settings(arguments.file, "check")
    missing = [
        *_missing_program(settings, file),
        *_missing_function(settings, file),
        *_missing_files(settings, file),
        *_missing_library(settings, file),
        *_missing_home(settings),
    ]
    if missing:
        raise ConfigError(*missing)
    channels = ", ".join((f"{settings.redis.namespace}:control", *settings.control.channels))
    out.say(f"{file or 'environment'}: no mistakes")
    out.say(f"  unit     {settings.name}")
    out.say(f"  broker   {settings.address()}")
    out.say(f"  hears    {channels}")
    if settings.http.listen:
        out.say(f"  http     http://{settings.http.listen}: /livez /readyz /metrics")
    out.say(f"  worker   {settings.worker.function or ' '.join(settings.worker.command)}")
    out.say(f"  told     {_told(settings)}")
    out.say(f"  states   {_states(settings.states())}")
    out.say(f"  goal     {settings.first_goal()}")
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
    capabilities = settings.capabilities()
    untold = [
        state.name
        for state in lifecycle.members()
        if lifecycle.parts[state] is not Part.ENDS
        and capabilities.objection(lifecycle, lifecycle.home, state)
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
    chosen = str(base / program) if "/" in program else program
    found = shutil.which(chosen, path=path)
    key = "command" if worker.command else "python"
    there = found or (chosen if "/" in program and os.path.isfile(chosen) else "")
    fault = objection(there, shown=program if "/" in program else there, path=path)
    if there and fault:
        yield f"{source.place(('worker', key))}: {program}: {fault}"
    elif found is None:
        where = f" in {base}" if "/" in program and not os.path.isabs(program) else ""
        text = f"{program}: no such program{where or ' in PATH'}"
        yield f"{source.place(('worker', key))}: {text}"


def _missing_function(settings: Settings, file: Path | None) -> Iterator[str]:
    """Yield why the function can't be called, as far as that is seen without running its module."""
    worker, source = settings.worker, Source(file)
    module, _, name = worker.function.partition(":")
    if not module or worker.python:  # another interpreter has its own modules
        return
    place = source.place(("worker", "function"))
    directory = [str(source.resolve(worker.directory))] if worker.directory else []
    places = [*directory, *module_places(file)]
    code, where = _source_of(module, [*places, *sys.path])
    if where is None:
        yield f"{place}: no module {module} in {', '.join(places)}, nor installed"
        return
    try:
        names = _top_names(code)
    except SyntaxError as error:
        yield f"{where}:{error.lineno}: {error.msg}"
        return
    first = name.partition(".")[0]
    if names and first not in names:
        near = nearest(first, tuple(names))
        yield f"{place}: {where} has no {first}{f', did you mean {near}?' if near else ''}"


def _source_of(module: str, places: list[str]) -> tuple[str, str | None]:
    """Return a module's text and file: no text if it isn't Python, no file if there is none."""
    path: list[str] | None = places
    spec = None
    for name in accumulate(module.split("."), "{}.{}".format):
        spec = PathFinder.find_spec(name, path) if path else None
        if spec is None and name == module.partition(".")[0]:
            spec = find_spec(name)  # also what an editable installation has its own finder for
        if spec is None:
            return "", None
        path = list(spec.submodule_search_locations or ())
    assert spec is not None
    if not isinstance(spec.loader, SourceFileLoader):
        return "", str(spec.origin)
    return spec.loader.get_source(spec.name) or "", str(spec.origin)


def _top_names(code: str) -> set[str]:
    """Return what a module defines; nothing if that can't be told (``from x import *``)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Import(names=found) | ast.ImportFrom(names=found):
                if any(alias.name == "*" for alias in found):
                    return set()
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in found}
    return names


def _missing_home(settings: Settings) -> Iterator[str]:
    """Yield why there is no place for the state file."""
    from statusd.daemon.wiring import state_directory

    try:
        state_directory(settings)
    except ConfigError as error:
        yield str(error)


def _missing_files(settings: Settings, file: Path | None) -> Iterator[str]:
    """Yield what the daemon would complain of again and again, each time it connects."""
    redis, source = settings.redis, Source(file)
    for key in ("password_file", "sentinel_password_file", *TLS_FILES):
        path = getattr(redis, key)
        if not path:
            continue
        place = source.place(("redis", key))
        if key in TLS_FILES and not redis.url.startswith("rediss"):
            yield f"{place}: it is for TLS, and redis.url isn't rediss://"
        try:
            with opened(path):
                pass
        except OSError as error:
            yield f"{place}: {path}: {error.strerror}"
    output = source.resolve(settings.worker.output)
    if "/" in settings.worker.output and not output.parent.is_dir():
        yield f"{source.place(('worker', 'output'))}: {output.parent}: no such directory"
