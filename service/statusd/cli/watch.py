"""``statusd watch``: every event as it happens, and none lost."""

from __future__ import annotations

import argparse
import json

from statusd.cli import broker, complain
from statusd.cli.history import line


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
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    broker.add_arguments(parser)
    parser.epilog = (
        "Ctrl-C ends it; while the broker is away it waits, and then reads what it missed."
    )


def main(arguments: argparse.Namespace) -> int:
    """Print events until somebody has seen enough."""
    from statusd.fleet import Fleet

    since = dict(pair.partition("=")[::2] for pair in arguments.since)
    address, namespace, how = broker.find(arguments)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    with (
        Fleet(address, namespace=namespace) as fleet,
        fleet.watch(arguments.name, since) as watcher,
    ):
        try:
            for event in watcher:
                print(json.dumps(event) if arguments.json else line(event), flush=True)
        except BrokenPipeError:  # whoever read it has gone
            return 0
    return 0
