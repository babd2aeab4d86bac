"""``statusd check``: every mistake in settings and lifecycle, at once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from statusd.cli import check_web, out
from statusd.cli.files import find_file, settings_file
from statusd.cli.missing import (
    endpoint_of,
    missing_of_daemon,
    missing_of_unit,
    states_of,
    warnings,
    worker_of,
)
from statusd.cli.settings import find_settings, is_folder, shared_beside
from statusd.core.errors import ConfigError
from statusd.core.lifecycle import Part
from statusd.lifecycles.load import Source
from statusd.settings.load import load_lifecycle
from statusd.settings.models import Settings
from statusd.settings.web import is_for_web


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file",
        nargs="?",
        type=settings_file,
        metavar="FILE|FOLDER",
        help="the settings (TOML), or a folder with those of several units",
    )
    parser.epilog = """\
examples:
  statusd check                what `statusd run` would say
  statusd check job.toml
  statusd check units/         each *.toml in it, and all of them together
  statusd check web.toml       [redis] and [web] alone: for `statusd web`

exit codes: 0 no mistakes, 78 mistakes; they stand on standard error"""


def main(arguments: argparse.Namespace) -> int:
    """Load the settings as `statusd run` would, and say what they come to."""
    if arguments.file is not None and is_folder(arguments.file):
        from statusd.cli import check_folder

        return check_folder.main(arguments.file)
    if arguments.file is not None and Source(arguments.file).content.keys() == {"lifecycle"}:
        lifecycle = load_lifecycle(arguments.file)
        out.say(f"{arguments.file}: no mistakes; a lifecycle, for [lifecycle] file = ...")
        out.say(f"  states   {states_of(lifecycle)}")
        return 0
    file = arguments.file if arguments.file is not None else find_file("statusd check")
    if file is not None and is_for_web(file):
        return check_web.main(file)
    return _check_unit(arguments.file)


def _check_unit(given: Path | None) -> int:
    """Say what the settings of one unit come to.

    Raises:
        ConfigError: with every mistake.
    """
    hint = _hint(given)
    try:
        file, settings = find_settings(given, "check")
        source = Source(file)
        of_web = check_web.judged(settings, source)
        missing = [*missing_of_unit(settings, source), *missing_of_daemon(settings, source)]
        if missing or of_web.mistakes:
            raise ConfigError(*missing, *of_web.mistakes)
    except ConfigError as error:
        raise ConfigError(*error.problems, *hint) from None
    _say(settings, file)
    more = (*of_web.warnings, *(f"warning: {text}" for text in hint))
    for warning in (*warnings(settings, source), *more):
        out.say(warning, to=sys.stderr)
    return 0


def _hint(file: Path | None) -> list[str]:
    """Return what is to be said of the file of a unit that is one of a folder."""
    shared = shared_beside(file) if file is not None else None
    if shared is None:
        return []
    text = f"it was judged by itself, without what {shared} shares"
    return [f"{file}: {text}: statusd check {shared.parent}/"]


def _say(settings: Settings, file: Path | None) -> None:
    channels = ", ".join((f"{settings.redis.namespace}:control", *settings.control.channels))
    out.say(f"{file or 'environment'}: no mistakes")
    out.say(f"  unit     {settings.name}")
    out.say(f"  broker   {settings.address()}")
    out.say(f"  hears    {channels}")
    if settings.http.listen:
        out.say(f"  http     {endpoint_of(settings)}")
    if settings.says("web"):
        out.say(f"  web      {check_web.where(settings.web)}: passed over by a daemon")
    out.say(f"  worker   {worker_of(settings)}")
    out.say(f"  told     {_told(settings)}")
    out.say(f"  states   {states_of(settings.states())}")
    out.say(f"  goal     {settings.first_goal()}")
    for name, word in settings.daemon.signals.items():
        out.say(f"  signal   {name} is {word}")
    if settings.worker.deadline:
        out.say(f"  deadline {settings.worker.deadline}")


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
