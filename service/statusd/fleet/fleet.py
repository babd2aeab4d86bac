"""The fleet from Python: command it, look at it, follow it.

    with Fleet("redis://localhost") as fleet:
        report = fleet.send("pause", tag="gpu", timeout_s=3)
        print([outcome.name for outcome in report.silent])

A `Fleet` is used by one thread at a time. A connection that is lost is made anew by the next call;
a command is never sent twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from statusd.core.bounds import Unreadable
from statusd.core.errors import BadMessage, ConfigError, Unavailable
from statusd.core.messages import EVERYBODY, Scalar, Target, parse, to_json
from statusd.fleet import records
from statusd.fleet.ballot import Ballot, Outcome, Report, Unit, asked, read_fleet
from statusd.private import Untrusted
from statusd.wire import shapes
from statusd.wire.address import DEFAULT_URL, Address, parse_url, with_credentials
from statusd.wire.dial import Dial
from statusd.wire.durable import expiry, kept
from statusd.wire.local import Local, sockets
from statusd.wire.me import whoami
from statusd.wire.names import Names, is_pattern
from statusd.wire.patterns import MOST_BYTES, glob

if TYPE_CHECKING:
    from statusd.wire.outbox import Line

__all__ = ["Fleet", "Host", "Outcome", "Report", "Unit", "Watcher"]

T = TypeVar("T")
Event = dict[str, Any]
Globs = str | Sequence[str] | None

BLOCK_S = 1.0
"""How long a watcher blocks at most before it looks for new units."""
_POSITION = re.compile(r"\d{1,20}(-\d{1,20})?", re.ASCII)
LOOK_BACK_S = 5.0
"""How often a watcher to whom nothing comes looks whether it waits at the right place."""
MOST_BEFORE = 100
"""So many places of each unit's history are remembered."""
MOST_EVENTS = 1000
"""So many events of one unit are read at a time."""


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

    def status(self) -> list[Unit]:
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
        return [_event(name, key, *entry) for entry in reversed(entries)]

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
            if not _POSITION.fullmatch(known) or max(_place(known)) >= 2**64:
                raise ConfigError(f"since: {unit}: an event's id is wanted, 1795400000000-42")
        return Watcher(self._address, self._namespace, _texts(name), dict(since or {}))

    def _look(self, dial: Dial) -> list[Unit]:
        found = _ask(dial, shapes.table, "HGETALL", self._names.roster)
        roster = {_text(name): entry for name, entry in found.items()}
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
        message, target = self._message(
            word, name=name, tag=tag, state=state, args=args, by=by, expires=expires
        )
        alive, lost = self.expected(target, channel)
        dial = self._subscribed()
        try:
            began = time.monotonic()
            ballot = Ballot(message["id"], alive, lost, began)
            text = to_json(message)
            entry = b""
            if durable:
                entry = dial.ask(shapes.data, *kept(self._names, text))
            else:
                dial.ask(shapes.number, "PUBLISH", channel or self._names.control, text)
            self._collect(dial, ballot, began + timeout_s, heard)
        except Unavailable:
            self.close()
            raise
        return replace(ballot.report(), entry=_text(entry))

    def expected(
        self, target: Target = EVERYBODY, channel: str = ""
    ) -> tuple[list[Unit], list[Unit]]:
        """Return whom a command would be for: the units that are alive, and those lost.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        hears = partial(_hears, channel) if channel else _is_there
        return asked(self.status(), target, hears)

    def _message(
        self,
        word: str,
        *,
        args: Mapping[str, Scalar] | None,
        by: str,
        expires: str,
        **target: Globs,
    ) -> tuple[dict[str, Any], Target]:
        message: dict[str, Any] = {
            "command": word,
            "id": os.urandom(16).hex(),
            "by": by or whoami(),
            "reply_to": self._reply_to,
        }
        wanted = {key: list(_texts(value)) for key, value in target.items() if value is not None}
        if wanted:
            message["target"] = wanted
        if args:
            message["args"] = dict(args)
        if expires:
            message["expires"] = expires
        try:
            command = parse(json.dumps(message).encode(), "fleet")
        except BadMessage as error:
            raise ConfigError(error.reason) from None
        assert command is not None
        return message, command.target

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
        ballot: Ballot,
        deadline: float,
        heard: Callable[[Outcome], None] | None,
    ) -> None:
        while not ballot.is_complete:
            left_s = deadline - time.monotonic()
            push = dial.push(left_s) if left_s > 0 else None
            if push is None:
                return
            if push[0] == b"message":
                outcome = ballot.take(push[2], time.monotonic())
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

    def status(self, timeout_s: float = 1.0) -> list[Unit]:
        """Return the units by name; one that doesn't answer in time has no document."""
        found = {}
        for outcome in self._ask("status", {}, self._unknown(), timeout_s, None).outcomes:
            document = outcome.fields.get("status", {})
            boot = document.get("boot", 0)
            found[outcome.name] = Unit(outcome.name, boot, False, "", document)
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

    def _unknown(self) -> list[Unit]:
        return [Unit(name, 0, False, "") for name in self._paths]

    def _ask(
        self,
        word: str,
        args: dict[str, Scalar],
        units: list[Unit],
        timeout_s: float,
        heard: Callable[[Outcome], None] | None,
    ) -> Report:
        message: dict[str, Any] = {"command": word, "id": os.urandom(16).hex(), "by": whoami()}
        if args:
            message["args"] = args
        began = time.monotonic()
        ballot = Ballot(message["id"], units, [], began)
        calls = []
        for unit in units:
            with contextlib.suppress(Unavailable):  # it has just ended: silent
                calls.append(Local(self._paths[unit.name], timeout_s))
                calls[-1].send(message)
        open_calls = list(calls)
        while open_calls and not ballot.is_complete:
            left_s = began + timeout_s - time.monotonic()
            ready = select.select(open_calls, [], [], left_s)[0] if left_s > 0 else []
            if not ready:
                break
            for call in ready:
                if not _take_lines(call, ballot, heard):
                    open_calls.remove(call)
        for call in calls:
            call.close()
        return ballot.report()


class Watcher:
    """An endless iterator over events, in the order of each unit, without a gap.

    It reads the histories, not the channel: what happens while the broker is away is read later.
    Where the history was cut (it is bounded), ``{"gap": unit, "after": id, "before": id}`` comes in
    place of what is missing; in place of what can't be read, ``{"unreadable": unit, "key": key,
    "id": id, "reason": why}``. If that is a whole key, because it is of another type, the id is
    empty and the unit empty for the roster; it is told once, and looked at again every second.

    Args:
        positions: unit -> id of the last event that was given out; kept up to date.
    """

    def __init__(
        self, address: Address, namespace: str, globs: tuple[str, ...], positions: dict[str, str]
    ) -> None:
        self.positions = positions
        self.is_closed = False
        self._address = address
        self._namespace = namespace
        self._target = Target(name=globs)
        self._ready: list[Event] = []
        self._dial: Dial | None = None
        self._failures = 0
        self._began = False
        self._aside: set[str] = set()
        self._before: dict[str, deque[str]] = {}
        self._looked_back = time.monotonic()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """Return the next event; wait for it, however long the broker is away."""
        while not self.is_closed:
            event = self.poll()
            if event is not None:
                return event
        raise StopIteration

    def poll(self) -> Event | None:
        """Return the next event, or None after a second without one.

        Raises:
            Unavailable: we have no right to read; a broker that is away is waited for.
        """
        if not self._ready:
            try:
                self._read()
                self._failures = 0
            except Unavailable as error:
                if "NOPERM" in str(error):  # time mends no right
                    raise
                self.close()
                self.is_closed = False
                self._failures += 1
                time.sleep(min(BLOCK_S, 0.02 * 2**self._failures) * random.random())
        return self._ready.pop(0) if self._ready else None

    def close(self) -> None:
        """Hang up, and give out no more."""
        self.is_closed = True
        if self._dial is not None:
            self._dial.close()
            self._dial = None

    def _read(self) -> None:
        if self._dial is None:
            self._dial = Dial(self._address, "statusd-watch", BLOCK_S + 2)
        dial = self._dial
        self._find_units(dial)
        if not self.positions:
            time.sleep(BLOCK_S / 4)
            return
        if self._aside - {""}:
            self._sort(dial, sorted(self._aside - {""}))
        names = [name for name in self.positions if name not in self._aside]
        if not names:
            time.sleep(BLOCK_S / 4)
            return
        reply = dial.replies([self._line(names, "BLOCK", int(BLOCK_S * 1000))])[0]
        if shapes.is_wrong_type(reply):
            self._sort(dial, names)
            return
        units = {self._key(name): name for name in names}
        found = dial.read(shapes.streams, reply, "XREAD")
        for key, entries in found.items():
            name = units.get(_text(key))
            if name is None:
                raise Unavailable(f"{self._address} told of a key that nobody had asked for")
            for entry_id, fields in entries:
                self._give(name, entry_id, _event(name, _text(key), entry_id, fields))
        if not found and time.monotonic() - self._looked_back > LOOK_BACK_S:
            self._look_back(dial, names)

    def _key(self, name: str) -> str:
        return Names(self._namespace, name).history

    def _line(self, names: Sequence[str], *options: str | int) -> Line:
        """Return the line that reads what is new of these units."""
        places = (self.positions[name] for name in names)
        keys = map(self._key, names)
        return ("XREAD", "COUNT", MOST_EVENTS, *options, "STREAMS", *keys, *places)

    def _sort(self, dial: Dial, names: Sequence[str]) -> None:
        """Set aside those whose history is none, so that the others can be read; tell it once."""
        replies = dial.replies([("XREAD", "COUNT", 1, *self._line([name])[3:]) for name in names])
        for name, reply in zip(names, replies, strict=True):
            if not shapes.is_wrong_type(reply):
                self._aside.discard(name)
            elif name not in self._aside:
                self._aside.add(name)
                self._ready.append(_unreadable(name, self._key(name), "", "it is no stream"))

    def _find_units(self, dial: Dial) -> None:
        """Look for units that are new in the roster; at first, begin with what comes now."""
        key = Names(self._namespace).roster
        reply = dial.replies([("HKEYS", key)])[0]
        if not shapes.is_wrong_type(reply):
            self._aside.discard("")
            roster = map(_text, dial.read(shapes.names, reply, "HKEYS"))
            self._begin(dial, [n for n in roster if self._target.is_for(n, frozenset(), "")])
        elif "" not in self._aside:
            self._aside.add("")
            self._ready.append(_unreadable("", key, "", "it is no hash"))

    def _begin(self, dial: Dial, names: Sequence[str]) -> None:
        new = [name for name in names if name not in self.positions]
        self.positions.update(dict.fromkeys(new, "0-0"))
        if not self._began:
            for name, newest in self._newest(dial, new).items():
                self.positions[name] = newest
        self._began = True

    def _newest(self, dial: Dial, names: Sequence[str]) -> dict[str, str]:
        """Return unit -> id of its newest entry, of those that have one."""
        lines = [("XREVRANGE", self._key(name), "+", "-", "COUNT", 1) for name in names]
        found = {}
        for name, reply in zip(names, dial.replies(lines), strict=True):
            if not shapes.is_wrong_type(reply):
                for entry_id, _ in dial.read(shapes.entries, reply, "XREVRANGE")[:1]:
                    found[name] = entry_id
        return found

    def _look_back(self, dial: Dial, names: Sequence[str]) -> None:
        """Find histories that were put back: somebody's entry of the far future is gone again.

        Who waits for what comes after it would wait for ever.
        """
        self._looked_back = time.monotonic()
        for name, newest in self._newest(dial, names).items():
            if _place(newest) < _place(self.positions[name]):
                before = [at for at in self._before.get(name, ()) if _place(at) <= _place(newest)]
                self.positions[name] = max(before, key=_place, default=newest)

    def _give(self, name: str, entry_id: str, event: Event) -> None:
        known = self.positions[name]
        if "unreadable" not in event and _is_gap(known, event):
            self._ready.append({"gap": name, "after": known, "before": entry_id})
        self._ready.append(event)
        self._before.setdefault(name, deque(maxlen=MOST_BEFORE)).append(known)
        self.positions[name] = entry_id

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


def _place(entry_id: str) -> tuple[int, int]:
    boot, _, seq = entry_id.partition("-")
    return int(boot), int(seq or 0)


def _is_gap(known: str, event: Event) -> bool:
    """Tell whether something is missing between the event ``known`` and ``event``."""
    boot, seq = _place(known)
    if known == "0-0":
        return False
    if event.get("boot") == boot:
        return event.get("seq") != seq + 1
    return event.get("previous") != known


def _take_lines(call: Local, ballot: Ballot, heard: Callable[[Outcome], None] | None) -> bool:
    """Take in what has come on ``call``; False at its end."""
    lines = call.read()
    for line in lines or ():
        outcome = ballot.take(line, time.monotonic())
        if outcome is not None and heard is not None:
            heard(outcome)
    return lines is not None


def _hears(channel: str, unit: Unit) -> bool:
    """Tell whether ``unit`` listens on ``channel``, as its document has it."""
    return any(
        glob(_bytes(heard)).fits(_bytes(channel)) if is_pattern(heard) else heard == channel
        for heard in unit.document.get("channels", ())
        if len(heard) <= MOST_BYTES
    )


def _bytes(text: str) -> bytes:
    """Return what the broker compares; a document's text may have half a character in it."""
    return text.encode("utf-8", "surrogatepass")


def _is_there(_: Unit) -> bool:
    return True


def _texts(value: Globs) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def _event(name: str, key: str, entry_id: str, fields: Mapping[bytes, bytes]) -> Event:
    """Return the event of an entry, or what is known of one that can't be read."""
    try:
        return records.event(fields.get(b"event"), entry_id)
    except Unreadable as error:
        return _unreadable(name, key, entry_id, str(error))


def _unreadable(name: str, key: str, entry_id: str, reason: str) -> Event:
    return {"unreadable": name, "key": key, "id": entry_id, "reason": reason}
