"""``statusd status``: the whole fleet as a table, or one unit in full.

rich is imported when there is a terminal to draw on: `statusd --help`, pipes and scripts don't pay
for it, and ten thousand units would take it seconds.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from typing import TYPE_CHECKING

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain, out, zones
from statusd.cli.status_table import NUMBERS, folded, table_of
from statusd.cli.status_view import FACTS, facts
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
    parser.add_argument("--all", action="store_true", help="also what has ended before today")
    parser.add_argument(
        "--state", action="append", metavar="STATE", help="only units in that state (END, LOST)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON; with --watch, what changes, a unit a line"
    )
    zones.add_arguments(parser)
    parser.add_argument(
        "--forget", action="store_true", help="strike off who is gone: NAME, or all of --state"
    )
    broker.add_socket(parser)
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd status               every unit, a line each
  statusd status counter       one unit, in full
  statusd status --watch       again every second
  statusd status --json | jq '.[].state'
  statusd status --watch --json | jq -c '[.name, .document.text]'
  statusd status --forget --state END

A terminal shows what has ended before today in one line (--all: each), shortens what is too \
long for its width, and leaves out columns that tell of no trouble; a pipe gets all of it.

exit codes: 0 shown, 5 there is no (such) unit, 64 --forget with neither NAME nor --state, \
69 no broker"""


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
                return _forget(arguments, fleet)
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


def _forget(arguments: argparse.Namespace, fleet: Fleet) -> int:
    """Strike off the one that is named, or all in the states that are."""
    name, states = arguments.name, arguments.state
    if name is None and not states:
        complain("whom? statusd status NAME --forget, or --forget --state END")
        return EXIT_USAGE
    units = _wanted(arguments, fleet)
    if not units:
        who = f"no unit {name!a}" if name else "no unit"
        where = f" in the state {' or '.join(states)}" if states else ""
        complain(f"{who}{where}: --forget is for those that are gone")
        return EXIT_NOBODY
    alive = [unit.name for unit in units if unit.is_alive]
    if alive:
        complain(f"{', '.join(alive)} {'is' if len(alive) == 1 else 'are'} alive: end it first")
        return EXIT_NOBODY
    for unit in units:
        fleet.forget(unit.name)
        out.say(f"{unit.name} is forgotten")
    return 0


def _print(arguments: argparse.Namespace, units: list[UnitInfo], place: str) -> int:
    units = _chosen(arguments, units)
    if arguments.json:
        found = [unit.record() for unit in units]
        out.say_json(found[0] if arguments.name and found else found)
    elif units and out.size()[0]:
        out.draw(_drawn(arguments, units, out.size()[0]))
    elif units:
        out.say(*_lines(arguments, units))
    if not units:
        what = f"no unit {arguments.name!a}" if arguments.name else "no unit"
        state = f" in the state {' or '.join(arguments.state)}" if arguments.state else ""
        complain(f"{what}{state} in the {place}")
        return EXIT_NOBODY
    return 0


def _lines(arguments: argparse.Namespace, units: list[UnitInfo]) -> list[str]:
    """Return all that is known, for a pipe, which has no width: nothing is left out."""
    if arguments.name and units:
        return out.lines(facts(units[0], zones.of(arguments)))
    heads, rows = table_of(units)
    return out.lines(rows, heads, NUMBERS)


def _drawn(arguments: argparse.Namespace, units: list[UnitInfo], width: int) -> RenderableType:
    if arguments.name and units:
        return out.table(facts(units[0], zones.of(arguments)), FACTS, folds=True)
    ended = 0
    if not arguments.all and not arguments.state:
        units, ended = folded(units, datetime.now().astimezone())
    heads, rows = table_of(units, width)
    table = out.table(rows, heads, NUMBERS)
    if not ended:
        return table
    from rich.console import Group

    what = "1 unit that has" if ended == 1 else f"{ended} units that have"
    rest = out.text(f"and {what} ended before today: --all", "dim")
    return Group(table, rest) if rows else rest


def _watch(arguments: argparse.Namespace, fleet: Fleet) -> int:
    """Show it again and again; a broker that goes away is told, and waited for."""
    if arguments.json:
        return _follow_json(arguments, fleet)
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


def _follow_json(arguments: argparse.Namespace, fleet: Fleet) -> int:
    """Print a unit as a line whenever something of it has changed, beside its signs of life."""
    told: dict[str, UnitInfo] = {}
    trouble = ""
    while True:
        try:
            units, trouble = _wanted(arguments, fleet), ""
        except Unavailable as error:
            if str(error) != trouble:
                trouble = str(error)
                complain(f"{trouble}; waiting for it")
            time.sleep(REFRESH_S)
            continue
        now = {unit.name: unit for unit in units}
        for name in told.keys() - now.keys():
            out.say_json({"name": name, "state": None}, flush=True)
        for name, unit in now.items():
            if name not in told or unit.news() != told[name].news():
                out.say_json(unit.record(), flush=True)
        told = now
        time.sleep(REFRESH_S)


def _wanted(arguments: argparse.Namespace, fleet: Fleet) -> list[UnitInfo]:
    return _chosen(arguments, fleet.status())


def _chosen(arguments: argparse.Namespace, units: list[UnitInfo]) -> list[UnitInfo]:
    """Return those that were asked for."""
    states = {state.casefold() for state in arguments.state or ()}
    return [
        unit
        for unit in units
        if not arguments.name or unit.name == arguments.name
        if not states or unit.state.casefold() in states
    ]
