"""The lifecycle: which states there are, what leads from where to where, and who may ask for it.

The table is the definition. It knows nothing of how it is fired (`status`) or spoken to (`words`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Who(enum.Flag):
    """Who may fire a trigger."""

    ANYONE = enum.auto()
    """Whoever may send a command."""
    WORKER = enum.auto()
    """The worker itself, by `Worker.trigger` or by finishing."""
    DAEMON = enum.auto()
    """The daemon: it saw something happen, or got a signal."""


class Part(enum.Enum):
    """What a state asks of the worker. The values are the letters told to the worker's process."""

    WORKS = "r"
    """Do the work: `Worker.while_running` goes on."""
    WAITS = "w"
    """Stand by: `Worker.while_running` blocks."""
    ENDS = "e"
    """Finish the step, then leave: `Worker.while_running` stops."""


@enum.unique
class State(enum.StrEnum):
    """The states of the built-in lifecycle; each equals its own name.

    Steady: READY, RUNNING, PAUSED, FAILED, END. Acting (somebody works towards the next state,
    with a deadline): INIT, BACKOFF, ENDING.
    """

    INIT = "INIT"
    READY = "READY"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    BACKOFF = "BACKOFF"
    FAILED = "FAILED"
    ENDING = "ENDING"
    END = "END"


@dataclass(frozen=True, slots=True)
class Row:
    """``trigger`` leads from ``source`` to ``dest``, if one of ``who`` fires it."""

    trigger: str
    source: enum.Enum
    dest: enum.Enum
    who: Who


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """States, transitions, and what each state means for the worker.

    Args:
        states: the Enum; the order of its members gives their number on the board.
        rows: the transitions.
        parts: what each state asks of the worker.
        steady: the states in which nobody is working towards another one.
        goals: the states that a command can ask for as a goal.
        postponing: the states that keep one command for later instead of refusing it.
        start: the state in which every run begins, and home: the first steady one after it.
    """

    states: type[enum.Enum]
    rows: tuple[Row, ...]
    parts: Mapping[enum.Enum, Part]
    steady: frozenset[enum.Enum]
    goals: frozenset[enum.Enum]
    postponing: frozenset[enum.Enum]
    start: enum.Enum
    home: enum.Enum

    def members(self) -> tuple[enum.Enum, ...]:
        """Return the states in the order of their numbers on the board."""
        return tuple(self.states)

    def number(self, state: enum.Enum) -> int:
        """Return the number (0 to 255) that stands for ``state`` on the board."""
        return self.members().index(state)

    def final_of(self, dest: enum.Enum) -> enum.Enum:
        """Return the state that asking for ``dest`` is really about: ENDING stands for END."""
        return State.END if dest is State.ENDING else dest


def _rows() -> tuple[Row, ...]:
    s, anyone, worker, daemon = State, Who.ANYONE, Who.WORKER, Who.DAEMON
    living = (s.INIT, s.READY, s.RUNNING, s.PAUSED)
    table: list[tuple[str, tuple[State, ...], State, Who]] = [
        # trigger   from                                        to         who
        ("ready", (s.INIT,), s.READY, worker),
        ("start", (s.READY,), s.RUNNING, anyone),
        ("pause", (s.RUNNING,), s.PAUSED, anyone | worker),
        ("pause", (s.READY,), s.PAUSED, daemon),  # only to restore the goal
        ("resume", (s.PAUSED,), s.RUNNING, anyone),
        ("stop", (s.RUNNING, s.PAUSED), s.READY, anyone | worker),
        ("crash", living, s.BACKOFF, daemon),
        ("retry", (s.BACKOFF,), s.INIT, daemon),
        ("fail", (*living, s.BACKOFF), s.FAILED, daemon),
        ("reset", (s.FAILED, s.BACKOFF), s.INIT, anyone),
        ("end", (*living, s.BACKOFF, s.FAILED), s.ENDING, anyone | worker | daemon),
        ("exited", (s.ENDING,), s.END, daemon),
    ]
    return tuple(Row(t, source, dest, who) for t, sources, dest, who in table for source in sources)


BUILT_IN = Lifecycle(
    states=State,
    rows=_rows(),
    parts={
        State.INIT: Part.WAITS,
        State.READY: Part.WAITS,
        State.RUNNING: Part.WORKS,
        State.PAUSED: Part.WAITS,
        State.BACKOFF: Part.ENDS,
        State.FAILED: Part.ENDS,
        State.ENDING: Part.ENDS,
        State.END: Part.ENDS,
    },
    steady=frozenset({State.READY, State.RUNNING, State.PAUSED, State.FAILED, State.END}),
    goals=frozenset({State.READY, State.RUNNING, State.PAUSED, State.END}),
    postponing=frozenset({State.INIT, State.BACKOFF}),
    start=State.INIT,
    home=State.READY,
)
"""The lifecycle of design section 3: INIT, READY, RUNNING, PAUSED, BACKOFF, FAILED, ENDING, END."""
