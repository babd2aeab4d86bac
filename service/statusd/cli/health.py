"""``statusd health``: whether the loop of a daemon on this host turns. The broker isn't asked.

Lean, for it is run every few seconds: no settings are validated here, only looked into.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from statusd.cli import complain, out
from statusd.cli.files import believed_file, settings_file
from statusd.core.bounds import Unreadable
from statusd.core.errors import ConfigError, Unavailable
from statusd.fleet import records
from statusd.private import Untrusted
from statusd.reading import read_words
from statusd.wire.local import DAEMON, HEALTH, UNIT, Local, sockets
from statusd.wire.names import NAMESPACE, default_name, shared_file

TIMEOUT_S = 2.0
Read = Callable[[bytes], dict[str, Any]]
EXIT_SICK = 1
"""Of all codes that mean "no", the one that every container engine knows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file",
        nargs="?",
        type=settings_file,
        metavar="FILE|FOLDER",
        help="settings: the unit that they are for; or the folder of a daemon with all its units",
    )
    parser.add_argument("--name", default="", help="the unit of this name")
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
  statusd health units/          the daemon of that folder, and its units
  statusd health --name camera   that unit
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
    answers = [_ask(*whom, until, arguments.timeout) for whom in asked]
    daemons = [answer for answer in answers if "daemon" in answer]
    units = [answer for answer in answers if "daemon" not in answer]
    # Whoever isn't asked for by name may have died long ago, and his file is nobody's illness.
    gone = [answer for answer in answers if answer.get("listens") is False]
    counted = [answer for answer in answers if answer not in gone] or answers
    is_healthy = all(answer["healthy"] for answer in counted)
    if arguments.json:
        out.say_json(
            {"healthy": is_healthy, "units": units} | ({"daemons": daemons} if daemons else {})
        )
    else:
        for daemon in daemons:
            _print_daemon(daemon, with_units=not units)
        for unit in units:
            _print_unit(unit)
    return 0 if is_healthy else EXIT_SICK


def _print_daemon(daemon: dict[str, Any], *, with_units: bool) -> None:
    """Say how the daemon of a folder is; and its units, if they weren't asked themselves."""
    name = daemon["daemon"]
    if not daemon["healthy"]:
        complain(f"{name}: {daemon['reason']}")
        return
    units, ended, absent = (daemon[key] for key in ("units", "ended", "not_started"))
    count = f"{len(units)} unit" + ("" if len(units) == 1 else "s")
    others = f", {len(ended)} ended" if ended else ""
    out.say(f"{name}: {count}{others}, the loop turns ({daemon['ms']} ms); link {_link(daemon)}")
    for unit in units if with_units else ():
        _print_unit(unit)
    for unit, why in absent.items():
        complain(f"{unit}: not started: {why}")


def _link(told: dict[str, Any]) -> str:
    return (
        f"{told['link']}: {told['link_trouble']}" if told.get("link_trouble") else str(told["link"])
    )


def _print_unit(unit: dict[str, Any]) -> None:
    if unit.get("healthy", True):
        trouble = f"; nothing is kept: {unit['trouble']}" if unit.get("trouble") else ""
        unseen = " (not seen yet)" if unit.get("unseen") else ""
        turns = f", the loop turns ({unit['ms']} ms); link {_link(unit)}" if "ms" in unit else ""
        out.say(f"{unit['name']}: {unit['state']}{unseen}{turns}{trouble}")
    else:
        complain(f"{unit['name']}: {unit['reason']}")


def _whom(arguments: argparse.Namespace) -> list[tuple[str, str, Path]]:
    """Return those that are to be asked: `UNIT` or `DAEMON`, its name, its socket.

    Raises:
        ConfigError: the settings can't be read.
        Unavailable: nobody listens.
    """
    file: Path | None = arguments.file
    is_folder = file is not None and file.is_dir()
    table = _of_folder(file) if file is not None and is_folder else _table(file)
    namespace = arguments.namespace or _namespace(table)
    if file is not None and is_folder and not arguments.name:
        return [_named(_daemon_name(file, table), namespace, arguments.socket, DAEMON)]
    name = arguments.name or os.environ.get("STATUSD_NAME", "")
    if file is not None and not name:
        name = str(table.get("name") or default_name(file))
    if name:
        return [_named(name, namespace, arguments.socket, UNIT)]
    units, daemons = {}, {}
    with contextlib.suppress(Unavailable):  # the units tell it
        daemons = sockets(namespace, arguments.socket, DAEMON)
    try:
        units = sockets(namespace, arguments.socket)
    except Unavailable:
        if not daemons:
            raise
    kinds = ((DAEMON, daemons), (UNIT, units))
    return [(kind, name, path) for kind, found in kinds for name, path in found.items()]


def _named(name: str, namespace: str, given: str, kind: str) -> tuple[str, str, Path]:
    """Return the one of that name; the only one that is given may have any.

    Raises:
        Unavailable: it doesn't listen.
    """
    found = sockets(namespace, given, kind)
    if given and len(found) == 1:
        return kind, *next(iter(found.items()))
    if name not in found:
        there = ", ".join(sorted(found))
        raise Unavailable(f"no daemon listens for {name!a} here (there is {there}): is it started?")
    return kind, name, found[name]


def _of_folder(folder: Path) -> dict[str, Any]:
    """Return what the units of a folder share; there need be nothing."""
    if not any(name.endswith(".toml") for name in _listed(folder)):
        raise ConfigError(f"{folder}: no unit in it: each is a *.toml with [worker]")
    file = shared_file(folder)
    return _table(file) if file.exists() else {}


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from None


def daemon_socket(folder: Path, given: str = "") -> tuple[str, Path]:
    """Return name and socket of the daemon of ``folder`` on this host.

    Raises:
        ConfigError: its shared settings can't be read.
        Unavailable: it doesn't listen.
    """
    table = _of_folder(folder)
    _, name, path = _named(_daemon_name(folder, table), _namespace(table), given, DAEMON)
    return name, path


def _namespace(table: dict[str, Any]) -> str:
    redis = table.get("redis", {})
    said = redis.get("namespace", NAMESPACE) if isinstance(redis, dict) else NAMESPACE
    return os.environ.get("STATUSD_REDIS__NAMESPACE") or str(said)


def _daemon_name(folder: Path, table: dict[str, Any]) -> str:
    daemon = table.get("daemon")
    chosen = os.environ.get("STATUSD_DAEMON__NAME") or (
        daemon.get("name") if isinstance(daemon, dict) else ""
    )
    return str(chosen or default_name(shared_file(folder)))


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


def _ask(kind: str, name: str, path: Path, until: float, timeout_s: float) -> dict[str, Any]:
    """Return what is known of one unit, or of a folder's daemon: healthy or not, and why."""
    began = time.monotonic()
    who = {"name" if kind == UNIT else "daemon": name}
    sick = {**who, "healthy": False}
    try:
        fields = _answer(path, until, records.health if kind == UNIT else records.daemon_health)
    except Untrusted as error:
        return {**sick, "reason": str(error)}
    except Unreadable as error:
        return {**sick, "reason": f"its answer is none: {error}"}
    except Unavailable:
        reason = (
            f"nobody listens at {path} any more: the daemon was killed; start it again, or remove "
            "that file"
        )
        return {**sick, "listens": False, "reason": reason}
    if fields is None:
        reason = f"no answer within {timeout_s:g} s: the daemon is stopped, or its loop is stuck"
        return {**sick, "reason": reason}
    ms = round((time.monotonic() - began) * 1000, 1)
    told = {"ms": ms, **fields, **who, "healthy": not fields["stuck"]}
    if fields["stuck"]:
        told["reason"] = f"the loop turns, but not all of it: stuck is {', '.join(fields['stuck'])}"
    return told


def _answer(path: Path, until: float, read: Read) -> dict[str, Any] | None:
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
                return read(lines[0])
    finally:
        call.close()
    return None
