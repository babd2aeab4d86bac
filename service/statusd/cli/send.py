"""``statusd send``: one command, to whom it concerns."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import socket
from typing import Any

from statusd.cli import EXIT_USAGE, broker, complain
from statusd.core.errors import Unavailable
from statusd.wire.dial import Dial
from statusd.wire.names import Names

EXIT_NOBODY = 5
EXIT_UNAVAILABLE = 69
"""The broker can't be reached (EX_UNAVAILABLE of sysexits.h)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("word", metavar="WORD", help="a trigger (pause), a state (PAUSED), status")
    parser.add_argument("-c", "--channel", help="default: every unit of the namespace")
    parser.add_argument("--name", action="append", metavar="GLOB", help="only units of that name")
    parser.add_argument("--tag", action="append", help="only units with that tag")
    parser.add_argument(
        "--arg", action="append", default=[], metavar="K=V", help="something for the worker"
    )
    parser.add_argument("--json", action="store_true", help="print what was sent as JSON")
    broker.add_arguments(parser)
    parser.epilog = "exit codes: 0 sent and heard, 5 nobody heard it, 69 no broker, 78 bad settings"


def main(arguments: argparse.Namespace) -> int:
    """Publish the command and say how many units heard it."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", arguments.word):
        complain(f"{arguments.word!a} is not a word: letters, digits, - and _, at most 64")
        return EXIT_USAGE
    message = _message(arguments)
    if message is None:
        return EXIT_USAGE
    address, namespace, how = broker.find(arguments)
    channel = arguments.channel or Names(namespace).control
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    try:
        with Dial(address, "statusd-send") as dial:
            heard = int(dial.call("PUBLISH", channel, json.dumps(message)))
    except Unavailable as error:
        complain(f"{error} (found by {how})")
        return EXIT_UNAVAILABLE
    _tell(arguments, message, channel, heard)
    return 0 if heard else EXIT_NOBODY


def _message(arguments: argparse.Namespace) -> dict[str, Any] | None:
    message: dict[str, Any] = {"command": arguments.word, "id": os.urandom(8).hex(), "by": _me()}
    target = {"name": arguments.name, "tag": arguments.tag}
    if any(target.values()):
        message["target"] = {key: value for key, value in target.items() if value}
    args = {}
    for pair in arguments.arg:
        key, sign, value = pair.partition("=")
        if not key or not sign:
            complain(f"--arg wants KEY=VALUE, not {pair!a}")
            return None
        args[key] = value
    if args:
        message["args"] = args
    return message


def _me() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"[:128]


def _tell(arguments: argparse.Namespace, message: dict[str, Any], channel: str, heard: int) -> None:
    if arguments.json:
        print(json.dumps({**message, "channel": channel, "heard": heard}))
    elif heard:
        units = "1 unit" if heard == 1 else f"{heard} units"
        print(f"sent {arguments.word} to {channel}: {units} listening")
    else:
        complain(f"sent {arguments.word} to {channel}, but nobody listens there")
