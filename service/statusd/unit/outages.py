"""When the unit was deaf: from the last thing that it heard to the moment it listens again.

Rules of this file: an outage stays untold until the history has it, so that the next daemon can
tell it if this one is killed.
"""

from __future__ import annotations

from typing import NamedTuple

from statusd.core import events as ev
from statusd.core.times import rfc3339


class Deaf(NamedTuple):
    """An outage that nobody has been told of yet.

    Args:
        since: on the wall clock, in seconds.
        reason: in words.
    """

    since: float
    reason: str


class Outages:
    """Keeps book of the outages of the hearing link; times are of the wall clock, in seconds.

    Args:
        began: when the daemon did; until it listens for the first time it is deaf.
        left: the outage in which the last daemon died, if it did; it isn't over.
    """

    def __init__(self, began: float, left: Deaf | None = None) -> None:
        self._heard_at = began if left is None else left.since
        self._reason = "" if left is None else f"{left.reason}; the daemon was restarted meanwhile"
        self.count = 0 if left is None else 1
        """How many there were, the present one included."""
        self.untold = left
        """What a successor would have to tell."""
        self._ended_s = self._counted_s = 0.0
        self._on_its_way: object = None

    def total_s(self, now: float) -> float:
        """Return how long all of them took, the present one until ``now``; it never decreases."""
        present_s = max(0.0, now - self._heard_at) if self._reason else 0.0
        self._counted_s = max(self._counted_s, self._ended_s + present_s)
        return self._counted_s

    def heard(self, now: float) -> None:
        """The link was just proved to hear; that ends no outage before the link says so."""
        if not self._reason:
            self._heard_at = now

    def began(self, reason: str) -> bool:
        """The link was lost, or could not be made; the first reason is the one that is told.

        Returns:
            Whether `untold` has changed.
        """
        if self._reason:
            return False
        self._reason = reason or "the link was lost"
        self.count += 1
        before = self.untold
        self.untold = self.untold or Deaf(self._heard_at, self._reason)
        return self.untold is not before

    def reported(self, line: object) -> None:
        """The last outage that has ended is on its way to the history in ``line``."""
        self._on_its_way = line

    def kept(self, line: object) -> bool:
        """The history has ``line``; tell whether that changes `untold`."""
        if line is not self._on_its_way:
            return False
        self._on_its_way = None
        self.untold = Deaf(self._heard_at, self._reason) if self._reason else None
        return True

    def ended(self, now: float, stream: str, recovered: int, lost: int | None) -> ev.Gapped | None:
        """The link listens; return what has to be told, if anything was or may have been missed.

        Args:
            stream: what is wrong with the stream of commands, in words; empty for nothing.
            recovered, lost: of its entries.
        """
        start, self._heard_at = self._heard_at, now
        reason, self._reason = self._reason, ""
        self._ended_s += max(0.0, now - start) if reason else 0.0
        if not reason and not stream:
            return None
        deaf = f"deaf for {max(0.0, now - start):.1f} s: {reason}" if reason else ""
        text = "; ".join(filter(None, (deaf, stream)))
        return ev.Gapped(rfc3339(start), rfc3339(now), text, recovered, lost)
