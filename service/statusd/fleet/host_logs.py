"""The output of this host's units, over their sockets: no broker is needed."""

from __future__ import annotations

import select
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from statusd.core.errors import Unavailable
from statusd.fleet.log_follower import RENEW_S, LogFollower, LogItem, Wanted
from statusd.private import Untrusted
from statusd.wire.local import Local, sockets

GONE = "its daemon has hung up"


def logs(wanted: Wanted, namespace: str = "statusd", given: str = "") -> Generator[LogItem]:
    """Give out what the workers of this host have printed, and if you follow, what they print.

    Args:
        given: a socket, or a folder of some; empty for the usual places.

    Raises:
        Unavailable: there are none, or what is there is somebody else's.
    """
    paths = sockets(namespace, given)
    return _read(LogFollower(wanted), namespace, given, paths)


def _read(
    follower: LogFollower, namespace: str, given: str, paths: Mapping[str, Path]
) -> Generator[LogItem]:
    calls: dict[str, Local] = {}
    ask_at = 0.0
    try:
        while True:
            if time.monotonic() >= ask_at:
                if ask_at and follower.wanted.follow:  # some have begun, or have come back
                    paths = {**paths, **_found(namespace, given)}
                _ask(follower, calls, paths)
                ask_at = time.monotonic() + RENEW_S
            is_over = follower.look()
            yield from follower.given()
            if is_over:
                return
            wait_s = max(0.0, min(ask_at - time.monotonic(), follower.left_s))
            _listen(follower, calls, wait_s)
    finally:
        for call in calls.values():
            call.close()


def _found(namespace: str, given: str) -> Mapping[str, Path]:
    try:
        return sockets(namespace, given)
    except Unavailable:
        return {}


def _ask(follower: LogFollower, calls: dict[str, Local], paths: Mapping[str, Path]) -> None:
    """Ask each of them, also those that have hung up."""
    follower.begin(paths)
    for name in follower.names:
        if not follower.wanted.follow and name in calls:
            continue
        try:
            if name not in calls:
                calls[name] = Local(paths[name])
            calls[name].write(follower.question(name).encode())
        except (Unavailable, Untrusted) as error:
            _hang_up(follower, calls, name, str(error))
    for name in follower.ended:
        if name not in calls:
            _ask_again(follower, calls, name, paths[name])


def _ask_again(follower: LogFollower, calls: dict[str, Local], name: str, path: Path) -> None:
    """Ask one that has ended, if somebody listens there again; it is read on if that is a new life.

    Nobody who does is no news: that it has ended was told.
    """
    try:
        call = Local(path)
    except (Unavailable, Untrusted):
        return
    calls[name] = call
    try:
        call.write(follower.question(name).encode())
    except Unavailable as error:
        _hang_up(follower, calls, name, str(error))


def _listen(follower: LogFollower, calls: dict[str, Local], wait_s: float) -> None:
    by_call = {call: name for name, call in calls.items()}
    for call in select.select(list(by_call), [], [], wait_s)[0]:
        lines = call.read()
        for line in lines or ():
            follower.take(line)
        if lines is None:
            _hang_up(follower, calls, by_call[call], GONE)


def _hang_up(follower: LogFollower, calls: dict[str, Local], name: str, reason: str) -> None:
    if (call := calls.pop(name, None)) is not None:
        call.close()
    follower.away(name, reason)
