"""The units of this host, over their sockets: no broker is needed."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from statusd.core.bounds import Unreadable
from statusd.core.errors import Unavailable
from statusd.core.messages import EVERYBODY, Scalar, Target
from statusd.fleet import records
from statusd.fleet.operations import LAUNCH_S, LOOK_S, TIMEOUT_S, patience_s
from statusd.fleet.response_collector import Outcome, Report, ResponseCollector, UnitInfo
from statusd.private import Untrusted
from statusd.wire.local import DAEMON, HEALTH, Local, sockets
from statusd.wire.me import whoami

NO_TAGS: frozenset[str] = frozenset()


class Host:
    """The units of this host, over their sockets: no broker is needed.

    Args:
        given: a socket, or a folder of some; empty for the usual places.

    Raises:
        Unavailable: there are none.
    """

    def __init__(self, namespace: str = "statusd", given: str = "") -> None:
        self._paths, doubt = {}, ""
        self._place = f"namespace {namespace!a}" + (f", {given}" if given else "")
        for name, path in sockets(namespace, given).items():
            try:
                Local(path).close()
                self._paths[name] = path
            except Untrusted as error:
                doubt = str(error)
            except Unavailable:  # a killed one's file: nobody is behind it
                pass
        if not self._paths:
            raise Unavailable(
                doubt or "no daemon of this host listens any more: only its socket's file is left"
            )

    def status(self, timeout_s: float = 1.0) -> list[UnitInfo]:
        """Return the units by name; one that doesn't answer in time has no document."""
        found = {}
        for outcome in self._ask("status", {}, self._unknown(), timeout_s, None).outcomes:
            document = outcome.fields.get("status", {})
            boot = document.get("boot", 0)
            found[outcome.name] = UnitInfo(outcome.name, boot, False, "", document)
        return list(found.values())

    def send(
        self,
        word: str,
        *,
        target: Target = EVERYBODY,
        args: Mapping[str, Scalar] | None = None,
        timeout_s: float | None = 5.0,
        heard: Callable[[Outcome], None] | None = None,
        waiting: Callable[[list[UnitInfo], float], None] | None = None,
    ) -> Report:
        """Send a command to the units of this host; see `Fleet.send`.

        Units that don't even tell their status count as silent, if their name fits.
        """
        units = self.status()
        alive = [u for u in units if u.is_alive and target.is_for(u.name, u.tags, u.state)]
        mute = [u for u in units if not u.is_alive and target.is_for(u.name, u.tags, u.state)]
        return self._ask(word, dict(args or {}), [*alive, *mute], timeout_s, heard, waiting)

    def _unknown(self) -> list[UnitInfo]:
        return [UnitInfo(name, 0, False, "") for name in self._paths]

    def _ask(
        self,
        word: str,
        args: dict[str, Scalar],
        units: list[UnitInfo],
        timeout_s: float | None,
        heard: Callable[[Outcome], None] | None,
        waiting: Callable[[list[UnitInfo], float], None] | None = None,
    ) -> Report:
        message: dict[str, Any] = {"command": word, "id": os.urandom(16).hex(), "by": whoami()}
        if args:
            message["args"] = args
        places = {unit.name: self._paths[unit.name] for unit in units}
        report = _conduct(message, units, places, timeout_s, heard, waiting)
        return replace(report, where=f"the sockets of this host: {self._place}")


def launch(
    globs: Sequence[str],
    *,
    namespace: str = "statusd",
    given: str = "",
    timeout_s: float | None = None,
    heard: Callable[[Outcome], None] | None = None,
) -> Report:
    """Launch units of this host that have ended, where their daemons have gone on.

    Those that live say that they do.

    Args:
        globs: for their names; given: a socket, or a folder of some; empty for the usual places.
        timeout_s: the longest wait; None for 35 s.

    Raises:
        Unavailable: no daemon of a folder listens.
    """
    target = Target(name=tuple(globs))
    ended: dict[str, Path] = {}
    for path in sockets(namespace, given, DAEMON).values():
        ended |= dict.fromkeys(_ended(path), path)
    living: dict[str, Path] = {}
    with contextlib.suppress(Unavailable):  # all have ended
        living = sockets(namespace, given)
    found = {**living, **ended}
    places = {name: path for name, path in found.items() if target.is_for(name, NO_TAGS, "")}
    message = {"control": "launch", "id": os.urandom(16).hex(), "by": whoami()}
    documents = {name: {"state": "END"} for name in ended}
    units = [UnitInfo(n, 0, False, "", documents.get(n, {})) for n in sorted(places)]
    wait_s = LAUNCH_S if timeout_s is None else timeout_s
    return replace(
        _conduct(message, units, places, wait_s, heard),
        where=f"the sockets of this host: namespace {namespace!a}",
    )


def _ended(path: Path) -> list[str]:
    """Return the names of the units that rest in the daemon behind ``path``; none if it is mute."""
    with contextlib.suppress(Unavailable, Untrusted, Unreadable):
        call = Local(path, TIMEOUT_S)
        try:
            call.write(HEALTH)
            while (lines := call.read()) is not None:
                if lines:
                    return [str(name) for name in records.daemon_health(lines[0])["ended"]]
        finally:
            call.close()
    return []


def _conduct(
    message: Mapping[str, Any],
    units: list[UnitInfo],
    places: Mapping[str, Path],
    timeout_s: float | None,
    heard: Callable[[Outcome], None] | None,
    waiting: Callable[[list[UnitInfo], float], None] | None = None,
) -> Report:
    """Say it to each unit at its place, and collect what they answer."""
    began = time.monotonic()
    collector = ResponseCollector(message["id"], units, [], began)
    calls: dict[Local, str] = {}
    reach_s = TIMEOUT_S if timeout_s is None else timeout_s
    for unit in units:
        with contextlib.suppress(Unavailable):  # it has just ended: silent
            call = Local(places[unit.name], reach_s)
            calls[call] = unit.name
            call.send({**message, "target": {"name": [unit.name]}})
    open_calls = list(calls)
    while open_calls and not collector.is_complete:
        left_s = began + patience_s(timeout_s, collector) - time.monotonic()
        if left_s <= 0:
            break
        for call in select.select(open_calls, [], [], min(left_s, LOOK_S))[0]:
            if not _take_lines(call, collector, heard):
                open_calls.remove(call)
                collector.leave(calls[call])
        if waiting is not None and time.monotonic() - began > LOOK_S:
            waiting(collector.unfinished, left_s)
    for call in calls:
        call.close()
    return collector.report()


def _take_lines(
    call: Local, collector: ResponseCollector, heard: Callable[[Outcome], None] | None
) -> bool:
    """Take in what has come on ``call``; False at its end."""
    lines = call.read()
    for line in lines or ():
        outcome = collector.take(line, time.monotonic())
        if outcome is not None and heard is not None:
            heard(outcome)
    return lines is not None
