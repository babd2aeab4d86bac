"""The daemon's proof that it hears: it sings on a channel of its own, and must hear itself.

A reply to PING would prove that somebody is there, not that our subscriptions are. Pure: the time
comes in as ``now`` (monotonic seconds).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from statusd.core.bounds import Unreadable, decimal
from statusd.wire.outbox import Line

SING_S = 1.0
"""How often it sings."""
DEAF_S = 4.0
"""A song that the broker has taken and that isn't heard for so long: the hearing link is deaf."""
LATE_S = 1.0
"""Who sings so late was not running meanwhile, and can't judge anybody by the time that passed."""


class Canary:
    """Counts songs and echoes.

    Args:
        channel: where it sings.
        boot: of the daemon; another one of the same name has songs of its own.
    """

    def __init__(self, channel: str, boot: int) -> None:
        self._channel = channel
        self._prefix = b"%d-" % boot
        self._sung = 0
        self._sung_at = 0.0
        self._unheard: deque[tuple[int, float]] = deque()
        self._heard = 0
        self.round_trip_s: float | None = None
        """How long the last echo took; None before the first."""
        self.measured: Callable[[float], object] = lambda _: None
        """Called with each such time, in seconds."""

    def sing(self, now: float) -> Line:
        """Return the next song, to be sent in place of an older one that still waits."""
        self._sung += 1
        self._sung_at = now
        return ("PUBLISH", self._channel, self._prefix + b"%d" % self._sung)

    def taken(self, song: Line, now: float) -> None:
        """The broker has taken ``song``: if it is our last one, its echo is due."""
        is_last = song[2] == self._prefix + b"%d" % self._sung
        if is_last and self._sung > self._heard:
            self._unheard.append((self._sung, now))

    def echoed(self, payload: bytes, now: float) -> bool:
        """Take in what was heard on the channel; tell whether it was our own song."""
        if not payload.startswith(self._prefix):
            return False
        try:  # anybody may sing here
            number = decimal(payload[len(self._prefix) :], self._sung)
        except Unreadable:
            return False
        self._heard = max(self._heard, number)
        if number == self._sung:
            self.round_trip_s = now - self._sung_at
            self.measured(self.round_trip_s)
        while self._unheard and self._unheard[0][0] <= self._heard:
            self._unheard.popleft()
        return True

    def silent_s(self, now: float) -> float:
        """Return for how long an echo has been due, in seconds; 0 if none is."""
        return now - self._unheard[0][1] if self._unheard else 0.0

    def forgive(self) -> None:
        """Hold nothing that was sung until now against anybody."""
        self._heard = self._sung
        self._unheard.clear()
