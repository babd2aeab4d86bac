"""A job that is typed in the place of settings: ``statusd run job:main``, ``run -- ./acquire``.

Rules of this file: a word with a colon is a function, unless there is a file or folder of that
name; what was perhaps meant is only ever told, and nothing is run for it.
"""

from __future__ import annotations

import argparse
import ast
import os
import shlex
from pathlib import Path
from typing import NoReturn

from statusd.cli import EXIT_USAGE, complain
from statusd.cli.work import callee
from statusd.core.errors import ConfigError
from statusd.lifecycles.load import Source
from statusd.reading import read_words
from statusd.settings.typed import Typed

KEYS = {"channel": "control.channels", "url": "redis.url", "goal": "goal"}
"""Option -> the setting that it stands for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be said of a job that is typed."""
    group = parser.add_argument_group("for a job that is typed; settings say it otherwise")
    group.add_argument(
        "-c",
        "--channel",
        action="append",
        metavar="CHANNEL",
        help="command it there, too; a name or a pattern; repeatable",
    )
    group.add_argument("--url", help="the broker: redis://, rediss:// or unix://")
    group.add_argument("--goal", metavar="STATE", help="where to go at once: RUNNING")
    parser.set_defaults(program=())


def typed(arguments: argparse.Namespace) -> Typed | None:
    """Return the job that was typed; None if settings are meant.

    Raises:
        ConfigError: it is neither, but something like it; says what to type.
        SystemExit: the words don't go together.
    """
    given, program = arguments.file, arguments.program
    if program == [] or (program and given is not None):
        what = f"{given} is to be run, or" if program else "there is to be"
        _leave(f"{what} a program behind --: statusd run -- ./acquire --fast")
    said = [name for name in KEYS if getattr(arguments, name)]
    if not program and (given is None or not _is_function(given)):
        if given is not None:
            _look_at(given)
        if said:
            key = KEYS[said[0]]
            _leave(f"--{said[0]} is for a job that is typed; of settings it is the key {key}")
        return None
    if arguments.embedded and arguments.url:
        _leave("--embedded brings a broker of its own, and --url names another: not both")
    function = "" if program else _checked(str(given))
    return Typed(
        function,
        tuple(program),
        redis={"url": arguments.url} if arguments.url else {},
        control={"channels": arguments.channel} if arguments.channel else {},
        goal=arguments.goal or "",
    )


def _leave(text: str) -> NoReturn:
    complain(f"{text}; try: statusd run --help")
    raise SystemExit(EXIT_USAGE)


def _is_function(given: Path) -> bool:
    return ":" in str(given) and not os.path.lexists(given)


# ---- what was meant ------------------------------------------------------------------------------


def _checked(reference: str) -> str:
    """Return ``module:name``.

    Raises:
        ConfigError: it has the name of a file in the place of the module's.
    """
    path, _, name = reference.partition(":")
    if path.endswith(".py") or "/" in path:
        meant = f"{_module(Path(path))}:{name or 'main'}"
        raise ConfigError(f"{reference}: it is a module and not a file: statusd run {meant}")
    return reference


def _look_at(given: Path) -> None:
    """Look at what should be settings, or a folder of them.

    Raises:
        ConfigError: it is a job.
    """
    beside = Path(f"{given}.py")
    if given.suffix == ".py" and given.is_file():
        raise ConfigError(f"{given} is Python, and no settings: {_line(given)}")
    if not os.path.lexists(given) and beside.is_file() and functions_in(beside):
        raise ConfigError(f"{given}: there is no such file, did you mean {_line(beside)}?")
    if given.suffix != ".toml" and given.is_file() and os.access(given, os.X_OK):
        try:
            Source(given)
        except ConfigError:
            program = given if given.is_absolute() else f"./{given}"
            line = f"statusd run -- {shlex.quote(str(program))}"
            text = f"{given} is a program, and no settings: {line}"
            raise ConfigError(text) from None


def _line(file: Path) -> str:
    """Return what is to be typed for a file of Python."""
    names = functions_in(file)
    is_elsewhere = file.is_absolute() or ".." in file.parts
    module = file.stem if is_elsewhere else _module(file)
    as_program = f"statusd run -- python {shlex.quote(str(file))}"
    if not names:
        return f"{as_program} (no function in it can be called with a worker)"
    if not all(part.isidentifier() for part in module.split(".")):
        return f"{as_program} (no module can be called {module})"
    begin = f"cd {shlex.quote(str(file.parent))}, and " if is_elsewhere else ""
    return f"{begin}statusd run {module}:{names[0]}"


def _module(file: Path) -> str:
    """Return what a file below this folder is called as a module."""
    return ".".join(file.with_suffix("").parts if file.suffix == ".py" else file.parts)


def functions_in(file: Path) -> list[str]:
    """Return the functions that can be the work, ``main`` first; none if it can't be read."""
    try:
        tree = ast.parse(read_words(file))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    names = [
        node.name
        for node in functions
        if not node.name.startswith("_") and not callee(node).objection()
    ]
    return sorted(names, key=lambda name: name != "main")
