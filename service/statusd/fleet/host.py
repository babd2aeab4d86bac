"""The units of this host, over their sockets: no broker is needed."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Mapping
from typing import Any

from statusd.core.errors import Unavailable
from statusd.core.messages import EVERYBODY, Scalar, Target
from statusd.fleet.response_collector import Outcome, Report, ResponseCollector, UnitInfo
from statusd.private import Untrusted
from statusd.wire.local import Local, sockets
from statusd.wire.me import whoami


class Host:
    """The units of this host, over their sockets: no broker is needed.

    Args:
        given: a socket, or a folder of some; empty for the usual places.

    Raises:
        Unavailable: there are none.
    """

    def __init__(self, namespace: str = "statusd", given: str = "") -> None:
        self._paths, doubt = {}, ""
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
        timeout_s: float = 5.0,
        heard: Callable[[Outcome], None] | None = None,
    ) -> Report:
        """Send a command to the units of this host; see `Fleet.send`.

        Units that don't even tell their status count as silent, if their name fits.
        """
        units = self.status()
        alive = [u for u in units if u.is_alive and target.is_for(u.name, u.tags, u.state)]
        mute = [u for u in units if not u.is_alive and target.is_for(u.name, u.tags, u.state)]
        return self._ask(word, dict(args or {}), [*alive, *mute], timeout_s, heard)

    def _unknown(self) -> list[UnitInfo]:
        return [UnitInfo(name, 0, False, "") for name in self._paths]

    def _ask(
        self,
        word: str,
        args: dict[str, Scalar],
        units: list[UnitInfo],
        timeout_s: float,
        heard: Callable[[Outcome], None] | None,
    ) -> Report:
        message: dict[str, Any] = {"command": word, "id": os.urandom(16).hex(), "by": whoami()}
        if args:
            message["args"] = args
        began = time.monotonic()
        collector = ResponseCollector(message["id"], units, [], began)
        calls = []
        for unit in units:
            with contextlib.suppress(Unavailable):  # it has just ended: silent
                calls.append(Local(self._paths[unit.name], timeout_s))
                calls[-1].send(message)
        open_calls = list(calls)
        while open_calls and not collector.is_complete:
            left_s = began + timeout_s - time.monotonic()
            ready = select.select(open_calls, [], [], left_s)[0] if left_s > 0 else []
            if not ready:
                break
            for call in ready:
                if not _take_lines(call, collector, heard):
                    open_calls.remove(call)
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
