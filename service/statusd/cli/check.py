"""``statusd check``: every mistake in settings and lifecycle, at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from statusd.cli import out, work
from statusd.cli.files import settings_file
from statusd.cli.settings import find_settings
from statusd.core.errors import ConfigError
from statusd.core.lifecycle import Lifecycle, Part
from statusd.lifecycles.load import Source
from statusd.reading import opened
from statusd.settings.load import load_lifecycle
from statusd.settings.models import Settings

DOCKER_STOP_S, UNIT_STOP_S = 10.0, 15.0
"""So long they wait for a stop, if they aren't told otherwise."""
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
        *work.mistakes(settings, file),
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
    for warning in _warnings(settings, file):
        out.say(warning, to=sys.stderr)
    return 0


def _warnings(settings: Settings, file: Path | None) -> Iterator[str]:
    """Yield what is right here and may be wrong where it is to run."""
    from statusd.daemon.session import DRAIN_S

    worker, source = settings.worker, Source(file)
    longest_s = worker.longest_signal_stop_s() + worker.kill_timeout_s + DRAIN_S
    if longest_s < DOCKER_STOP_S:
        return
    keys = ("signal_stop_timeout_s", "stop_timeout_s", "kill_timeout_s")
    key = next((key for key in keys if key in worker.model_fields_set), keys[0])
    yield (
        f"warning: {source.place(('worker', key))}: a stop by a signal may take {longest_s:g} s, "
        f"and docker kills after {DOCKER_STOP_S:g} s (docker stop --timeout, stop_grace_period), "
        f"our systemd units after {UNIT_STOP_S:g} s (TimeoutStopSec=)"
    )


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
