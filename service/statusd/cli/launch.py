"""``statusd launch``: units that have ended begin again, where their daemon has gone on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from statusd.cli import EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain
from statusd.cli.report_view import Progress, print_report
from statusd.core.errors import Unavailable
from statusd.wire.names import NAMESPACE

if TYPE_CHECKING:
    from statusd.fleet.fleet import Fleet
    from statusd.fleet.response_collector import Report, UnitInfo

WORD = "launch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    add_targets(parser)
    parser.add_argument("--durable", action="store_true", help="keep it for a daemon that is away")
    broker.add_socket(parser)
    parser.add_argument("--timeout", type=float, metavar="S", help="the longest wait; default: 35")
    parser.add_argument("--json", action="store_true", help="print JSON")
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd launch camera         it begins again, with its goal as its settings have it
  statusd launch 'scan-*'       several
  statusd launch --tag optics
  statusd launch camera --socket   past the broker

A unit begins again if its daemon goes on without it: that of `statusd run FOLDER`. The daemon of \
a single file has left with its unit: start that.

exit codes: 0 all are ready, or lived already, 3 somebody refused or failed, else 4 somebody was \
silent, else 6 somebody has taken it and isn't ready yet, 5 no such unit, 69 no broker"""


def add_targets(parser: argparse.ArgumentParser) -> None:
    """Add what says which units are meant."""
    parser.add_argument(
        "name", nargs="*", metavar="NAME", help="of a unit, with or without its host, or a glob"
    )
    parser.add_argument("--tag", action="append", help="only units with that tag")


def main(arguments: argparse.Namespace) -> int:
    """Say it, and wait until they are ready."""
    if not (arguments.name or arguments.tag):
        complain("which units? statusd launch NAME, or --tag TAG")
        return EXIT_USAGE
    if arguments.socket is not None:
        return _launch_here(arguments)
    address, namespace, how = broker.find(arguments, commands=True)
    try:
        from statusd.fleet.fleet import Fleet

        with Fleet(address, namespace=namespace) as fleet:
            units = fleet.status()
            report = launch(arguments, fleet, globs(arguments.name))
    except Unavailable as error:
        complain(broker.unreachable(error, how))
        return EXIT_UNAVAILABLE
    print_report(report, WORD, as_json=arguments.json)
    for unit in units:
        if not report.outcomes and is_meant(unit, arguments):
            complain(f"{unit.name} has ended, and its daemon with it: start that: statusd run FILE")
    return report.exit_code


def _launch_here(arguments: argparse.Namespace) -> int:
    """Launch those of this host, over the sockets of their daemons."""
    from statusd.fleet import host

    if arguments.tag or arguments.durable:
        complain("--tag and --durable need the broker, and --socket goes without it")
        return EXIT_USAGE
    try:
        with Progress(WORD) as progress:
            report = host.launch(
                globs(arguments.name) or (),
                namespace=arguments.namespace or NAMESPACE,
                given=arguments.socket,
                timeout_s=arguments.timeout,
                heard=None if arguments.json else progress.outcome,
            )
    except Unavailable as error:
        complain(str(error))
        return EXIT_UNAVAILABLE
    print_report(report, WORD, as_json=arguments.json)
    return report.exit_code


def launch(arguments: argparse.Namespace, fleet: Fleet, names: list[str] | None) -> Report:
    """Launch those of that name, showing the answers as they come."""
    with Progress(WORD) as progress:
        return fleet.launch(
            names,
            tag=arguments.tag,
            durable=arguments.durable,
            timeout_s=arguments.timeout,
            heard=None if arguments.json else progress.outcome,
        )


def globs(names: list[str]) -> list[str] | None:
    """Return the globs that names stand for: one without a host is of any host."""
    found = [glob for name in names for glob in ([name] if "@" in name else [name, f"{name}@*"])]
    return found or None


def is_meant(unit: UnitInfo, arguments: argparse.Namespace) -> bool:
    """Tell whether a unit is one of those that were named."""
    from statusd.core.messages import Target

    names = tuple(globs(arguments.name) or ())
    target = Target(name=names, tag=tuple(arguments.tag or ()))
    return target.is_for(unit.name, unit.tags, unit.state)
