"""The command line: one module a verb, imported when it is used, so that `send` stays lean."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, NoReturn

from statusd.cli import out
from statusd.core.text import shown

VERBS = {
    "init": "write a job and its settings to begin with",
    "run": "run a daemon in the foreground",
    "send": "send a command to units, and wait for what becomes of it",
    "launch": "let units begin again that have ended",
    "restart": "end units, and let them begin again",
    "reload": "have a folder's daemon do what its files say now",
    "status": "show the fleet, or one unit",
    "watch": "follow the events of the fleet",
    "history": "list the events of a unit",
    "web": "serve the fleet to browsers, and an API to scripts",
    "logs": "show what workers print, from anywhere",
    "check": "look for mistakes in settings and lifecycle",
    "graph": "draw the lifecycle",
    "doctor": "look for trouble with the broker and this machine, and say what to do",
    "acl": "print an access list for the broker: daemon, operator, viewer",
    "health": "tell whether the daemon's loop turns, with or without a broker",
    "demo": "show it all on one screen: a broker, three units, keys to command them",
    "completion": "print what makes your shell complete verbs, options and names",
}
EXIT_NOBODY = 5
"""There is no unit that it could be about."""
EXIT_USAGE = 64
"""What was typed is no command line of ours (EX_USAGE of sysexits.h)."""
EXIT_UNAVAILABLE = 69
"""The broker can't be reached (EX_UNAVAILABLE of sysexits.h)."""
EXIT_OUTPUT = 74
"""What was to be printed can't be written (EX_IOERR of sysexits.h)."""
EXIT_CONFIG = 78
"""The user's settings can't be used (EX_CONFIG of sysexits.h)."""
EXIT_INTERRUPTED = 130
"""Ctrl-C: 128 and the number of the signal, as shells say it."""
EXIT_NO_READER = 141
"""Whoever read our output has gone: what SIGPIPE would have said."""
MOST_COMPLAINT = 2000
"""So long is a complaint at most, in characters: a broker may have any amount to say."""

_DESCRIPTION = "A status for any long-running job, commanded from anywhere over Redis."
_EPILOG = """\
examples:
  statusd demo                     a tour: keys instead of typing
  statusd init                     a job and its settings, to begin with
  statusd run --embedded           a daemon for them, with a broker of its own
  statusd status                   every unit, and how it is
  statusd send pause --wait        to every unit of the namespace
  statusd send end --name 'gpu-*'  to some of them
  redis-cli PUBLISH mychannel PAUSE
                                   the same, by plain tools

Each verb has its own help: statusd VERB --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    out.lose_nothing(sys.stdout, sys.stderr)
    if argv is None:
        sys.excepthook = out.excepthook
    try:
        try:
            return _run(words)
        finally:
            if sys.stdout is not None:
                with out.taking():  # while somebody can still be told that it doesn't
                    sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        code = EXIT_NO_READER
    except out.Untaken as error:
        complain(f"standard output: {error.strerror}")
        code = EXIT_OUTPUT
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter would complain at its end
    return code


def _run(words: list[str]) -> int:
    if words[:1] != ["run"]:
        return _begin(words)
    from statusd.daemon.signals import catch_early, open_missing

    open_missing()
    catch_early()  # before the heavy imports: a signal must not find us deaf
    from statusd.daemon.judging import Judging

    with Judging() as judging:  # it has imports of its own, which it does meanwhile
        return _begin(words, judging=judging)


def _begin(words: list[str], **more: Any) -> int:
    """Read the words and obey them, with ``more`` than they say."""
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    verb = next((word for word in words if not word.startswith("-")), "")
    if not words:
        parser().print_help(sys.stderr)
        return EXIT_USAGE
    if verb and verb not in VERBS:
        from statusd.cli.slips import suggestion

        shown = _without_url(f"{verb!a}")
        complain(f"there is no verb {shown}{suggestion(verb, VERBS)}; statusd --help lists them")
        return EXIT_USAGE
    if "--version" in words and not verb:
        return int(import_module("statusd.cli.version").print_version(as_json="--json" in words))
    arguments = parser(verb).parse_args(words)
    garbled = _read_as_utf8(arguments)
    if garbled:
        complain(f"{garbled[0]!a} is not UTF-8; try: statusd {verb} --help")
        return EXIT_USAGE
    vars(arguments).update(more)
    return _obey(arguments)


def _read_as_utf8(arguments: argparse.Namespace) -> list[str]:
    """Have what was typed read as UTF-8 where the interpreter, in a C locale, has left bytes.

    Returns:
        What is no text; names of files needn't be one, and of a url nothing is shown.
    """
    garbled: list[str] = []

    def read(text: Any) -> Any:
        if isinstance(text, list):
            return [read(one) for one in text]
        if not isinstance(text, str) or text.isascii():
            return text
        try:
            return text.encode("utf-8", "surrogateescape").decode("utf-8")
        except UnicodeError:
            garbled.append(text)
            return text

    for name, typed in vars(arguments).items():
        if name not in ("url", "socket"):
            setattr(arguments, name, read(typed))
    return garbled


def _obey(arguments: argparse.Namespace) -> int:
    from statusd.core.errors import ConfigError, StatusdError

    try:
        return int(import_module(f"statusd.cli.{arguments.verb}").main(arguments))
    except ConfigError as error:
        for problem in error.problems:
            complain(problem)
        return EXIT_CONFIG
    except StatusdError as error:
        complain(str(error))
        return EXIT_CONFIG
    except UnicodeEncodeError as error:
        if error.encoding == "utf-8":
            raise
        what = f"{error.object!a} can't be the name of a file in this locale ({error.encoding})"
        complain(f"{what}: set LC_ALL=C.UTF-8, or PYTHONUTF8=1")
        return EXIT_CONFIG
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not _is_somewhere():
            complain("the folder that this was typed in is gone: cd to one that is there")
        elif isinstance(error.filename, str) and not isinstance(error, out.Untaken):
            complain(f"{error.filename}: {error.strerror}")
        else:
            raise
        return EXIT_CONFIG


def _is_somewhere() -> bool:
    """Tell whether the folder that we run in is still there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def complain(text: str) -> None:
    """Tell the user what is wrong, in a line on standard error.

    A url that was typed where none belongs may be repeated, but not with its user and password.
    """
    if sys.stderr is not None:
        told = "".join(map(_without_user, re.split(r"(\s+)", text)))
        with contextlib.suppress(OSError):  # nobody else can be told; the exit code says it
            out.say(f"statusd: {shown(told, MOST_COMPLAINT)}", to=sys.stderr)


def _without_user(word: str) -> str:
    """Return ``word``; if it is a url, without its user and password."""
    scheme, sign, rest = word.partition(":/")
    _, at, host = rest.rpartition("@")
    slash = "/" if rest.startswith("/") else ""
    return f"{scheme}:/{slash}...@{host}" if sign and at else word


# ---- the parser ----------------------------------------------------------------------------------


def parser(*verbs: str) -> Parser:
    """Return the parser of the whole command line.

    Args:
        verbs: those that know their arguments: each costs the imports of its module.
    """
    whole = Parser(prog="statusd", description=_DESCRIPTION, epilog=_EPILOG)
    whole.add_argument(
        "--version", action="store_true", help="print the versions of all parts; --json: as JSON"
    )
    below = whole.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, summary in VERBS.items():
        one = below.add_parser(
            verb, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
        )
        if verb in verbs:
            import_module(f"statusd.cli.{verb}").add_arguments(one)
            whole.meant = one
    return whole


class _Help(argparse.HelpFormatter):
    """Fills paragraphs to the width of the terminal, and leaves indented lines as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        rows = []
        for row in text.splitlines():
            kept = row.startswith(" ") or not row
            rows.append(row if kept else textwrap.fill(row, width))
        return "\n".join(f"{indent}{row}" for row in rows)


class Parser(argparse.ArgumentParser):
    """Says in a line what is wrong with a command line, instead of how all of it is written.

    ``meant`` is the one to be asked for help: a verb's, as soon as it is known.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **more})
        self.meant: argparse.ArgumentParser = self

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read the words; with a verb that runs a program, those behind ``--`` are the program's.

        They aren't read at all: what `argparse` makes of them depends on its version.
        """
        words, program = [*(sys.argv[1:] if args is None else args)], None
        if self.meant.get_default("program") is not None and "--" in words:
            at = words.index("--")
            words, program = words[:at], words[at + 1 :]
        found = super().parse_args(words, namespace)
        if program is not None:
            found.program = program
        return found

    def error(self, message: str) -> NoReturn:
        """Complain, and leave."""
        unknown = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        hint = _meant(unknown[1], self.meant._option_string_actions) if unknown else ""
        complain(f"{_without_url(message)}{hint}; try: {self.meant.prog} --help")
        raise SystemExit(EXIT_USAGE)


def _without_url(text: str) -> str:
    """Return ``text`` up to the first url in it: what of it is a password, and where it ends,
    can't be told when it stands where none belongs.
    """
    return re.sub(r"(?s)['\"]?[\w+.-]+://.*", "a url, which doesn't belong there", text)


def _meant(typed: str, known: Iterable[str]) -> str:
    from statusd.core.suggestions import nearest

    near = nearest(typed, tuple(known))
    return f", did you mean {near}?" if near else ""
