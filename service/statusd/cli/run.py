"""``statusd run``: the daemon in the foreground, of one unit or of a folder of them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from statusd.cli import out, work
from statusd.cli.files import found_by_itself, settings_file
from statusd.cli.settings import find_settings
from statusd.cli.waiting import Waiting, words_on
from statusd.core.errors import ConfigError
from statusd.core.words import compile_table
from statusd.daemon.judging import Judging, elsewhere
from statusd.settings.broker import with_own_broker
from statusd.settings.load import load
from statusd.settings.models import Settings
from statusd.settings.verdict import Judge

if TYPE_CHECKING:
    from statusd.daemon.daemon import Daemon
    from statusd.daemon.plan import Plan

Change = Callable[[Settings], Settings]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file",
        nargs="?",
        type=settings_file,
        metavar="FILE|FOLDER",
        help="the settings (TOML); or a folder with one a unit, for one daemon of them all",
    )
    parser.add_argument(
        "--embedded", action="store_true", help="start a private broker beside the daemon"
    )
    parser.add_argument(
        "--replace", action="store_true", help="let an older daemon of this name end first"
    )
    parser.add_argument("--fresh", action="store_true", help="forget the goal of the last time")
    parser.add_argument(
        "--until-ended",
        action="store_true",
        help="leave when the last unit of the folder has ended, as for a file",
    )
    parser.set_defaults(judging=None)  # `statusd run` has begun one before it imports this
    parser.epilog = """\
examples:
  statusd run                  ./statusd.toml
  statusd run job.toml         that file
  statusd run units/           each *.toml there is a unit; statusd.toml is what they share
  statusd run --embedded       no Redis? with one of its own
  statusd run --fresh          as if it had never run before

Without FILE: ./statusd.toml, ~/.config/statusd/statusd.toml, /etc/statusd/statusd.toml;
one that somebody else may have written is refused.

The daemon of a FILE leaves with its unit. That of a FOLDER stays until it is signalled, and a unit
that a command has ended stays so, also when the daemon is started again.

exit codes: 0 END was reached, 70 a bug, 75 the restarts are used up, 78 bad settings; of many units
the worst of 70, 78, 75, 0"""


class Subject(NamedTuple):
    """What is to be run.

    Args:
        settings: in which the daemon's own are.
        file: where they are, or would be; None for nowhere.
        units: the settings of each unit.
        build: makes a daemon, with a change made to all settings, also when they are loaded again.
    """

    settings: Settings
    file: Path | None
    units: Sequence[Settings]
    build: Callable[[Change, Callable[[Plan], Plan]], Daemon]


def main(arguments: argparse.Namespace) -> NoReturn:
    """Run the daemon until its end and leave with its exit code."""
    is_folder = arguments.file is not None and arguments.file.is_dir()
    from statusd.daemon import wiring  # noqa: F401  # all of a daemon, while the judge imports its own

    with arguments.judging or Judging() as judge:
        subject = (_of_folder if is_folder else _of_file)(arguments, judge)
    from statusd import logs

    settings, change = subject.settings, _unchanged
    logs.configure(settings.log.format, settings.log.level)
    with contextlib.ExitStack() as stack:
        if arguments.embedded:
            from statusd.daemon.embedded import Embedded

            broker = stack.enter_context(Embedded(subject.file))
            change = partial(with_own_broker, url=broker.url, password_file=broker.password_file)
            out.say(*_what_to_type(change(subject.units[0]), broker.port), flush=True)
        # Not asyncio.run: that waits for threads, and one may hang on the disk or a name server.
        code = asyncio.Runner().run(_live(subject, change, replace=arguments.replace))
    logs.flush()
    # All that must be done is done: taking the interpreter down would be most of a stop's time.
    with contextlib.suppress(OSError, AttributeError):  # closed, or full: nobody reads it
        sys.stdout.flush()
    os._exit(code)


def _unchanged(settings: Settings) -> Settings:
    return settings


def _of_file(arguments: argparse.Namespace, judge: Judge) -> Subject:
    """Return the only unit of a file.

    Raises:
        ConfigError: with every mistake.
    """
    file, settings = find_settings(arguments.file, "run", judge)
    if missing := [*work.mistakes(settings, file)]:
        raise ConfigError(*missing)

    def build(change: Change, adapt: Callable[[Plan], Plan]) -> Daemon:
        from statusd.daemon import wiring

        def again() -> Settings:
            return change(elsewhere(lambda judge: load(file, judge=judge)))

        return wiring.build(change(settings), file, again, fresh=arguments.fresh, adapt=adapt)

    return Subject(settings, file, (settings,), build)


def _of_folder(arguments: argparse.Namespace, judge: Judge) -> Subject:
    """Return the units of a folder.

    Raises:
        ConfigError: with every mistake in every file.
    """
    from statusd.settings.folder import SHARED, load_folder

    path = arguments.file
    folder = load_folder(path, judge=judge)
    if missing := [*work.mistakes_of(folder)]:
        raise ConfigError(*missing)

    def build(change: Change, adapt: Callable[[Plan], Plan]) -> Daemon:
        from statusd.daemon import wiring

        return wiring.build_folder(
            folder.having(change),
            lambda: elsewhere(lambda judge: load_folder(path, judge=judge)).having(change),
            fresh=arguments.fresh,
            until_ended=arguments.until_ended,
            adapt=adapt,
        )

    return Subject(folder.shared, path / SHARED, [unit.settings for unit in folder.units], build)


async def _live(subject: Subject, change: Change, *, replace: bool) -> int:
    from statusd.daemon import signals
    from statusd.supervision import reaper

    reaper.become_nearest()
    daemon = subject.build(change, partial(_shown, subject))
    _warn_of_unverified_tls(change(subject.settings))
    loop = asyncio.get_running_loop()
    code = await daemon.live(lambda signalled: signals.hand_over(loop, signalled), replace=replace)
    signals.block()  # a loop that is closed gives them back their deadly default
    return code


def _shown(subject: Subject, plan: Plan) -> Plan:
    """Return the plan with each unit shown to whoever sits at the terminal."""
    from statusd import logs

    if sys.stderr is None or not sys.stderr.isatty():
        return plan
    file = subject.file
    named = file if file is not None and file.exists() and not found_by_itself(file) else None
    settings = {unit.name: unit for unit in subject.units}
    units = []
    for unit in plan.units:
        look = Waiting(settings[unit.names.name], named, logs.of(unit.means.spec.unit).info).look
        units.append(replace(unit, look=look))
    return replace(plan, units=units)


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
