"""The fleet from Python: command it, look at it, follow it.

    with Fleet("redis://localhost") as fleet:
        report = fleet.send("pause", tag="gpu", timeout_s=3)
        print([outcome.name for outcome in report.silent])

A `Fleet` is used by one thread at a time. A connection that is lost is made anew by the next call;
a command is never sent twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Self, TypeVar

from statusd.core.errors import ConfigError, Unavailable
from statusd.core.messages import EVERYBODY, Scalar, Target, to_json
from statusd.fleet.history import MOST_EVENTS, Event, event_of, is_id
from statusd.fleet.records import as_text
from statusd.fleet.response_collector import (
    Outcome,
    Report,
    ResponseCollector,
    UnitInfo,
    asked,
    read_fleet,
)
from statusd.fleet.targets import Globs, hears, is_there, message_to, texts
from statusd.fleet.watcher import Watcher
from statusd.wire import shapes
from statusd.wire.address import Address, with_credentials
from statusd.wire.dial import Dial
from statusd.wire.durable import expiry, kept
from statusd.wire.names import Names
from statusd.wire.url import DEFAULT_URL, parse_url

T = TypeVar("T")


class Fleet:
    """All units of a namespace.

    Args:
        url: the broker; by default ``STATUSD_REDIS__URL``, or 127.0.0.1:6379.
        namespace: of the units.
        timeout_s: the longest wait for a connection, and for each of the broker's replies.
        password_file: wins over a password in the url.

    Raises:
        ConfigError: the url is not valid.
    """

    def __init__(
        self,
        url: str | Address | None = None,
        *,
        namespace: str = "statusd",
        timeout_s: float = 2.0,
        password_file: str = "",
    ) -> None:
        if not isinstance(url, Address):
            where = "url" if url else "environment: STATUSD_REDIS__URL"
            url = parse_url(url or os.environ.get("STATUSD_REDIS__URL") or DEFAULT_URL, where)
        self._address = with_credentials(url, password_file=password_file) if password_file else url
        self._namespace = namespace
        self._names = Names(namespace)
        self._timeout_s = timeout_s
        self._dial: Dial | None = None
        self._reply_to = f"{namespace}:reply:{os.urandom(16).hex()}"

    # ---- looking -------------------------------------------------------------------------------

    def status(self) -> list[UnitInfo]:
        """Return every unit that there is or was, by name: two round trips, however many.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        return self._again(self._look)

    def forget(self, name: str) -> bool:
        """Strike a unit that is lost or has left off the roster; tell whether it was there."""
        roster = self._names.roster
        return bool(self._again(lambda dial: dial.ask(shapes.number, "HDEL", roster, name)))

    def history(self, name: str, since: str = "", most: int = MOST_EVENTS) -> list[Event]:
        """Return the newest events of a unit in order, at most ``most``.

        In place of one that can't be read there is what is known of it, see `Watcher`.

        Args:
            since: the id of an event: only what came after it is returned.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        start = f"({since}" if since else "-"
        key = Names(self._namespace, name).history
        entries = self._again(
            lambda dial: _ask(dial, shapes.entries, "XREVRANGE", key, "+", start, "COUNT", most)
        )
        return [event_of(name, key, *entry) for entry in reversed(entries)]

    def watch(self, name: Globs = None, since: Mapping[str, str] | None = None) -> Watcher:
        """Return an endless iterator over the events of the fleet, on a connection of its own.

        Args:
            name: only units whose names fit one of these globs.
            since: unit -> id of the last event that is known, as `Watcher.positions` gave it;
                units that are not in it begin with what comes now.

        Raises:
            ConfigError: what stands in ``since`` is no id.
        """
        for unit, known in (since or {}).items():
            if not is_id(known):
                raise ConfigError(f"since: {unit}: an event's id is wanted, 1795400000000-42")
        return Watcher(self._address, self._namespace, texts(name), dict(since or {}))

    def _look(self, dial: Dial) -> list[UnitInfo]:
        found = _ask(dial, shapes.table, "HGETALL", self._names.roster)
        roster = {as_text(name): entry for name, entry in found.items()}
        keys = [Names(self._namespace, name).status for name in roster]
        replies = dial.replies([("GET", key) for key in keys])
        for reply in replies:
            if shapes.is_error(reply) and not shapes.is_wrong_type(reply):
                dial.read(shapes.data, reply, "GET")  # it is about all of them
        return read_fleet(roster, dict(zip(roster, replies, strict=True)))

    # ---- commanding ----------------------------------------------------------------------------

    def send(
        self,
        word: str,
        *,
        name: Globs = None,
        tag: Globs = None,
        state: Globs = None,
        channel: str = "",
        args: Mapping[str, Scalar] | None = None,
        by: str = "",
        expires: str = "",
        expires_s: float | None = None,
        durable: bool = False,
        timeout_s: float = 5.0,
        heard: Callable[[Outcome], None] | None = None,
    ) -> Report:
        """Send a command and wait until everybody who has to answer has given a final verdict.

        Args:
            word: a trigger or a state.
            name, tag, state: whom it is for; globs for the name. None for everybody.
            channel: where it is published; by default the namespace's own, which every unit hears.
            args: for the worker; by: who we are; expires: RFC 3339, after which it is not obeyed.
            expires_s: the same, in so many seconds by the broker's clock.
            durable: keep it for units that are away, too; for an hour, if it doesn't expire.
            timeout_s: the longest wait; who hasn't answered by then is ``silent``.
            heard: called with each final verdict as it comes.

        Returns:
            What became of it, by unit. Nobody is waited for who was lost already.

        Raises:
            ConfigError: it is no command, or a durable one for a channel; nothing was sent.
            Unavailable: the broker can't be reached, or refuses. After a lost connection nobody
                knows whether it was sent.
        """
        if durable and channel:
            raise ConfigError("a durable command is for the whole namespace, not for a channel")
        if expires_s is not None:
            expires = self._again(lambda dial: expiry(dial, expires_s))
        message, target = message_to(
            self._reply_to, word, name=name, tag=tag, state=state, args=args, by=by, expires=expires
        )
        alive, lost = self.expected(target, channel)
        dial = self._subscribed()
        try:
            began = time.monotonic()
            collector = ResponseCollector(message["id"], alive, lost, began)
            payload = to_json(message)
            entry = b""
            if durable:
                entry = dial.ask(shapes.data, *kept(self._names, payload))
            else:
                dial.ask(shapes.number, "PUBLISH", channel or self._names.control, payload)
            self._collect(dial, collector, began + timeout_s, heard)
        except Unavailable:
            self.close()
            raise
        return replace(collector.report(), entry=as_text(entry))

    def expected(
        self, target: Target = EVERYBODY, channel: str = ""
    ) -> tuple[list[UnitInfo], list[UnitInfo]]:
        """Return whom a command would be for: the units that are alive, and those lost.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        hearing = partial(hears, channel) if channel else is_there
        return asked(self.status(), target, hearing)

    def _subscribed(self) -> Dial:
        """Return a connection that hears our reply channel."""
        if self._dial is None or not self._dial.hears:
            dial = self._connected()
            dial.subscribe(self._reply_to)
        assert self._dial is not None
        return self._dial

    def _collect(
        self,
        dial: Dial,
        collector: ResponseCollector,
        deadline: float,
        heard: Callable[[Outcome], None] | None,
    ) -> None:
        while not collector.is_complete:
            left_s = deadline - time.monotonic()
            push = dial.push(left_s) if left_s > 0 else None
            if push is None:
                return
            if push[0] == b"message":
                outcome = collector.take(push[2], time.monotonic())
                if outcome is not None and heard is not None:
                    heard(outcome)

    # ---- the connection ------------------------------------------------------------------------

    def _connected(self) -> Dial:
        if self._dial is None:
            self._dial = Dial(self._address, "statusd-fleet", self._timeout_s)
        return self._dial

    def _again(self, ask: Callable[[Dial], T]) -> T:
        """Ask something that may be asked twice: a connection that has grown old is made anew."""
        is_old = self._dial is not None
        try:
            return ask(self._connected())
        except Unavailable:
            self.close()
            if not is_old:
                raise
        return ask(self._connected())

    def close(self) -> None:
        """Hang up; the next call connects anew."""
        if self._dial is not None:
            self._dial.close()
            self._dial = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _ask(dial: Dial, shape: Callable[[object], T], command: str, key: str, *more: str | int) -> T:
    """Ask for what stands under a key of ours.

    Raises:
        Unavailable: as for `Dial.ask`, or somebody has made something else of it.
    """
    reply = dial.replies([(command, key, *more)])[0]
    if shapes.is_wrong_type(reply):
        raise Unavailable(f"{key} is of another type than ours: DEL it, and it is written anew")
    return dial.read(shape, reply, command)
