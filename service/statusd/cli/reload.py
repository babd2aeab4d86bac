"""``statusd reload``: the daemon of a folder makes what runs what the files say."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from statusd.cli import EXIT_UNAVAILABLE, complain, out
from statusd.cli.files import settings_file
from statusd.cli.health import daemon_socket
from statusd.core.bounds import Unreadable
from statusd.core.errors import ConfigError, Unavailable
from statusd.core.text import shown
from statusd.fleet import records
from statusd.wire.local import DAEMON, RELOAD, RELOAD_DRY, Local, sockets
from statusd.wire.names import NAMESPACE

TIMEOUT_S = 30.0
"""So long the daemon may take to read its files."""
QUIET = ("stays", "rests")
"""What needs no line of its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=settings_file,
        metavar="FOLDER",
        help="of the daemon; default: the only one that listens here",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, no more")
    parser.add_argument("--socket", default="", metavar="PATH", help="of the daemon")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = """\
examples:
  statusd reload units/ --dry-run
  statusd reload units/

All files are read and judged first; with a mistake in one, nothing is done. Units whose files are \
new begin, those whose files are gone end, those that can't change while they live are ended and \
begin again, alone; nobody else notices. SIGHUP changes what lives, and begins and ends nobody.

exit codes: 0 done, 69 no daemon of a folder listens, 78 a mistake in the files"""


def main(arguments: argparse.Namespace) -> int:
    """Ask for it, and tell what is done."""
    try:
        name, path = _whom(arguments.folder, arguments.socket)
        answer = _ask(path, dry_run=arguments.dry_run)
    except (Unavailable, Unreadable) as error:
        complain(str(error))
        return EXIT_UNAVAILABLE
    if "mistakes" in answer:
        raise ConfigError(*map(str, answer["mistakes"]), "nothing was done")
    if "error" in answer:
        complain(shown(answer["error"]))
        return EXIT_UNAVAILABLE
    if arguments.json:
        out.say_json(answer)
    else:
        _print(name, answer)
    return 0


def _whom(folder: Path | None, given: str) -> tuple[str, Path]:
    if folder is not None and not folder.is_dir():
        cure = "the daemon of a file reads it again by SIGHUP"
        raise ConfigError(f"{folder}: a folder of units is wanted; {cure}")
    if folder is not None:
        return daemon_socket(folder, given)
    found = sockets(NAMESPACE, given, DAEMON)
    if len(found) > 1:
        raise Unavailable(f"which? here listen {', '.join(sorted(found))}: name the folder")
    return next(iter(found.items()))


def _ask(path: Path, *, dry_run: bool) -> dict[str, Any]:
    """Return the daemon's answer.

    Raises:
        Unavailable: it doesn't listen, or says nothing in time.
        Unreadable: its answer is none.
    """
    until = time.monotonic() + TIMEOUT_S
    call = Local(path, TIMEOUT_S)
    try:
        call.write(RELOAD_DRY if dry_run else RELOAD)
        while time.monotonic() < until and (lines := call.read()) is not None:
            if lines:
                return records.decode(lines[0])
    finally:
        call.close()
    raise Unavailable(f"the daemon behind {path} has said nothing within {TIMEOUT_S:g} s")


def _print(name: str, answer: dict[str, Any]) -> None:
    told = [unit for unit in answer["units"] if unit["what"] not in QUIET]
    for unit in told:
        keys = f": {', '.join(map(str, unit['keys']))}" if unit["keys"] else ""
        out.say(f"{shown(unit['name'], 64):<20} {shown(unit['what'] + keys)}")
    shared = answer["daemon"]
    if shared["changed"]:
        out.say(f"{name:<20} changes: {shown(', '.join(shared['changed']))}")
    if shared["needs_restart"]:
        keys = shown(", ".join(shared["needs_restart"]))
        complain(f"{name}: {keys} will be so when the daemon is started again")
    rest = len(answer["units"]) - len(told)
    tried = "; nothing was done: it was tried" if answer["dry_run"] else ""
    out.say(f"{name}: {len(told)} of {len(answer['units'])} units, {rest} stay as they are{tried}")
