"""``statusd history NAME``: the events of one unit."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain, out, zones
from statusd.cli.zones import InZone
from statusd.core.errors import Unavailable
from statusd.core.text import shown
from statusd.fleet.records import EVENT_ID

MOST = 10_000
NEWEST = 100
"""So many events are listed if nobody says how many, or from when on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("name", metavar="NAME", help="the unit")
    parser.add_argument(
        "--since",
        metavar="SPAN|TIME|ID",
        help="only what came after: 5m, 2h, 3d ago; a time (ISO 8601, local if it has no offset); "
        "an event's id",
    )
    parser.add_argument(
        "-n", type=int, metavar="N", help="the newest N; default: 100, with a time all of them"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object a line, times in UTC")
    zones.add_arguments(parser)
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd history counter
  statusd history counter -n 5 --json
  statusd history counter --since 5m
  statusd history counter --since 2026-11-23T12:00:00Z

Times are in the zone of this machine ($TZ), as --since takes them back; --utc: in UTC.

exit codes: 0 listed, 5 no such unit, 64 not an id, a span or a time, 69 no broker"""


def main(arguments: argparse.Namespace) -> int:
    """List the events, the oldest first."""
    from statusd.fleet.fleet import Fleet

    since, after = arguments.since or "", ""
    if since and not is_event(since):
        after = zones.since(since, datetime.now(UTC))
        if not after:
            kinds = "5m, 2h, 3d ago, a time (2026-11-23T12:00), an event's id (1795400000000-42)"
            complain(f"--since {since!a} is none of these: {kinds}")
            return EXIT_USAGE
        since = ""
    address, namespace, how = broker.find(arguments)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    newest = arguments.n if arguments.n is not None else (MOST if after else NEWEST)
    most = MOST if after else max(1, newest)
    try:
        with Fleet(address, namespace=namespace) as fleet:
            events = fleet.history(arguments.name, since, most)
            known = bool(events) or any(u.name == arguments.name for u in fleet.status())
    except Unavailable as error:
        complain(broker.unreachable(error, how))
        return EXIT_UNAVAILABLE
    if not known:
        complain(f"no unit {arguments.name!a} in the {broker.place(address, namespace)}")
        return EXIT_NOBODY
    late = [e for e in events if not after or "at" not in e or e["at"] > after]
    for event in late[-newest:] if newest > 0 else late:
        print_event(event, as_json=arguments.json, in_zone=zones.of(arguments))
    return 0


def print_event(
    event: Mapping[str, object], *, as_json: bool, in_zone: InZone = zones.local
) -> None:
    """Print an event; its times in the zone of whoever reads it."""
    if as_json:
        out.say_json(event, flush=True)
    else:
        out.say(*lines_of(event, in_zone), flush=True)


def is_event(text: str) -> bool:
    """Tell whether ``text`` is the id of an event."""
    return EVENT_ID.fullmatch(text) is not None


def lines_of(event: Mapping[str, object], in_zone: InZone = zones.local) -> list[str]:
    """Return an event in words, on a terminal that is narrow in two lines."""
    parts = words(event, in_zone)
    row = "  ".join(parts)
    if not sys.stdout.isatty() or out.width(row) <= shutil.get_terminal_size().columns:
        return [row]
    return list(filter(None, ("  ".join(parts[:3]), "    " + "  ".join(parts[3:]))))


def words(event: Mapping[str, object], in_zone: InZone = zones.local) -> list[str]:
    """Return when it was, who it was, from where to where, why, and the event's id.

    In place of an event there may be a gap, or a record that can't be read (`Watcher`).
    """
    told = {key: shown(value) for key, value in event.items()}
    if "gap" in event:
        if "event" not in event:
            between = f"{told['after']} and {told['before']}"
            return [f"{told['gap']}: events are missing between {between}"]
    elif "unreadable" in event:
        return [
            f"{told['unreadable']}: can't be read: {told['key']} {told['id']}: {told['reason']}"
        ]
    by = f" by {told['by']}" if "by" in told else ""
    reason = f": {told['reason']}" if told.get("reason") else ""
    old, new = told.get("old", "?"), told.get("new", "?")
    change = f"{old} -> {new}" if old != new else new
    who = f"{told.get('trigger', '?')} ({told.get('source', '?')}{by})"
    return [
        *(in_zone(told.get("at", "?")), told.get("name", "?"), change),
        *(f"{who}{reason}", f"[{told['event']}]"),
    ]
