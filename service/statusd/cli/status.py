"""``statusd status``: the whole fleet as a table, or one unit in full.

rich is imported when there is a terminal to draw on: `statusd --help`, pipes and scripts don't pay
for it, and ten thousand units would take it seconds.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain, out
from statusd.cli.status_view import FACTS, NUMBERS, facts, table_of
from statusd.core.errors import Unavailable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from statusd.fleet.fleet import Fleet
    from statusd.fleet.response_collector import UnitInfo

REFRESH_S = 1.0
"""How often ``--watch`` looks again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one unit, in full")
    parser.add_argument("--watch", action="store_true", help="look again every second")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--forget", action="store_true", help="strike a unit that is gone off")
    broker.add_socket(parser)
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd status               every unit, a line each
  statusd status counter       one unit, in full
  statusd status --watch       again every second
  statusd status --json | jq '.[].state'

What doesn't fit into the width of the terminal is left out, the least important columns first; \
a pipe gets them all.

exit codes: 0 shown, 5 there is no (such) unit, 64 --forget without NAME, 69 no broker"""


def main(arguments: argparse.Namespace) -> int:
    """Show what there is."""
    from statusd.fleet.fleet import Fleet

    if arguments.socket is not None:
        return _print_here(arguments)
    address, namespace, how = broker.find(arguments)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    try:
        with Fleet(address, namespace=namespace) as fleet:
            if arguments.forget:
                return _forget(arguments.name, fleet)
            if arguments.watch:
                return _watch(arguments, fleet)
            return _print(arguments, fleet.status(), broker.place(address, namespace))
    except Unavailable as error:
        complain(broker.unreachable(error, how))
        return EXIT_UNAVAILABLE


def _print_here(arguments: argparse.Namespace) -> int:
    from statusd.fleet.host import Host

    namespace = arguments.namespace or "statusd"
    try:
        place = f"namespace {namespace!a} on this host"
        return _print(arguments, Host(namespace, arguments.socket).status(), place)
    except Unavailable as error:
        complain(str(error))
        return EXIT_UNAVAILABLE


def _forget(name: str | None, fleet: Fleet) -> int:
    if name is None:
        complain("whom? statusd status NAME --forget")
        return EXIT_USAGE
    unit = next((unit for unit in fleet.status() if unit.name == name), None)
    if unit is None:
        complain(f"no unit {name!a}: --forget wants the name of one that is gone")
        return EXIT_NOBODY
    if unit.is_alive:
        complain(f"{name} is alive: end it first")
        return EXIT_NOBODY
    fleet.forget(unit.name)
    out.say(f"{name} is forgotten")
    return 0


def _print(arguments: argparse.Namespace, units: list[UnitInfo], place: str) -> int:
    if arguments.name:
        units = [unit for unit in units if unit.name == arguments.name]
    if arguments.json:
        found = [_as_json(unit) for unit in units]
        out.say_json(found[0] if arguments.name and found else found)
    elif units and out.size()[0]:
        out.draw(_drawn(arguments, units, out.size()[0]))
    elif units:
        out.say(*_lines(arguments, units))
    if not units:
        what = f"no unit {arguments.name!a}" if arguments.name else "no unit"
        complain(f"{what} in the {place}")
        return EXIT_NOBODY
    return 0


def _lines(arguments: argparse.Namespace, units: list[UnitInfo]) -> list[str]:
    """Return all that is known, for a pipe, which has no width: nothing is left out."""
    if arguments.name and units:
        return out.lines(facts(units[0]))
    heads, rows = table_of(units)
    return out.lines(rows, heads, NUMBERS)


def _drawn(arguments: argparse.Namespace, units: list[UnitInfo], width: int) -> RenderableType:
    if arguments.name and units:
        return out.table(facts(units[0]), FACTS, folds=True)
    heads, rows = table_of(units, width)
    return out.table(rows, heads, NUMBERS)


def _watch(arguments: argparse.Namespace, fleet: Fleet) -> int:
    """Show it again and again; a broker that goes away is told, and waited for."""
    if not out.size()[0]:
        return _follow(arguments, fleet)
    from rich.console import Group

    drawn: RenderableType = out.text("")
    now: RenderableType
    with out.live() as live:
        while True:
            try:
                drawn = now = _drawn(arguments, _wanted(arguments, fleet), out.size()[0])
            except Unavailable as error:
                now = Group(drawn, out.text(str(error), "bold red"))
            out.redraw(live, now)
            time.sleep(REFRESH_S)


def _follow(arguments: argparse.Namespace, fleet: Fleet) -> int:
    """The same without a terminal: what has changed is told anew."""
    lines: list[str] = []
    told: list[str] = []
    while True:
        try:
            lines = now = _lines(arguments, _wanted(arguments, fleet))
        except Unavailable as error:
            now = [*lines, str(error)]
        if now != told:
            out.say(*now, flush=True)
            told = now
        time.sleep(REFRESH_S)


def _wanted(arguments: argparse.Namespace, fleet: Fleet) -> list[UnitInfo]:
    units = fleet.status()
    return [unit for unit in units if not arguments.name or unit.name == arguments.name]


def _as_json(unit: UnitInfo) -> dict[str, Any]:
    return {
        "name": unit.name,
        "boot": unit.boot,
        "state": unit.state,
        "lost": unit.is_lost,
        "left": unit.left,
        "seen": unit.seen,
        "document": dict(unit.document),
        **({"unreadable": unit.unreadable} if unit.unreadable else {}),
    }
