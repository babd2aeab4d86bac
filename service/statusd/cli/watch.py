"""``statusd watch``: every event as it happens, and none lost."""

from __future__ import annotations

import argparse

from statusd.cli import EXIT_USAGE, broker, complain, zones
from statusd.cli.history import is_event, print_event
from statusd.core.errors import Unavailable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("--name", action="append", metavar="GLOB", help="only units of that name")
    parser.add_argument(
        "--since",
        action="append",
        default=[],
        metavar="NAME=ID",
        help="begin after that event of that unit; may be given for several",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object a line, times in UTC")
    zones.add_arguments(parser)
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd watch
  statusd watch --name 'gpu-*' --json
  statusd watch --since counter=1795400000000-42

Ctrl-C ends it; while the broker is away it waits, and then reads what it missed.

exit codes: 64 --since is not NAME=ID, 130 Ctrl-C, 141 nobody reads any more"""


def main(arguments: argparse.Namespace) -> int:
    """Print events until somebody has seen enough."""
    from statusd.fleet.fleet import Fleet

    since = dict(pair.partition("=")[::2] for pair in arguments.since)
    for name, event in since.items():
        if not name or not is_event(event):
            complain(f"--since wants NAME=ID, as in counter=1795400000000-42, not {name}={event}")
            return EXIT_USAGE
    address, namespace, how = broker.find(arguments)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    with Fleet(address, namespace=namespace) as fleet:
        try:
            fleet.status()
        except Unavailable as error:
            complain(f"{broker.unreachable(error, how)}; waiting for it")
        with fleet.watch(arguments.name, since) as watcher:
            for event in watcher:
                print_event(event, as_json=arguments.json, in_zone=zones.of(arguments))
    return 0
