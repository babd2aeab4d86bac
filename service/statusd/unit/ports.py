"""What a unit needs of the world; whoever runs it gives it that, for one unit or for many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from statusd.scheduler import UnitLoop
from statusd.wire.outbox import Outbox, RedisCommand
from statusd.wire.roster import Roster


class Broker(Protocol):
    """The broker, as all units of a daemon share it."""

    @property
    def link_state(self) -> str:
        """How far the hearing link is, as the document says it."""

    @property
    def canary_s(self) -> float | None:
        """How long the last proof that the link hears took, in seconds; None before the first."""

    @property
    def refused(self) -> Mapping[str, str]:
        """Channels that it doesn't let us hear, and why."""

    @property
    def roster(self) -> Roster:
        """The roster of the namespace."""

    def open_outbox(self, refused: Callable[[RedisCommand, str], None]) -> Outbox:
        """Return an outbox on the sending link; ``refused`` gets what the broker refuses of it."""

    def close_outbox(self, outbox: Outbox) -> None:
        """Send nothing of it any more."""

    @property
    def flush(self) -> Callable[[], None]:
        """Send what waits in the outboxes, if the link is up."""

    @property
    def flush_soon(self) -> Callable[[], None]:
        """The same, but with what comes next, if that comes within a millisecond."""

    @property
    def heard_at(self) -> Callable[[], float]:
        """Return when it said something last (loop's time)."""

    def time(self) -> float:
        """Return the broker's wall clock in seconds; ours, before it has told us."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The world of one unit.

    Args:
        loop: whose time it is; what is called through it is known as this unit's.
        wall: the wall clock in seconds; only a label, never a measure.
        broker: what is shared with other units.
        heard: called when a message has come: `Unit.flush` is wanted after all that came with it.
        later: asks for `Unit.tidy` in some milliseconds, once for all that comes until then;
            what that has to say is sent after it.
        changed: called when state or link may be others, for whoever is told of them.
        ended: called with the exit code that the unit leaves with; again, if a bug comes after it.
        health: returns how the daemon is.
        stream_trouble: returns what is wrong with the stream of durable commands, in words; empty
            for nothing.
        log: tells the log something, by level and name.
        daemon: the name of a daemon that goes on without the unit, and can launch it; empty: there
            is none.
    """

    loop: UnitLoop
    wall: Callable[[], float]
    broker: Broker
    heard: Callable[[], None]
    later: Callable[[], None]
    changed: Callable[[], None]
    ended: Callable[[int], None]
    health: Callable[[], dict[str, Any]]
    stream_trouble: Callable[[], str]
    log: Any
    daemon: str = ""
