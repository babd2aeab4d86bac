"""``statusd run``: the daemon in the foreground, of one unit or of a folder of them.

The unit's settings stand in a file, or its job was typed and there are none.
"""

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

from statusd.cli import complain, out, typed, work
from statusd.cli.files import default_files, found_by_itself, settings_file
from statusd.cli.settings import find_settings
from statusd.cli.to_type import after_run
from statusd.cli.waiting import Waiting
from statusd.core.errors import ConfigError, Unavailable
from statusd.daemon.judging import Judging, elsewhere
from statusd.settings.broker import with_own_broker
from statusd.settings.load import load
from statusd.settings.models import Settings
from statusd.settings.typed import Typed, load_typed
from statusd.settings.verdict import Judge

if TYPE_CHECKING:
    from statusd.daemon.daemon import Daemon
    from statusd.daemon.plan import Plan
    from statusd.daemon.senders import Told

Change = Callable[[Settings], Settings]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file",
        nargs="?",
        type=settings_file,
        metavar="FILE|FOLDER|FUNCTION",
        help="the settings (TOML); or a folder with one a unit, for one daemon of them all; or a "
        "job without settings: a function, module:name, or a program: -- PROGRAM [ARGUMENT]...",
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
    typed.add_arguments(parser)
    parser.set_defaults(judging=None)  # `statusd run` has begun one before it imports this
    parser.epilog = """\
examples:
  statusd run                  ./statusd.toml
  statusd run job.toml         that file
  statusd run units/           each *.toml there is a unit; statusd.toml is what they share
  statusd run --embedded       no Redis? with one of its own
  statusd run --fresh          as if it had never run before
  statusd run job:main         without settings: main(worker) of job.py
  statusd run --embedded --goal RUNNING job:main
                               at once, with its own broker
  statusd run -- ./acquire --fast
                               any program, as it is typed

Without FILE: ./statusd.toml, ~/.config/statusd/statusd.toml, /etc/statusd/statusd.toml;
one that somebody else may have written is refused. A job that is typed needs no settings, and
none are read: it is called as its module or program is, here.

The daemon of a FILE leaves with its unit. That of a FOLDER stays until it is signalled, and a unit
that a command has ended stays so, also when the daemon is started again.

exit codes: 0 END was reached, 70 a bug, 75 the restarts are used up, 78 bad settings; with
daemon.requeue_exit that one, if a signal or the deadline has cut the work short; of many units the
worst of 70, 78, 75, that one, 0"""


class Subject(NamedTuple):
    """What is to be run.

    Args:
        settings: in which the daemon's own are.
        file: where they are, or would be; None for nowhere.
        units: the settings of each unit.
        build: makes a daemon, with a change made to all settings, also when they are loaded again.
        is_typed: nobody has written settings.
    """

    settings: Settings
    file: Path | None
    units: Sequence[Settings]
    build: Callable[[Change, Callable[[Plan], Plan]], Daemon]
    is_typed: bool = False


def main(arguments: argparse.Namespace) -> NoReturn:
    """Run the daemon until its end and leave with its exit code."""
    job = typed.typed(arguments)
    is_folder = job is None and arguments.file is not None and arguments.file.is_dir()
    from statusd.daemon import wiring  # noqa: F401  # all of a daemon, while the judge imports its own

    with arguments.judging or Judging() as judge:
        if job is not None:
            subject = _of_typed(arguments, job, judge)
        else:
            subject = (_of_folder if is_folder else _of_file)(arguments, judge)
    from statusd import logs

    settings, change = subject.settings, _unchanged
    logs.configure(settings.log.format, settings.log.level)
    with contextlib.ExitStack() as stack:
        if arguments.embedded:
            from statusd.daemon.embedded import Embedded

            broker = stack.enter_context(Embedded(subject.file))
            change = partial(with_own_broker, url=broker.url, password_file=broker.password_file)
            unit = change(subject.units[0])
            naming = _naming(subject, unit) if subject.is_typed else ""
            out.say(*after_run(unit, broker.port, naming), flush=True)
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


def _of_typed(arguments: argparse.Namespace, job: Typed, judge: Judge) -> Subject:
    """Return the unit of a job that was typed.

    Raises:
        ConfigError: with every mistake.
    """
    settings = load_typed(job, judge=judge)
    if missing := [*work.mistakes_in(settings, job)]:
        raise ConfigError(*missing)
    here = default_files()[0]
    if here.is_file():
        complain(f"{here} isn't read, for a job was typed; by itself `statusd run` reads it")

    def build(change: Change, adapt: Callable[[Plan], Plan]) -> Daemon:
        from statusd.daemon import wiring

        return wiring.build(
            change(settings), None, again, fresh=arguments.fresh, typed=job.line, adapt=adapt
        )

    def again() -> NoReturn:
        raise Unavailable(f"there is nothing to read again: no settings, but `{job.line}`")

    return Subject(settings, None, (settings,), build, is_typed=True)


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
    daemon = subject.build(change, partial(_shown, subject, change))
    _warn_of_unverified_tls(change(subject.settings))
    loop, words = asyncio.get_running_loop(), subject.settings.daemon.signals

    def early(signalled: Told) -> None:
        signals.hand_over(loop, signalled, words)

    code = await daemon.live(early, replace=replace)
    signals.block()  # a loop that is closed gives them back their deadly default
    return code


def _shown(subject: Subject, change: Change, plan: Plan) -> Plan:
    """Return the plan with each unit shown to whoever sits at the terminal."""
    from statusd import logs

    if sys.stderr is None or not sys.stderr.isatty():
        return plan
    naming = _naming(subject, change(subject.settings))
    settings = {unit.name: unit for unit in subject.units}
    units = []
    for unit in plan.units:
        look = Waiting(settings[unit.names.name], naming, logs.of(unit.means.spec.unit).info).look
        units.append(replace(unit, look=look))
    return replace(plan, units=units)


def _naming(subject: Subject, settings: Settings) -> str:
    """Return what a verb is to be told to find the broker of ``settings``, with a blank before it.

    Nothing if it finds it by itself. A job that was typed has no file that could be named, and one
    that is found here may say another broker; what of a url may be a password isn't repeated.
    """
    file = subject.file
    if file is not None:
        is_named = file.exists() and not found_by_itself(file)
        return f" --file {shlex.quote(str(file))}" if is_named else ""
    is_found = any(place.is_file() for place in default_files())
    if not subject.is_typed or not (is_found or settings.says("redis", "url")):
        return ""
    url = settings.redis.url
    return " --url URL" if "@" in url or "?" in url else f" --url {shlex.quote(url)}"


def _warn_of_unverified_tls(settings: Settings) -> None:
    from statusd import logs

    address = settings.address()
    if address.tls is not None and not address.tls.verify:
        logs.warn("tls.unverified", broker=str(address))
