"""The daemon's proof that it hears: it sends probes on a channel of its own, and must hear them.

A reply to PING would prove that somebody is there, not that our subscriptions are. Pure: the time
comes in as ``now`` (monotonic seconds).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from statusd.core.bounds import Unreadable, decimal
from statusd.wire.outbox import RedisCommand

PROBE_S = 1.0
"""How often it sends one."""
DEAF_S = 4.0
"""A probe that the broker has taken and that isn't heard for so long: the hearing link is deaf."""
LATE_S = 1.0
"""Who sends so late was not running meanwhile, and can't judge anybody by the time that passed."""


class Canary:
    """Counts the probes that were sent, and those that were received.

    Args:
        channel: where they are sent.
        boot: of the daemon; another one of the same name has probes of its own.
    """

    def __init__(self, channel: str, boot: int) -> None:
        self.channel = channel
        self._prefix = b"%d-" % boot
        self._sent = 0
        self._sent_at = 0.0
        self._unheard: deque[tuple[int, float]] = deque()
        self._heard = 0
        self.round_trip_s: float | None = None
        """How long the last one took; None before the first."""
        self.measured: Callable[[float], object] = lambda _: None
        """Called with each such time, in seconds."""

    def probe(self, now: float) -> RedisCommand:
        """Return the next probe, to be sent in place of an older one that still waits."""
        self._sent += 1
        self._sent_at = now
        return ("PUBLISH", self.channel, self._prefix + b"%d" % self._sent)

    def accepted(self, probe: RedisCommand, now: float) -> None:
        """The broker has taken ``probe``: if it is our last one, it is due."""
        is_last = probe[2] == self._prefix + b"%d" % self._sent
        if is_last and self._sent > self._heard:
            self._unheard.append((self._sent, now))

    def received(self, payload: bytes, now: float) -> bool:
        """Take in what was heard on the channel; tell whether it was a probe of ours."""
        if not payload.startswith(self._prefix):
            return False
        try:  # anybody may publish here
            number = decimal(payload[len(self._prefix) :], self._sent)
        except Unreadable:
            return False
        self._heard = max(self._heard, number)
        if number == self._sent:
            self.round_trip_s = now - self._sent_at
            self.measured(self.round_trip_s)
        while self._unheard and self._unheard[0][0] <= self._heard:
            self._unheard.popleft()
        return True

    def silent_s(self, now: float) -> float:
        """Return for how long a probe has been due, in seconds; 0 if none is."""
        return now - self._unheard[0][1] if self._unheard else 0.0

    def reset(self) -> None:
        """Hold nothing that was sent until now against anybody."""
        self._heard = self._sent
        self._unheard.clear()
