"""``statusd run``: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from statusd.cli import out, work
from statusd.cli.files import found_by_itself, settings_file
from statusd.cli.settings import find_settings
from statusd.cli.waiting import Waiting, words_on
from statusd.core.errors import ConfigError
from statusd.core.words import compile_table
from statusd.settings.broker import with_own_broker
from statusd.settings.load import load
from statusd.settings.models import Settings

if TYPE_CHECKING:
    from statusd.core.status import Status
    from statusd.daemon.plan import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file", nargs="?", type=settings_file, metavar="FILE", help="the settings (TOML)"
    )
    parser.add_argument(
        "--embedded", action="store_true", help="start a private broker beside the daemon"
    )
    parser.add_argument(
        "--replace", action="store_true", help="let an older daemon of this name end first"
    )
    parser.add_argument("--fresh", action="store_true", help="forget the goal of the last time")
    parser.epilog = """\
examples:
  statusd run                  ./statusd.toml
  statusd run job.toml         that file
  statusd run --embedded       no Redis? with one of its own
  statusd run --fresh          as if it had never run before

Without FILE: ./statusd.toml, ~/.config/statusd/statusd.toml, /etc/statusd/statusd.toml;
one that somebody else may have written is refused.

exit codes: 0 END was reached, 70 a bug, 75 the restarts are used up, 78 bad settings"""


def main(arguments: argparse.Namespace) -> NoReturn:
    """Run the daemon until END and leave with its exit code."""
    file, settings = find_settings(arguments.file, "run")
    if missing := [*work.mistakes(settings, file)]:
        raise ConfigError(*missing)
    from statusd import logs

    logs.configure(settings.log.format, settings.log.level)
    with contextlib.ExitStack() as stack:
        if arguments.embedded:
            from statusd.daemon.embedded import Embedded

            broker = stack.enter_context(Embedded(file))
            settings = with_own_broker(settings, broker.url, broker.password_file)
            out.say(*_what_to_type(settings, broker.port), flush=True)
        # Not asyncio.run: that waits for threads, and one may hang on the disk or a name server.
        code = asyncio.Runner().run(_live(settings, file, arguments))
    logs.flush()
    # All that must be done is done: taking the interpreter down would be most of a stop's time.
    with contextlib.suppress(OSError, AttributeError):  # closed, or full: nobody reads it
        sys.stdout.flush()
    os._exit(code)


async def _live(settings: Settings, file: Path | None, arguments: argparse.Namespace) -> int:
    from statusd.daemon import signals, wiring
    from statusd.supervision import reaper

    def load_again() -> Settings:
        if not arguments.embedded:
            return load(file)
        return with_own_broker(load(file), settings.redis.url, Path(settings.redis.password_file))

    reaper.become_nearest()
    daemon = wiring.build(
        settings,
        file,
        load_again,
        fresh=arguments.fresh,
        adapt=partial(_shown, _looks(settings, file)),
    )
    _warn_of_unverified_tls(settings)
    loop = asyncio.get_running_loop()
    code = await daemon.live(
        lambda signalled: signals.hand_over(loop, signalled), replace=arguments.replace
    )
    signals.block()  # a loop that is closed gives them back their deadly default
    return code


def _shown(look: Callable[[Status], None], plan: Plan) -> Plan:
    """Return the plan with ``look`` shown each unit."""
    return replace(plan, units=[replace(unit, look=look) for unit in plan.units])


def _looks(settings: Settings, file: Path | None) -> Callable[[Status], None]:
    """Return what looks at the unit whenever it has changed, for whoever sits at the terminal."""
    from statusd import logs

    if sys.stderr is None or not sys.stderr.isatty():
        return lambda _: None
    named = file if file is not None and not found_by_itself(file) else None
    return Waiting(settings, named, logs.get().info).look


def _warn_of_unverified_tls(settings: Settings) -> None:
    from statusd import logs

    address = settings.address()
    if address.tls is not None and not address.tls.verify:
        logs.warn("tls.unverified", broker=str(address))


def _what_to_type(settings: Settings, port: int) -> list[str]:
    option = "" if port == 6379 else f" -p {port}"
    channel = next(iter(settings.control.channels), f"{settings.redis.namespace}:control")
    namespace = settings.redis.namespace
    statusd = Path(sys.argv[0]).name if Path(sys.argv[0]).name == "statusd" else "statusd"
    beside = Path(sys.executable).with_name("statusd")
    if beside.is_file():
        with contextlib.suppress(ValueError):
            statusd = str(beside.relative_to(Path.cwd()))
    where = "" if port == 6379 else " (6379 is taken)"
    to_type = [
        f"export REDISCLI_AUTH=$(cat {shlex.quote(settings.redis.password_file)})",
        f"redis-cli{option} SUBSCRIBE {namespace}:verdicts {namespace}:events",
        *(f"redis-cli{option} PUBLISH {channel} {word}" for word in _words_to_try(settings)),
        f"cd {shlex.quote(str(Path.cwd()))}",
        f"{statusd} status",
        f"{statusd} send END --wait",
    ]
    told = f"A broker listens on 127.0.0.1:{port}{where}. In another terminal, type:"
    return [told, "", *(f"    {line}" for line in to_type), ""]


def _words_to_try(settings: Settings) -> list[str]:
    """Return a few words that lead on, one after the other: triggers and names of states."""
    lifecycle = settings.states()
    table = compile_table(lifecycle, settings.capabilities())
    return words_on(lifecycle, table, lifecycle.states[settings.first_goal()], 3)
