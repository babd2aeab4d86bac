"""``statusd history NAME``: the events of one unit."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain, out
from statusd.core.errors import Unavailable
from statusd.core.text import shown
from statusd.fleet.records import EVENT_ID

MOST = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("name", metavar="NAME", help="the unit")
    parser.add_argument(
        "--since", metavar="ID|TIME", help="only what came after: an event's id, an RFC 3339 time"
    )
    parser.add_argument("-n", type=int, default=100, metavar="N", help="the newest N; default: 100")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd history counter
  statusd history counter -n 5 --json
  statusd history counter --since 2026-11-23T12:00:00Z

exit codes: 0 listed, 5 no such unit, 64 not an id or a time, 69 no broker"""


def main(arguments: argparse.Namespace) -> int:
    """List the events, the oldest first."""
    from statusd.fleet.fleet import Fleet

    since, after = arguments.since or "", ""
    if since and not is_event(since):
        after = _time(since)
        if not after:
            complain(f"--since {since!a}: an event's id (1795400000000-42) or an RFC 3339 time")
            return EXIT_USAGE
        since = ""
    address, namespace, how = broker.find(arguments)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    most = MOST if after else max(1, arguments.n)
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
    for event in late[-arguments.n :]:
        print_event(event, as_json=arguments.json)
    return 0


def print_event(event: Mapping[str, object], *, as_json: bool) -> None:
    """Print an event."""
    if as_json:
        out.say_json(event, flush=True)
    else:
        out.say(*lines_of(event), flush=True)


def is_event(text: str) -> bool:
    """Tell whether ``text`` is the id of an event."""
    return EVENT_ID.fullmatch(text) is not None


def lines_of(event: Mapping[str, object]) -> list[str]:
    """Return an event in words, on a terminal that is narrow in two lines."""
    parts = words(event)
    row = "  ".join(parts)
    if not sys.stdout.isatty() or len(row) <= shutil.get_terminal_size().columns:
        return [row]
    return list(filter(None, ("  ".join(parts[:3]), "    " + "  ".join(parts[3:]))))


def words(event: Mapping[str, object]) -> list[str]:
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
        *(told.get("at", "?"), told.get("name", "?"), change),
        *(f"{who}{reason}", f"[{told['event']}]"),
    ]


def _time(text: str) -> str:
    """Return a time as events have it, to be compared as text; empty if it is none."""
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if found.tzinfo is None:
        found = found.astimezone()
    return (
        found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.microsecond // 1000:03d}Z"
    )
