"""What is read of units' output, step by step and without a connection: one logic for all ways.

A unit is asked again before its lease runs out, with how far it was read: so nothing is told twice,
and what a lost connection or a new daemon has swallowed is told then, or counted. Rule of this
file: what comes is a stranger's until it is read; what can't be read is no answer.

Length: what is asked, and what is made of the answers, are read together.
"""

from __future__ import annotations

import heapq
import math
import os
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import Any

from statusd.core.bounds import Unreadable
from statusd.core.errors import ConfigError, Unavailable
from statusd.core.messages import Target
from statusd.fleet import records
from statusd.fleet.operations import status
from statusd.fleet.response_collector import UnitInfo
from statusd.fleet.targets import Globs, texts
from statusd.wire import log_request, shapes
from statusd.wire.log_request import LogRequest, Unasked, question, reply_prefix
from statusd.wire.names import Names
from statusd.wire.talk import Ask, Feed, Give, Listen, Operation, Sleep, Subscribe, read

LogItem = dict[str, Any]
"""A line, ``{"name", "at", "run", "stream", "line"}``; or what is to be known beside the lines."""

RENEW_S, LEASE_S = 5.0, 15.0
"""How often a unit is asked again, and how long it goes on if it isn't."""
NO_ANSWER = "it doesn't answer"
UNHEARD = (
    "it doesn't hear what it is asked: its daemon is an older one, has no link to this broker, or "
    "may not SUBSCRIBE to {channel} (statusd acl)"
)
_AT_THE_END = "~"
"""Behind all times."""
LOST = "it is lost: its daemon died, or can't reach the broker"
ENDED = "it has ended"
NOBODY = "there is no such unit"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to read.

    Args:
        name: of whom, globs; lines: so many of the last of each.
        since: only from then on, RFC 3339; empty for all.
        stream: ``stdout`` or ``stderr``; empty for both.
        follow: also what comes.
        timeout_s: so long an answer is waited for.
    """

    name: Globs = None
    lines: int = 100
    since: str = ""
    stream: str = ""
    follow: bool = False
    timeout_s: float = 3.0


def wanted(
    name: Globs, lines: int, since: str, stream: str, timeout_s: float, *, follow: bool
) -> Wanted:
    """Return what somebody wants to read, as `Fleet.logs` is told it.

    Raises:
        ConfigError: that can't be asked.
    """
    asked = Wanted(name, lines, since, stream, follow, timeout_s)
    try:
        log_request.read(question(LogRequest("", lines, stream=stream), since).encode(), "any")
    except Unasked as unasked:
        raise ConfigError(f"logs: {unasked.reason or 'it is too long'}") from None
    return asked


@dataclass(slots=True)
class _Unit:
    """What is known of one.

    Args:
        boot, seq, place: what it has told last.
        has_answered: it has told all of the last lines; until then they are held.
        is_over: nothing more comes.
        away: why it says nothing, as that was told; empty if it does.
    """

    boot: int = 0
    seq: int = 0
    place: tuple[int, int] | None = None
    has_answered: bool = False
    is_over: bool = False
    away: str = ""
    held: list[LogItem] = field(default_factory=list)


class LogFollower:
    """Reads what units tell.

    Args:
        wanted: what somebody wants to read.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.target = Target(name=texts(wanted.name))
        self.ready: deque[LogItem] = deque()
        """What is to be given out."""
        self.has_begun = False
        """It is known who is there to be asked."""
        self._units: dict[str, _Unit] = {}
        self._deadline = math.inf
        self._holds = True
        self._failures = 0

    # ---- who is there ------------------------------------------------------------------------

    def begin(self, there: Iterable[str]) -> list[str]:
        """Read those who are meant of these as well, and return who that is.

        The first ones are waited for, so that their lines are in order; who isn't there is told.
        """
        names = [name for name in there if self.target.is_for(name, frozenset(), "")]
        for name in names:
            self._units.setdefault(name, _Unit())
        if not self.has_begun:
            self.has_begun = True
            self._deadline = time.monotonic() + self.wanted.timeout_s
            for asked in self.target.name or ("*",):
                if not any(fnmatchcase(name, asked) for name in names):
                    self.ready.append({"name": asked, "nobody": NOBODY})
        return names

    @property
    def names(self) -> list[str]:
        """Those of whom more may come."""
        return [name for name, unit in self._units.items() if not unit.is_over]

    def question(self, name: str, reply_to: str = "") -> str:
        """Return what a unit is asked now."""
        unit, wanted = self._units[name], self.wanted
        follow_s = LEASE_S if wanted.follow else 0.0
        if unit.place is None:
            request = LogRequest(reply_to, wanted.lines, follow_s, stream=wanted.stream)
            return question(request, wanted.since)
        known = LogRequest(
            reply_to, 0, follow_s, stream=wanted.stream, boot=unit.boot, after=unit.place
        )
        return question(known)

    def away(self, name: str, reason: str) -> None:
        """Nothing comes of a unit just now: tell it once; who follows waits for it."""
        unit = self._units[name]
        if unit.is_over or unit.away == reason:
            return
        unit.away, unit.is_over = reason, not self.wanted.follow
        self._put(unit, {"name": name, "silent": reason})
        self._answered(unit)

    def over(self, name: str, reason: str) -> None:
        """Nothing more comes of a unit."""
        unit = self._units[name]
        if not unit.is_over:
            unit.is_over = True
            self._put(unit, {"name": name, "ended": reason})
            self._answered(unit)

    @property
    def ended(self) -> list[str]:
        """Those who have told, and whom a later life may bring back; none if nobody follows."""
        if not self.wanted.follow:
            return []
        return [name for name, unit in self._units.items() if unit.is_over and unit.boot]

    def lives(self, unit: UnitInfo) -> None:
        """A unit is there; one that had ended may have begun again."""
        self._is_back(self._units[unit.name], unit.boot)

    def _is_back(self, unit: _Unit, boot: int) -> bool:
        """Tell whether one that had ended has begun again; from then on it is read."""
        if unit.is_over and unit.boot and boot > unit.boot and self.wanted.follow:
            unit.is_over, unit.away = False, ""
            return True
        return False

    @property
    def left_s(self) -> float:
        """How long the first answers are waited for still, in seconds."""
        return max(0.0, self._deadline - time.monotonic())

    def look(self) -> bool:
        """Take note of who hasn't answered in time; tell whether nothing more is to come."""
        if self._holds and self._deadline <= time.monotonic():
            for name in [n for n, unit in self._units.items() if not unit.has_answered]:
                self.away(name, f"{NO_ANSWER} in {self.wanted.timeout_s:g} s")
        return all(
            unit.is_over or (unit.has_answered and not self.wanted.follow)
            for unit in self._units.values()
        )

    def given(self) -> Iterator[LogItem]:
        """Give out what there is."""
        while self.ready:
            yield self.ready.popleft()

    # ---- what comes --------------------------------------------------------------------------

    def take(self, text: object) -> None:
        """Take in a message."""
        try:
            told = records.logs(text)
        except Unreadable:
            return
        name = told["logs"]
        unit = self._units.get(name)
        if unit is None or told["boot"] < unit.boot:
            return
        if unit.is_over and not self._is_back(unit, told["boot"]):
            return
        if "refused" in told:
            self._refused(unit, name, told["refused"])
            return
        unit.away = ""
        if told.get("answer") is None and unit.seq + 1 < told["seq"]:
            lost = f"messages {unit.seq + 1} to {told['seq'] - 1} of it were lost on the way"
            self._put(unit, {"name": name, "lost": lost})
        self._take_lines(unit, name, told)
        if "ended" in told:
            self.over(name, told["ended"])

    def _refused(self, unit: _Unit, name: str, reason: str) -> None:
        """Take note of why it doesn't tell; one that has told before is asked again."""
        if unit.has_answered and self.wanted.follow:
            self.away(name, reason)
            return
        unit.is_over = True
        self._put(unit, {"name": name, "refused": reason})
        self._answered(unit)

    def _take_lines(self, unit: _Unit, name: str, told: dict[str, Any]) -> None:
        unit.boot, unit.seq = told["boot"], told["seq"]
        if told.get("left_out"):
            self._put(unit, {"name": name, "left_out": told["left_out"]})
        for line in told["lines"]:
            self._put(unit, {"name": name, **line})
        if "next" in told:
            out, err = told["next"]
            unit.place = out, err
        if "standing" in told:
            self._put(unit, {"name": name, "standing": told["standing"]})
        if not told.get("more"):
            self._answered(unit)

    def _put(self, unit: _Unit, item: LogItem) -> None:
        (unit.held if self._holds else self.ready).append(item)

    def _answered(self, unit: _Unit) -> None:
        """When the first ones all have, what they told comes in the order of its times."""
        unit.has_answered = True
        if not self._holds or not all(one.has_answered for one in self._units.values()):
            return
        self._holds, self._deadline = False, math.inf
        told = [_timed(one.held) for one in self._units.values()]
        self.ready += [item for _, item in heapq.merge(*told, key=itemgetter(0))]
        for one in self._units.values():
            one.held = []

    # ---- by broker ---------------------------------------------------------------------------

    def feed(self, namespace: str) -> Feed[LogItem]:
        """Read by the broker; begun again after a lost connection, it goes on where it was.

        Raises:
            Unavailable: the broker refuses.
        """
        reply_to = f"{reply_prefix(namespace)}{os.urandom(16).hex()}"
        yield Subscribe(reply_to)
        ask_at = 0.0
        while True:
            if time.monotonic() >= ask_at:
                yield from self._ask(namespace, reply_to)
                ask_at = time.monotonic() + RENEW_S if self.wanted.follow else math.inf
                self._failures = 0
            is_over = self.look()
            yield from map(Give, self.given())
            if is_over:
                return
            wait_s = min(ask_at - time.monotonic(), self.left_s, RENEW_S)
            message = yield Listen(max(0.0, wait_s))
            if message is not None:
                self.take(message)

    def _ask(self, namespace: str, reply_to: str) -> Operation[None]:
        units = yield from status(namespace)
        names = set(self.begin([unit.name for unit in units]))
        chosen = [unit for unit in units if unit.name in names]
        for unit in chosen:
            if unit.is_alive:
                self.lives(unit)
            elif unit.is_lost:
                self.away(unit.name, LOST)
            else:
                self.over(unit.name, ENDED)
        asked = [u.name for u in chosen if u.is_alive and u.name in self.names]
        lines = [
            ("PUBLISH", Names(namespace, name).logs, self.question(name, reply_to))
            for name in asked
        ]
        for name, reply in zip(asked, (yield Ask(lines)), strict=True):
            if not (yield from read(shapes.number, reply, "PUBLISH")):
                self.away(name, UNHEARD.format(channel=Names(namespace, name).logs))

    def failed(self, error: Unavailable) -> Operation[None]:
        """Wait a moment for a broker that is away; longer each time, and never as long as others.

        Raises:
            Unavailable: that is none: it was never there, nobody follows, or it is about a right.
        """
        if "NOPERM" in str(error) or not self.has_begun or not self.wanted.follow:
            raise error
        self._failures += 1
        if self._failures == 1:
            self.ready.append({"name": "", "silent": f"{error}; waiting for it"})
        yield Sleep(min(1.0, 0.02 * 2 ** min(self._failures, 16)) * random.random())


def _timed(items: Sequence[LogItem]) -> list[tuple[str, LogItem]]:
    """Return each with its time; what has none comes with the line behind it, or at the end."""
    at = _AT_THE_END
    timed = []
    for item in reversed(items):
        at = min(at, item.get("at", at))
        timed.append((at, item))
    return timed[::-1]
