"""The command line: one module a verb, imported when it is used, so that `send` stays lean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

VERBS = {
    "run": "run a daemon in the foreground",
    "send": "send a command to units, and wait for what becomes of it",
    "status": "show the fleet, or one unit",
    "watch": "follow the events of the fleet",
    "history": "list the events of a unit",
    "check": "look for mistakes in settings and lifecycle",
    "graph": "draw the lifecycle",
    "doctor": "look for trouble with the broker and this machine, and say what to do",
    "acl": "print an access list for the broker: daemon, operator, viewer",
    "health": "tell whether the daemon's loop turns, with or without a broker",
}
EXIT_NOBODY = 5
"""There is no unit that it could be about."""
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
"""The broker can't be reached (EX_UNAVAILABLE of sysexits.h)."""
EXIT_CONFIG = 78
"""The user's settings can't be used (EX_CONFIG of sysexits.h)."""

_DESCRIPTION = "A status for any long-running job, commanded from anywhere over Redis."
_EPILOG = """\
examples:
  statusd run --embedded job.toml      a daemon with a broker of its own
  statusd status                       every unit, and how it is
  statusd send pause --wait            to every unit of the namespace
  statusd send end --name 'gpu-*'      to some of them
  redis-cli PUBLISH mychannel PAUSE    the same, by plain tools

Each verb has its own help: statusd VERB --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["run"]:
        from statusd.daemon.signals import catch_early, open_missing

        open_missing()
        catch_early()  # before the heavy imports: a signal must not find us deaf
    parser = argparse.ArgumentParser(
        prog="statusd",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, summary in VERBS.items():
        below = verbs.add_parser(verb, help=summary, description=f"{summary.capitalize()}.")
        if verb in words:
            import_module(f"statusd.cli.{verb}").add_arguments(below)
    arguments = parser.parse_args(words)
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
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
    except KeyboardInterrupt:
        return 130


def complain(text: str) -> None:
    """Tell the user what is wrong, on standard error."""
    print(f"statusd: {text}", file=sys.stderr)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"statusd {version('statusd')}")
        parser.exit()
