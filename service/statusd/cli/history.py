"""``statusd history NAME``: the events of one unit."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain
from statusd.core.errors import Unavailable

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
    from statusd.fleet import Fleet

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
        complain(f"no unit {arguments.name!a} in the namespace {namespace!a}")
        return EXIT_NOBODY
    for event in [e for e in events if not after or str(e.get("at", "")) > after][-arguments.n :]:
        print(json.dumps(event) if arguments.json else show(event), flush=True)
    return 0


def is_event(text: str) -> bool:
    """Tell whether ``text`` is the id of an event."""
    return re.fullmatch(r"\d+-\d+", text) is not None


def show(event: dict[str, object]) -> str:
    """Return an event in words, on a terminal that is narrow in two lines."""
    parts = words(event)
    row = "  ".join(parts)
    if not sys.stdout.isatty() or len(row) <= shutil.get_terminal_size().columns:
        return row
    return "\n    ".join(filter(None, ("  ".join(parts[:3]), "  ".join(parts[3:]))))


def words(event: dict[str, object]) -> list[str]:
    """Return when it was, who it was, from where to where, why, and the event's id."""
    if "event" not in event:
        between = f"{event['after']} and {event['before']}"
        return [f"{event['gap']}: events are missing between {between}"]
    by = f" by {event['by']}" if "by" in event else ""
    reason = f": {event['reason']}" if event.get("reason") else ""
    change = (
        f"{event.get('old')} -> {event.get('new')}"
        if event.get("old") != event.get("new")
        else event.get("new")
    )
    who = f"{event.get('trigger')} ({event.get('source')}{by})"
    told = (event.get("at"), event.get("name"), change, f"{who}{reason}", f"[{event['event']}]")
    return [str(part) for part in told]


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
