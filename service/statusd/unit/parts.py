"""What one unit is made of, before it lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from statusd.core.status import Status
from statusd.core.unit import Identity, Memory
from statusd.supervision.supervisor import Means
from statusd.unit.kept import Kept
from statusd.unit.state_file import StateFile
from statusd.wire.names import Names


def _look_away(_: Status) -> None:
    """Nobody wants to see it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What one unit is made of.

    Args:
        identity: who it is.
        make_status: makes what decides, of what the last daemon remembered, and of what tells why
            the worker can't be told a state (see `Status`).
        names: what its channels and keys are called.
        means: what its worker is started with.
        state_file: what survives it; kept: what its last daemon has left there, and last_boot.
        socket: where it is spoken to on this host.
        channels: names and patterns that it hears, beside the namespace's own.
        lasting_s: so long a durable command is obeyed.
        fresh: nothing of the last time counts.
        own_words: the triggers of its lifecycle, which are no words of the daemon.
        drawn: returns its lifecycle as JSON; it is not asked before the unit has begun.
        look: is shown the unit whenever it has another state.
    """

    identity: Identity
    make_status: Callable[[Memory, Callable[[int], str]], Status]
    names: Names
    means: Means
    state_file: StateFile
    kept: Kept
    last_boot: int
    socket: Path
    channels: tuple[str, ...]
    lasting_s: float
    fresh: bool
    drawn: Callable[[], str]
    own_words: frozenset[str] = frozenset()
    look: Callable[[Status], None] = _look_away

    @property
    def heard(self) -> tuple[str, ...]:
        """All channels that are its alone."""
        return (*self.channels, self.names.logs)
