"""``statusd health``: whether the loop of a daemon on this host turns. The broker isn't asked.

Lean, for it is run every few seconds: no settings are validated here, only looked into.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from statusd.cli import complain, out
from statusd.cli.files import believed_file, settings_file
from statusd.core.bounds import Unreadable
from statusd.core.errors import ConfigError, Unavailable
from statusd.fleet import records
from statusd.private import Untrusted
from statusd.reading import read_words
from statusd.wire.local import HEALTH, Local, sockets
from statusd.wire.names import default_name

TIMEOUT_S = 2.0
EXIT_SICK = 1
"""Of all codes that mean "no", the one that every container engine knows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file",
        nargs="?",
        type=settings_file,
        metavar="FILE",
        help="settings: the unit that they are for",
    )
    parser.add_argument(
        "--socket", default="", metavar="PATH", help="a daemon's socket, or a folder of some"
    )
    parser.add_argument("--namespace", help="default: the settings' one, or statusd")
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT_S, metavar="S", help="default: 2, in all"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = """\
examples:
  statusd health                 every daemon that listens here, and at least one
  statusd health job.toml        the unit of these settings
  statusd health --json | jq '.units[].link'

A socket's file that a killed daemon has left is told, and counts only if that unit was asked for, \
or if no other listens.

exit codes: 0 every loop turns, whether the broker is there or not, 1 one doesn't answer in time, \
or none is there"""


def main(arguments: argparse.Namespace) -> int:
    """Ask over the local socket, and tell in a line what came of it."""
    until = time.monotonic() + arguments.timeout
    try:
        asked = _whom(arguments)
    except Unavailable as error:
        if arguments.json:
            out.say_json({"healthy": False, "reason": str(error), "units": []})
        else:
            complain(str(error))
        return EXIT_SICK
    units = [_ask(name, path, until, arguments.timeout) for name, path in asked.items()]
    # Whoever isn't asked for by name may have died long ago, and his file is nobody's illness.
    gone = [unit for unit in units if unit.get("listens") is False]
    counted = [unit for unit in units if unit not in gone] or units
    is_healthy = all(unit["healthy"] for unit in counted)
    if arguments.json:
        out.say_json({"healthy": is_healthy, "units": units})
    else:
        for unit in units:
            _print_unit(unit)
    return 0 if is_healthy else EXIT_SICK


def _print_unit(unit: dict[str, Any]) -> None:
    if unit["healthy"]:
        link, ms = unit["link"], unit["ms"]
        link += f": {unit['link_trouble']}" if unit.get("link_trouble") else ""
        trouble = f"; nothing is kept: {unit['trouble']}" if unit.get("trouble") else ""
        unseen = " (not seen yet)" if unit.get("unseen") else ""
        state = f"{unit['name']}: {unit['state']}{unseen}, the loop turns ({ms} ms)"
        out.say(f"{state}; link {link}{trouble}")
    else:
        complain(f"{unit['name']}: {unit['reason']}")


def _whom(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return unit -> socket of those that are to be asked.

    Raises:
        ConfigError: the settings can't be read.
        Unavailable: nobody listens.
    """
    table = _table(arguments.file)
    environ = os.environ
    redis = table.get("redis", {})
    namespace = (
        arguments.namespace
        or environ.get("STATUSD_REDIS__NAMESPACE")
        or str(redis.get("namespace", "statusd") if isinstance(redis, dict) else "statusd")
    )
    name = environ.get("STATUSD_NAME", "")
    if arguments.file is not None and not name:
        name = str(table.get("name") or default_name(arguments.file))
    found = sockets(namespace, arguments.socket)
    if not name or (arguments.socket and len(found) == 1):
        return found
    if name not in found:
        there = ", ".join(sorted(found))
        raise Unavailable(f"no daemon listens for {name!a} here (there is {there}): is it started?")
    return {name: found[name]}


def _table(given: Path | None) -> dict[str, Any]:
    """Return the settings; a stranger's file is passed over: it must not make a job look ill."""
    file = given or believed_file()
    if file is None:
        return {}
    import tomllib

    from statusd.lifecycles.toml_lines import mistake

    try:
        return tomllib.loads(read_words(file))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{file}: {mistake(error)}") from None


def _ask(name: str, path: Path, until: float, timeout_s: float) -> dict[str, Any]:
    """Return what is known of one unit: healthy or not, and why."""
    began = time.monotonic()
    try:
        fields = _answer(path, until)
    except Untrusted as error:
        return {"name": name, "healthy": False, "reason": str(error)}
    except Unreadable as error:
        return {"name": name, "healthy": False, "reason": f"its answer is none: {error}"}
    except Unavailable:
        reason = (
            f"nobody listens at {path} any more: the daemon was killed; start it again, or remove "
            "that file"
        )
        return {"name": name, "healthy": False, "listens": False, "reason": reason}
    if fields is None:
        reason = f"no answer within {timeout_s:g} s: the daemon is stopped, or its loop is stuck"
        return {"name": name, "healthy": False, "reason": reason}
    ms = round((time.monotonic() - began) * 1000, 1)
    told = {"ms": ms, **fields, "name": name, "healthy": not fields["stuck"]}
    if fields["stuck"]:
        told["reason"] = f"the loop turns, but not all of it: stuck is {', '.join(fields['stuck'])}"
    return told


def _answer(path: Path, until: float) -> dict[str, Any] | None:
    """Return the daemon's answer; None if it has not come in time.

    Raises:
        Unavailable: nobody listens.
        Unreadable: what answers there is no daemon of ours.
    """
    call = Local(path, max(0.01, until - time.monotonic()))
    try:
        call.write(HEALTH)
        while (lines := call.read()) is not None:
            if lines:
                return records.health(lines[0])
    finally:
        call.close()
    return None
