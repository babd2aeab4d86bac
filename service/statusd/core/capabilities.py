"""What a worker can be told, and why a word that it can't be told is refused.

Rules of this file: a function is told everything, for it has the board. A program works from the
moment it is started; it is told nothing but what the settings name, and END. Never a guess: a state
that it can't be told is not entered by a word.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from statusd.core.lifecycle import Lifecycle, Part


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How a worker learns of its state.

    Args:
        signals: the states that stand for a signal; None for a function, which has the board.
        lines: the states come as lines on its standard input.
    """

    signals: frozenset[str] | None = None
    lines: bool = False

    @property
    def is_answered(self) -> bool:
        """Tell whether the worker says which state it has taken in."""
        return self.signals is None

    @property
    def takes_args(self) -> bool:
        """Tell whether ``args`` reach the worker while it runs; at its start they always do."""
        return self.signals is None or self.lines

    def objection(self, lifecycle: Lifecycle, source: enum.Enum, dest: enum.Enum) -> str:
        """Return why the worker can't be told to go from ``source`` to ``dest``; empty if it can.

        Leaving can always be told: END is SIGTERM. Working need not be told to a program that has
        just been started, for it works already; and waiting must be.
        """
        if self.signals is None or self.lines or dest.name in self.signals:
            return ""
        part = lifecycle.parts[dest]
        if part is Part.ENDS or dest is lifecycle.start:
            return ""
        if part is Part.WORKS and self._works_from(lifecycle, source):
            return ""
        return f"this program can't be told {dest.name}: {cure(dest)}"

    def _works_from(self, lifecycle: Lifecycle, source: enum.Enum) -> bool:
        """Tell whether a program in ``source`` does already what the one working state asks for."""
        assert self.signals is not None
        kinds_of_work = sum(part is Part.WORKS for part in lifecycle.parts.values())
        just_started = source is lifecycle.start or (
            source is lifecycle.home and source.name not in self.signals
        )
        return kinds_of_work == 1 and just_started


def cure(state: enum.Enum) -> str:
    """Return the settings that would let a program be told ``state``."""
    name = state.name
    return f'worker.signals.{name} = "SIG..." or worker.input = "states" would allow it'


ARGS_OBJECTION = (
    'args don\'t reach this program while it runs: worker.input = "states" would allow it'
)
"""Why a command with args is refused to a program that can't hear them."""
