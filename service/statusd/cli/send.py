"""``statusd send``: one command, to whom it concerns, and what became of it.

On a terminal it waits for that by itself; scripts say ``--wait``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain, out, unknown
from statusd.cli.report_view import Progress, nobody, print_report, units
from statusd.core.errors import ConfigError, Unavailable
from statusd.core.text import shown
from statusd.wire import shapes
from statusd.wire.durable import expiry, kept, seconds
from statusd.wire.me import whoami
from statusd.wire.names import Names
from statusd.wire.talk import ask

if TYPE_CHECKING:
    from statusd.fleet.fleet import Fleet
    from statusd.wire.client import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("word", metavar="WORD", help="a trigger (pause), a state (PAUSED), status")
    _add_target(parser)
    parser.add_argument(
        "--arg", action="append", default=[], metavar="K=V", help="something for the worker"
    )
    parser.add_argument(
        "--durable", action="store_true", help="keep it for units that are away, too"
    )
    parser.add_argument(
        "--expires", metavar="SPAN", help="not to be obeyed after 90s, 10m, 2h; durable: 1h"
    )
    parser.add_argument(
        "-w",
        "--wait",
        action="store_true",
        default=None,
        help="wait for everybody's verdict; so it is on a terminal anyway",
    )
    parser.add_argument(
        "--no-wait", dest="wait", action="store_false", help="don't, on a terminal either"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help="with --wait; default: 5, and for who ends as long as its settings allow",
    )
    parser.add_argument("--dry-run", action="store_true", help="say who would be asked, no more")
    parser.add_argument("--yes", action="store_true", help="don't ask before ending several units")
    parser.add_argument("--json", action="store_true", help="print JSON")
    broker.add_socket(parser)
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd send pause            to every unit of the namespace
  statusd send pause --wait     and what each made of it (on a terminal: anyway)
  statusd send end --wait       for as long as they may take to end
  statusd send end --name 'gpu-*' --tag lab
  statusd send start -c mychannel --arg run=1234
  statusd send pause --durable  for units that are away, too

exit codes: 0 sent and heard (--durable: kept), 5 nobody heard it, 64 not a word, \
69 no broker, or it refused to keep it, 78 bad settings; with --wait: 0 all done, \
3 somebody refused or failed, else 4 somebody was silent, else 6 somebody has taken it and isn't \
there yet (pending)

On a terminal, without --no-wait, --durable or --json, it is as with --wait."""


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--channel", help="default: every unit of the namespace")
    parser.add_argument("--name", action="append", metavar="GLOB", help="only units of that name")
    parser.add_argument("--tag", action="append", help="only units with that tag")
    parser.add_argument("--state", action="append", help="only units in that state")


def main(arguments: argparse.Namespace) -> int:
    """Publish the command; say how many units heard it, or with ``--wait`` what each made of it."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", arguments.word):
        complain(f"{arguments.word!a} is not a word: letters, digits, - and _, at most 64")
        return EXIT_USAGE
    args = _args(arguments)
    if args is None or not _is_consistent(arguments):
        return EXIT_USAGE
    waits_by_itself = arguments.wait is None
    if waits_by_itself:
        is_looked_at = sys.stdout is not None and sys.stdout.isatty()
        arguments.wait = is_looked_at and not (arguments.durable or arguments.json)
    if arguments.socket is not None:
        return _send_here(arguments, args)
    address, namespace, how = broker.find(arguments, commands=True)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    asks = arguments.word.lower() == "end" and sys.stdin.isatty() and not arguments.yes
    try:
        if not (arguments.wait or arguments.dry_run or asks):
            return _publish(arguments, args, address, namespace)
        from statusd.fleet.fleet import Fleet

        with Fleet(address, namespace=namespace) as fleet:
            place = broker.place(address, namespace)
            return _ask(arguments, args, fleet, place, asks=asks)
    except Unavailable as error:
        complain(broker.unreachable(error, how))
        if waits_by_itself and arguments.wait and "NOPERM" in str(error):
            complain("nothing was sent; --no-wait sends, and doesn't look who is there")
        return EXIT_UNAVAILABLE


def _args(arguments: argparse.Namespace) -> dict[str, str] | None:
    args = {}
    for pair in arguments.arg:
        key, sign, value = pair.partition("=")
        if not key or not sign:
            complain(f"--arg wants KEY=VALUE, not {pair!a}")
            return None
        args[key] = value
    return args


def _is_consistent(arguments: argparse.Namespace) -> bool:
    if arguments.durable and arguments.channel:
        complain("--durable is for the whole namespace, not a channel: narrow it by --name, --tag")
    elif arguments.socket is not None and (arguments.durable or arguments.expires):
        complain("--durable and --expires need the broker, and --socket goes without it")
    else:
        try:
            arguments.expires_s = seconds(arguments.expires) if arguments.expires else None
        except ConfigError as error:
            complain(f"--expires: {error}")
            return False
        return True
    return False


# ---- without waiting ---------------------------------------------------------------------------


def _publish(
    arguments: argparse.Namespace, args: dict[str, str], address: Any, namespace: str
) -> int:
    channel = arguments.channel or Names(namespace).control
    message: dict[str, Any] = {"command": arguments.word, "id": os.urandom(8).hex(), "by": whoami()}
    target = {key: value for key, value in _target(arguments).items() if value}
    if target:
        message["target"] = target
    if args:
        message["args"] = args
    from statusd.wire.client import Client  # redis-py takes a moment to load

    with Client(address, "statusd-send") as client:
        if arguments.expires_s is not None:
            message["expires"] = client.run(expiry(arguments.expires_s))
        if arguments.durable:
            return _keep(arguments, message, client, Names(namespace))
        heard = client.run(ask(shapes.number, "PUBLISH", channel, json.dumps(message)))
        if unknown.may_be(arguments.word):
            unknown.warn(arguments.word, client, namespace)
    if arguments.json:
        out.say_json({**message, "channel": channel, "heard": heard})
    elif heard:
        out.say(f"sent {arguments.word} to {channel}: {units(heard)} listening")
    else:
        place = broker.place(address, namespace)
        complain(f"sent {arguments.word} to {channel}, but nobody listens there ({place})")
    return 0 if heard else EXIT_NOBODY


def _keep(
    arguments: argparse.Namespace, message: dict[str, Any], client: Client, names: Names
) -> int:
    """Keep the command for whoever it is for, and say how many hear it at once."""
    listening = sum(client.run(ask(shapes.audience, "PUBSUB", "NUMSUB", names.control)))
    added = client.run(ask(shapes.data, *kept(names, json.dumps(message))))
    entry = added.decode("ascii", "replace")
    if arguments.json:
        out.say_json({**message, "stream": names.commands, "entry": entry, "heard": listening})
    else:
        until = arguments.expires or "1h"
        out.say(
            f"kept {arguments.word} as {entry}: {units(listening)} listening; "
            f"who is away obeys when it is back within {until}"
        )
    return 0


def _target(arguments: argparse.Namespace) -> dict[str, list[str] | None]:
    return {"name": arguments.name, "tag": arguments.tag, "state": arguments.state}


# ---- with the fleet ----------------------------------------------------------------------------


def _ask(
    arguments: argparse.Namespace, args: dict[str, str], fleet: Fleet, place: str, *, asks: bool
) -> int:
    if (arguments.dry_run or asks) and not _may_send(arguments, fleet, place):
        return 0 if arguments.dry_run else EXIT_NOBODY
    if unknown.may_be(arguments.word):
        unknown.complain_of(arguments.word, fleet.status())
    with Progress(arguments.word) as progress:
        shows = arguments.wait and not arguments.json
        report = fleet.send(
            arguments.word,
            name=arguments.name,
            tag=arguments.tag,
            state=arguments.state,
            channel=arguments.channel or "",
            args=args,
            durable=arguments.durable,
            expires_s=arguments.expires_s,
            timeout_s=arguments.timeout if arguments.wait else 0.0,
            heard=progress.outcome if shows else None,
            waiting=progress.waiting if progress and arguments.wait else None,
        )
    if not arguments.wait:
        out.say(f"sent {arguments.word} to {units(len(report.silent))}")
        return 0 if report.silent else EXIT_NOBODY
    print_report(report, arguments.word, as_json=arguments.json)
    return report.exit_code


def _send_here(arguments: argparse.Namespace, args: dict[str, str]) -> int:
    """Send it to the units of this host, and tell what became of it."""
    from statusd.core.messages import Target
    from statusd.fleet.host import Host

    wanted = {key: tuple(value) for key, value in _target(arguments).items() if value}
    try:
        host = Host(arguments.namespace or "statusd", arguments.socket)
    except Unavailable as error:
        complain(str(error))
        return EXIT_UNAVAILABLE
    with Progress(arguments.word) as progress:
        report = host.send(
            arguments.word,
            target=Target(**wanted),
            args=args,
            timeout_s=arguments.timeout,
            heard=None if arguments.json else progress.outcome,
            waiting=progress.waiting if progress else None,
        )
    print_report(report, arguments.word, as_json=arguments.json)
    return report.exit_code


def _may_send(arguments: argparse.Namespace, fleet: Fleet, place: str) -> bool:
    """Show who would be asked, or ask on the terminal before several units are ended.

    Args:
        place: where units are looked for, in words.
    """
    from statusd.core.messages import Target

    wanted = {key: tuple(value) for key, value in _target(arguments).items() if value}
    alive, lost = fleet.expected(Target(**wanted), arguments.channel or "")
    if arguments.dry_run:
        if arguments.json:
            found = {"asked": [unit.name for unit in alive], "lost": [unit.name for unit in lost]}
            out.say_json(found)
        else:
            for unit in alive:
                out.say(f"{shown(unit.name)}  {shown(unit.state)}")
            for unit in lost:
                out.say(f"{shown(unit.name)}  {shown(unit.state)}, last seen {shown(unit.seen)}")
            out.say(f"{arguments.word} would ask {units(len(alive))}")
            if not alive:
                complain(nobody(place))
        return False
    if len(alive) < 2:
        return True
    names = ", ".join(shown(unit.name, 64) for unit in alive[:5]) + (
        ", ..." if len(alive) > 5 else ""
    )
    question = f"end {units(len(alive))} ({names})? [y/N] "
    try:
        agreed = out.ask(question).strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        out.say("")
        agreed = False
    if not agreed:
        complain("nothing was sent")
    return agreed
