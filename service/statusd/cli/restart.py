"""``statusd restart``: END, and then launch, for units whose daemon goes on without them."""

from __future__ import annotations

import argparse

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain
from statusd.cli.launch import WORD, add_targets, globs, is_meant, launch
from statusd.cli.report_view import Progress, print_report
from statusd.core.errors import Unavailable
from statusd.fleet.fleet import Fleet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    add_targets(parser)
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help="the longest wait for each half; default: as long as they may take to end, then 35",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    broker.add_arguments(parser)
    parser.set_defaults(durable=False)
    parser.epilog = """\
examples:
  statusd restart camera        END, and when it has ended, launch
  statusd restart 'scan-*'

With the settings that its daemon has read last. Units whose daemon would leave with them are \
named, and then none is ended.

exit codes: as of `statusd launch`; 3 also if one couldn't be ended"""


def main(arguments: argparse.Namespace) -> int:
    """End them, and let those begin again that have ended."""
    if not (arguments.name or arguments.tag):
        complain("which units? statusd restart NAME, or --tag TAG")
        return EXIT_USAGE
    address, namespace, how = broker.find(arguments, commands=True)
    try:
        with Fleet(address, namespace=namespace) as fleet:
            return _restart(arguments, fleet)
    except Unavailable as error:
        complain(broker.unreachable(error, how))
        return EXIT_UNAVAILABLE


def _restart(arguments: argparse.Namespace, fleet: Fleet) -> int:
    units = [unit for unit in fleet.status() if is_meant(unit, arguments)]
    alive = [unit for unit in units if unit.is_alive]
    alone = [unit.name for unit in alive if not unit.document.get("daemon")]
    if alone:
        them = "it" if len(alone) == 1 else "them"
        complain(f"nothing was ended: the daemon of {', '.join(alone)} would leave with {them}")
        return EXIT_NOBODY
    if alive:
        with Progress("end") as progress:
            ended = fleet.send(
                "end",
                name=[unit.name for unit in alive],
                timeout_s=arguments.timeout,
                heard=None if arguments.json else progress.outcome,
            )
        if ended.exit_code:
            print_report(ended, "end", as_json=arguments.json)
            return ended.exit_code
    report = launch(arguments, fleet, globs(arguments.name))
    print_report(report, WORD, as_json=arguments.json)
    return report.exit_code
