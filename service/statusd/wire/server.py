"""What the broker says of itself when it is greeted, and its clock."""

from __future__ import annotations

from collections.abc import Callable

import hiredis

from statusd.core.bounds import MOST_BOOT, MOST_COUNT, Unreadable, decimal, whole
from statusd.core.text import shown
from statusd.wire.greeting import is_no_hello, no_resp3
from statusd.wire.outbox import RedisCommand
from statusd.wire.resp import complaint

_OPTIONAL = ("CLIENT", "TIME")
"""Whoever refuses one of these may be a broker all the same."""


class Server:
    """The broker at the other end; what it has said stays known until the next one says it.

    Args:
        clock: a clock in seconds that nobody sets, to compare with the broker's.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.software = self.version = ""
        self.client_id = 0
        """What it calls the present connection; 0 for none."""
        self.ahead_s: float | None = None
        """How far its clock is ahead of ``clock``; None as long as it hasn't told the time."""
        self._clock = clock

    def greeted(self, line: RedisCommand, reply: object, *, must_be_master: bool) -> str:
        """Take in the reply to a line of the greeting; return what speaks against the broker.

        Raises:
            Unreadable: it is no reply to that.
        """
        if isinstance(reply, hiredis.ReplyError):
            if line[0] in _OPTIONAL:
                return ""
            told = complaint(reply, line)
            is_old = line[0] == "HELLO" and is_no_hello(told)
            return f"the server {no_resp3(told)}" if is_old else told
        if line[0] == "HELLO":
            return self._take_hello(reply, must_be_master=must_be_master)
        if line[0] == "TIME":
            self.take_time(reply)
        elif reply != b"OK":
            raise Unreadable(f"the reply to {line[0]!r} is none")
        return ""

    def _take_hello(self, reply: object, *, must_be_master: bool) -> str:
        # Whoever listens there may be no Redis, or even we: a connection to a dead port of this
        # machine can meet itself (simultaneous open, RFC 9293 3.5).
        if isinstance(reply, list) and b"proto" in reply:  # a map, as RESP2 has it
            return f"the server {no_resp3('in RESP2')}"
        if not isinstance(reply, dict) or reply.get(b"proto") != 3:
            return "whoever answers there is no Redis that speaks RESP3"
        if must_be_master and reply.get(b"role") != b"master":
            return "the Sentinels send us to a server that is no master"
        # Valkey calls itself redis here, for old clients' sake; its own name stands in INFO only.
        self.software = shown(reply.get(b"server", b""), 40)
        self.version = shown(reply.get(b"version", b""), 40)
        self.client_id = whole(reply.get(b"id", 0), MOST_COUNT)
        return ""

    def take_time(self, reply: object) -> None:
        """Take note of the broker's clock.

        Raises:
            Unreadable: that is no reply to TIME; an error is one, and says nothing.
        """
        if isinstance(reply, hiredis.ReplyError):
            return
        if not isinstance(reply, list) or len(reply) != 2:
            raise Unreadable("the reply to TIME is none")
        seconds, micros = decimal(reply[0], MOST_BOOT // 1000), decimal(reply[1], 999_999)
        self.ahead_s = seconds + micros / 1e6 - self._clock()

    def time(self) -> float | None:
        """Return the broker's wall clock in seconds, or None as long as it hasn't told it."""
        return None if self.ahead_s is None else self._clock() + self.ahead_s
