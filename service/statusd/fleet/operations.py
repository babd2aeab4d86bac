"""What is asked of a fleet, step by step and without a connection; see `wire.talk`.

`Fleet` carries these out by blocking calls, `AsyncFleet` by awaited ones: there is one logic.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from statusd.core.bounds import Unreadable
from statusd.core.errors import ConfigError
from statusd.core.messages import EVERYBODY, Scalar, Target, to_json
from statusd.fleet import records
from statusd.fleet.history import MOST_EVENTS, Event, event_of, is_void
from statusd.fleet.records import as_text
from statusd.fleet.response_collector import (
    Outcome,
    Report,
    ResponseCollector,
    UnitInfo,
    asked,
    read_fleet,
    renewed,
)
from statusd.fleet.targets import Globs, hears, is_there, message_to
from statusd.wire import shapes
from statusd.wire.durable import expiry, kept
from statusd.wire.names import Names
from statusd.wire.talk import Ask, Listen, Operation, Subscribe, Where, ask, ask_key, read

Heard = Callable[[Outcome], None]
Waiting = Callable[[list[UnitInfo], float], None]

TIMEOUT_S = 5.0
"""So long a command is waited for if nobody says how long, and it leads nobody to END."""
LAUNCH = "launch"
LAUNCH_S = 35.0
"""So long a launch is waited for if nobody says how long: a worker may take 30 s to be ready."""
END_MARGIN_S = 3.0
"""What an END may take longer than its unit says: death, the last words, the way back."""
LOOK_S = 1.0
"""How often whoever waits is told of those who are waited for."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command as somebody gives it, see `Fleet.send`."""

    word: str
    name: Globs = None
    tag: Globs = None
    state: Globs = None
    channel: str = ""
    args: Mapping[str, Scalar] | None = None
    by: str = ""
    expires: str = ""
    expires_s: float | None = None
    durable: bool = False
    timeout_s: float | None = TIMEOUT_S
    heard: Heard | None = None
    waiting: Waiting | None = None
    launch: bool = False
    """It is `LAUNCH`, a word of the daemon, and for those that rest, too."""


def launch(
    name: Globs,
    tag: Globs,
    *,
    by: str,
    durable: bool,
    timeout_s: float | None,
    heard: Heard | None,
) -> Order:
    """Return the order to begin again, for units that have ended."""
    return Order(
        LAUNCH,
        name=name,
        tag=tag,
        by=by,
        durable=durable,
        timeout_s=LAUNCH_S if timeout_s is None else timeout_s,
        heard=heard,
        launch=True,
    )


# ---- looking ------------------------------------------------------------------------------------


def status(namespace: str) -> Operation[list[UnitInfo]]:
    """Return every unit that there is or was, by name: two round trips, however many.

    Raises:
        Unavailable: the broker refuses.
    """
    found = yield from ask_key(shapes.table, "HGETALL", Names(namespace).roster)
    roster = {as_text(name): entry for name, entry in found.items()}
    replies = yield Ask([("GET", Names(namespace, name).status) for name in roster])
    for reply in replies:
        if shapes.is_error(reply) and not shapes.is_wrong_type(reply):
            yield from read(shapes.data, reply, "GET")  # it is about all of them
    return read_fleet(roster, dict(zip(roster, replies, strict=True)))


def forget(namespace: str, name: str) -> Operation[bool]:
    """Strike a unit off the roster; tell whether it was there.

    Raises:
        Unavailable: the broker refuses.
    """
    return bool((yield from ask(shapes.number, "HDEL", Names(namespace).roster, name)))


def history(
    namespace: str, name: str, since: str = "", most: int = MOST_EVENTS, before: str = ""
) -> Operation[list[Event]]:
    """Return the newest events of a unit in order.

    Args:
        since: only those after that one; before: only those before that one.

    Raises:
        Unavailable: the broker refuses.
    """
    if is_void(since, before):
        return []
    start, end = f"({since}" if since else "-", f"({before}" if before else "+"
    key = Names(namespace, name).history
    entries = yield from ask_key(shapes.entries, "XREVRANGE", key, end, start, "COUNT", most)
    return [event_of(name, key, *entry) for entry in reversed(entries)]


def lifecycle(namespace: str, name: str) -> Operation[dict[str, Any] | None]:
    """Return the lifecycle of a unit as its daemon has told it; None if it hasn't, or it is none.

    Raises:
        Unavailable: the broker refuses.
    """
    (reply,) = yield Ask([("GET", Names(namespace, name).lifecycle)])
    if reply is None or shapes.is_wrong_type(reply):
        return None
    try:
        return records.lifecycle((yield from read(shapes.data, reply, "GET")))
    except Unreadable:
        return None


def expected(
    namespace: str, target: Target = EVERYBODY, channel: str = "", *, launch: bool = False
) -> Operation[tuple[list[UnitInfo], list[UnitInfo]]]:
    """Return whom a command would be for: the units that are alive, and those lost.

    Args:
        launch: those that rest are among the first.

    Raises:
        Unavailable: the broker refuses.
    """
    hearing = partial(hears, channel) if channel else is_there
    return asked((yield from status(namespace)), target, hearing, launch=launch)


# ---- commanding ---------------------------------------------------------------------------------


def send(namespace: str, order: Order, reply_to: str = "") -> Operation[Report]:
    """Send a command and wait until everybody who has to answer has given a final verdict.

    Args:
        reply_to: a channel that several commands share; empty for one of its own. Its name is a
            secret that nobody guesses.

    Raises:
        ConfigError: it is no command, or a durable one for a channel; nothing was sent.
        Unavailable: the broker refuses, or a connection was lost meanwhile.
    """
    if order.durable and order.channel:
        raise ConfigError("a durable command is for the whole namespace, not for a channel")
    expires = order.expires
    if order.expires_s is not None:
        expires = yield from expiry(order.expires_s)
    reply_to = reply_to or f"{namespace}:reply:{os.urandom(16).hex()}"
    message, target = message_to(
        reply_to,
        order.word,
        name=order.name,
        tag=order.tag,
        state=order.state,
        args=order.args,
        by=order.by,
        expires=expires,
    )
    if order.launch:
        message["control"] = message.pop("command")
    alive, lost = yield from expected(namespace, target, order.channel, launch=order.launch)
    yield Subscribe(reply_to, about=message["id"])
    began = time.monotonic()
    collector = ResponseCollector(message["id"], alive, lost, began)
    entry = yield from _say(Names(namespace), order, to_json(message))
    yield from _collect(namespace, collector, began, order)
    where = f"namespace {namespace!a} on {(yield Where())}"
    return replace(collector.report(), entry=as_text(entry), where=where)


def _say(names: Names, order: Order, payload: str) -> Operation[bytes]:
    """Say it; return the place in the stream of a durable one."""
    if order.durable:
        return (yield from ask(shapes.data, *kept(names, payload)))
    yield from ask(shapes.number, "PUBLISH", order.channel or names.control, payload)
    return b""


def patience_s(timeout_s: float | None, collector: ResponseCollector) -> float:
    """Return how long after it was sent a command is waited for, by what is known now.

    Args:
        timeout_s: as somebody has said; None for as long as it may take: an END that a unit has
            taken, whatever its word is there, takes as long as the unit's document says.
    """
    if timeout_s is not None:
        return timeout_s
    ends_within_s = collector.ends_within_s()
    return max(TIMEOUT_S, ends_within_s + END_MARGIN_S if ends_within_s else 0.0)


def _collect(
    namespace: str, collector: ResponseCollector, began: float, order: Order
) -> Operation[None]:
    looks = order.waiting is not None or order.timeout_s is None
    look_at = began + LOOK_S if looks else math.inf
    while not collector.is_complete:
        deadline, now = began + patience_s(order.timeout_s, collector), time.monotonic()
        if now >= deadline:
            return
        if now >= look_at:
            units = yield from _anew(namespace, collector)
            if order.waiting is not None and units:
                order.waiting(units, deadline - now)
            look_at = time.monotonic() + LOOK_S
            continue
        message = yield Listen(min(deadline, look_at) - now)
        if message is None:
            if deadline <= look_at:
                return
            continue
        outcome = collector.take(message, time.monotonic())
        if outcome is not None and order.heard is not None:
            order.heard(outcome)


def _anew(namespace: str, collector: ResponseCollector) -> Operation[list[UnitInfo]]:
    """Return the units that are waited for, as their documents are now.

    Who has none any more has died: it isn't waited for.
    """
    units = collector.unfinished
    replies = yield Ask([("GET", Names(namespace, unit.name).status) for unit in units])
    for unit, reply in zip(units, replies, strict=True):
        if reply is None:
            collector.leave(unit.name)
    return [
        renewed(unit, reply)
        for unit, reply in zip(units, replies, strict=True)
        if reply is not None
    ]
