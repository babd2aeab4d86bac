"""``statusd status``: the whole fleet as a table, or one unit in full.

rich is imported when there is something to draw: `statusd --help` and scripts don't pay for it.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, broker, complain
from statusd.core.errors import Unavailable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from statusd.core.ballot import Unit
    from statusd.fleet import Fleet

REFRESH_S = 1.0
"""How often ``--watch`` looks again."""

_STYLES = {
    "RUNNING": "green",
    "FAILED": "bold red",
    "FAULT": "bold red",
    "LOST": "bold red",
    "BACKOFF": "yellow",
    "INIT": "yellow",
    "ENDING": "yellow",
    "END": "dim",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one unit, in full")
    parser.add_argument("--watch", action="store_true", help="look again every second")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--forget", action="store_true", help="strike a unit that is gone off")
    broker.add_socket(parser)
    broker.add_arguments(parser)
    parser.epilog = "exit codes: 0 shown, 5 there is no (such) unit, 69 no broker"


def main(arguments: argparse.Namespace) -> int:
    """Show what there is."""
    from statusd.fleet import Fleet

    if arguments.socket is not None:
        return _show_here(arguments)
    address, namespace, how = broker.find(arguments)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    try:
        with Fleet(address, namespace=namespace) as fleet:
            if arguments.forget:
                return _forget(arguments.name, fleet)
            if arguments.watch:
                return _watch(arguments, fleet)
            return _show(arguments, fleet.status(), namespace)
    except Unavailable as error:
        complain(f"{error} (found by {how})")
        return EXIT_UNAVAILABLE


def _show_here(arguments: argparse.Namespace) -> int:
    from statusd.fleet import Host

    namespace = arguments.namespace or "statusd"
    try:
        return _show(arguments, Host(namespace, arguments.socket).status(), namespace)
    except Unavailable as error:
        complain(str(error))
        return EXIT_UNAVAILABLE


def _forget(name: str | None, fleet: Fleet) -> int:
    unit = next((unit for unit in fleet.status() if unit.name == name), None)
    if unit is None:
        complain(f"no unit {name!a}: --forget wants the name of one that is gone")
        return EXIT_NOBODY
    if unit.is_alive:
        complain(f"{name} is alive: end it first")
        return EXIT_NOBODY
    fleet.forget(unit.name)
    print(f"{name} is forgotten")
    return 0


def _show(arguments: argparse.Namespace, units: list[Unit], namespace: str) -> int:
    if arguments.name:
        units = [unit for unit in units if unit.name == arguments.name]
    if arguments.json:
        found = [_as_json(unit) for unit in units]
        print(json.dumps(found[0] if arguments.name and found else found))
    elif units:
        from rich.console import Console

        console = Console()
        shown = _in_full(units[0]) if arguments.name else _table(units)
        if console.is_terminal:
            console.print(shown)
        else:
            print(_plain(shown))
    if not units:
        what = f"no unit {arguments.name!a}" if arguments.name else "no unit"
        complain(f"{what} in the namespace {namespace!a}")
        return EXIT_NOBODY
    return 0


def _watch(arguments: argparse.Namespace, fleet: Fleet) -> int:
    """Show it again and again; a broker that goes away is told, and waited for."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = Console()
    shown: RenderableType = Text("")
    now: RenderableType
    with Live(shown, console=console, auto_refresh=False) as live:
        printed = ""
        while True:
            try:
                units = fleet.status()
                if arguments.name:
                    units = [unit for unit in units if unit.name == arguments.name]
                shown = _in_full(units[0]) if arguments.name and units else _table(units)
                now = shown
            except Unavailable as error:
                now = Group(shown, Text(str(error), style="bold red"))
            if console.is_terminal:
                live.update(now, refresh=True)
            elif (text := _plain(now)) != printed:
                print(text, flush=True)
                printed = text
            time.sleep(REFRESH_S)


def _plain(shown: RenderableType) -> str:
    """Return what is shown for a pipe, which has no width: nothing is cut, and nothing padded."""
    from rich.console import Console

    console = Console(width=1000, file=io.StringIO())
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _as_json(unit: Unit) -> dict[str, Any]:
    return {
        "name": unit.name,
        "boot": unit.boot,
        "state": unit.state,
        "lost": unit.is_lost,
        "left": unit.left,
        "seen": unit.seen,
        "document": dict(unit.document),
    }


# ---- what is drawn -------------------------------------------------------------------------------


def _table(units: Iterable[Unit]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("NAME", "STATE", "SINCE", "GOAL", "PROGRESS", "TEXT"):
        table.add_column(head, overflow="ellipsis", no_wrap=True)
    for head in ("PID", "RESTARTS"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("LAST", "LINK", "SEEN"):
        table.add_column(head, overflow="ellipsis", no_wrap=True)
    for unit in units:
        table.add_row(*_row(unit))
    return table


def _row(unit: Unit) -> list[RenderableType]:
    from rich.text import Text

    document, now = unit.document, time.time()
    worker = document.get("worker") or {}
    state = Text(unit.state, style=style_of(unit))
    alive = unit.is_alive
    return [
        unit.name,
        state,
        ago(document.get("since"), now) if document else "",
        str(document.get("goal", "")) if alive else "",
        _progress(document.get("progress")) if alive else "",
        Text(str(document.get("text") or "")) if alive else "",
        str(worker.get("pid") or ""),
        str(worker.get("restarts", "")) if alive else "",
        Text(_last(document.get("last")) if alive else ""),
        str(document.get("link", "")) if alive else "",
        ago(unit.seen, now),
    ]


def style_of(unit: Unit) -> str:
    """Return how the state is coloured: by its kind, as far as the document tells."""
    chosen = _STYLES.get(unit.state)
    if chosen is not None:
        return chosen
    return "green" if unit.document.get("part") == "works" else "blue"


def _progress(progress: Any) -> str:
    """Return ``[######----] 60 %``, or the bare number if nobody knows the end."""
    if not isinstance(progress, dict) or progress.get("step") is None:
        return ""
    step, total = progress["step"], progress.get("total")
    if not total:
        return f"{step:g}"
    share = max(0.0, min(1.0, step / total))
    full = round(share * 10)
    return f"{'#' * full}{'-' * (10 - full)} {share:4.0%}"


def _last(last: Any) -> str:
    """Return the last command and who sent it, or what else has led to the state."""
    if not isinstance(last, dict):
        return ""
    who = str(last.get("by") or last.get("source") or "")
    return f"{last['command']} by {who}" if "command" in last else who


def ago(at: object, now: float) -> str:
    """Return how long ago a time (RFC 3339) was, in the largest unit that fits."""
    try:
        then = datetime.fromisoformat(str(at)).timestamp()
    except ValueError:
        return ""
    seconds = max(0.0, now - then)
    for size, letter in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.0f} {letter}"
    return "now"


def _in_full(unit: Unit) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _facts(unit):
        shown = Text(value, style=style_of(unit) if key == "state" else "")
        table.add_row(key, shown)
    return table


def _facts(unit: Unit) -> Iterable[tuple[str, str]]:
    document, now = unit.document, time.time()
    worker = document.get("worker") or {}
    yield "name", unit.name
    yield "state", unit.state
    if unit.seen:
        yield "seen", f"{ago(unit.seen, now)} ({unit.seen})"
    if not document:
        return
    yield "since", f"{ago(document.get('since'), now)} ({document.get('since')})"
    for key in ("goal", "text"):
        if document.get(key):
            yield key, str(document[key])
    if document.get("progress"):
        yield "progress", _progress(document["progress"])
    for key in ("allowed", "tags", "channels"):
        if document.get(key):
            yield key, " ".join(map(str, document[key]))
    if document.get("args"):
        yield "args", json.dumps(document["args"])
    pid, restarts = worker.get("pid") or "none", worker.get("restarts", 0)
    yield "worker", f"pid {pid}, run {document.get('run')}, restarted {restarts} times"
    stop = document.get("stop")
    if stop:
        yield "stop", ", ".join(f"{key} {value}" for key, value in stop.items())
    last = document.get("last")
    if last:
        yield "last", ", ".join(f"{key} {value}" for key, value in last.items())
    yield "daemon", f"pid {document.get('pid')} on {document.get('host')}, boot {unit.boot}"
    yield "link", _link(document)
    death = worker.get("death")
    if death:
        yield "died", f"run {death.get('run')}: {death.get('reason')}"
        for row in death.get("stderr", ()):
            yield "", row


def _link(document: Mapping[str, Any]) -> str:
    """Return how well the unit hears: ``LISTENING, canary 0.4 ms, 2 outages since its start``."""
    told = [str(document.get("link"))]
    if document.get("canary_ms") is not None:
        told.append(f"canary {document['canary_ms']:.1f} ms")
    outages = document.get("outages", 0)
    told.append(f"{outages} outage{'' if outages == 1 else 's'} since its start")
    return ", ".join(told)
