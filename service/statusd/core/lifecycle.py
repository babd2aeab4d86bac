"""The lifecycle: which states there are, what leads from where to where, and who may ask for it.

The table is the definition. It knows nothing of how it is fired (`status`) or spoken to (`words`).
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from statusd.core.conditions import Condition


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


StateKind = Literal["waiting", "working", "acting", "fault", "end"]
"""What a state is to who looks: acting means that somebody works towards the next one."""


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
    conditions: tuple[Condition, ...] = ()


class Deadline(NamedTuple):
    """A state that lasts ``after_s`` seconds fires ``trigger``."""

    after_s: float
    trigger: str


@dataclass(frozen=True)
class Lifecycle:
    """States, transitions, and what each state means for the worker.

    Every lifecycle has INIT, BACKOFF, FAILED, ENDING and END: they tell of the process, not of its
    work.

    Args:
        states: the Enum; the order of its members gives their number on the board.
        rows: the transitions.
        parts: what each state asks of the worker.
        steady: the states in which nobody is working towards another one.
        faults: the steady ones that nobody wants: what leads there has failed.
        home: the first state after INIT.
        deadlines: the states that don't last for ever.
        restores: state -> triggers that lead there from home, if one isn't enough.
        worker_states: ``module:name`` of the user's own Enum, for the worker; empty for none.

    ``compiled`` is what was made of it already, by whoever makes something (`words`): the units of
    a daemon have one lifecycle, as a rule, and what it means is the same for all of them.
    """

    states: type[enum.Enum]
    rows: tuple[Row, ...]
    parts: Mapping[enum.Enum, Part]
    steady: frozenset[enum.Enum]
    faults: frozenset[enum.Enum]
    home: enum.Enum
    deadlines: Mapping[enum.Enum, Deadline] = field(default_factory=dict)
    restores: Mapping[enum.Enum, tuple[str, ...]] = field(default_factory=dict)
    worker_states: str = ""
    compiled: dict[Hashable, Any] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    @cached_property
    def start(self) -> enum.Enum:
        """Where every run begins: the worker is being started."""
        return self.states["INIT"]

    @cached_property
    def backoff(self) -> enum.Enum:
        """The worker has died; another one will be started."""
        return self.states["BACKOFF"]

    @cached_property
    def failed(self) -> enum.Enum:
        """The worker has died, and no other one will be started by itself."""
        return self.states["FAILED"]

    @cached_property
    def ending(self) -> enum.Enum:
        """The worker has been told to leave."""
        return self.states["ENDING"]

    @cached_property
    def end(self) -> enum.Enum:
        """Nothing of the worker lives."""
        return self.states["END"]

    @cached_property
    def goals(self) -> frozenset[enum.Enum]:
        """The states that a command can ask for as a goal."""
        return self.steady - self.faults

    @cached_property
    def postponing(self) -> frozenset[enum.Enum]:
        """The states that keep one command for later instead of refusing it."""
        return frozenset({self.start, self.backoff})

    @cached_property
    def kinds(self) -> Mapping[enum.Enum, StateKind]:
        """What each state is to who looks."""
        return {state: self._kind(state) for state in self.states}

    def _kind(self, state: enum.Enum) -> StateKind:
        if self.parts[state] is Part.WORKS:
            return "working"
        if state not in self.steady:
            return "acting"
        if state in self.faults:
            return "fault"
        return "end" if state is self.end else "waiting"

    def members(self) -> tuple[enum.Enum, ...]:
        """Return the states in the order of their numbers on the board."""
        return tuple(self.states)

    def number(self, state: enum.Enum) -> int:
        """Return the number (0 to 255) that stands for ``state`` on the board."""
        return self.members().index(state)

    def final_of(self, dest: enum.Enum) -> enum.Enum:
        """Return the state that asking for ``dest`` is really about: ENDING stands for END.

        An acting state stands for the steady one that the worker leads it to.
        """
        return self._finals[dest]

    @cached_property
    def _finals(self) -> dict[enum.Enum, enum.Enum]:
        return {state: self._find_final(state) for state in self.states}

    def _find_final(self, dest: enum.Enum) -> enum.Enum:
        if dest is self.ending:
            return self.end
        seen = {self.start, self.backoff}
        while dest not in self.steady and dest not in seen:
            seen.add(dest)
            dest = next(iter(self.ways_on(dest)), dest)
        return dest

    def ways_on(self, acting: enum.Enum) -> list[enum.Enum]:
        """Return where the worker leads an acting state to, if all goes well.

        Of several ways those tell that it has not gone well that lead to a fault, to where the
        deadline leads, or back to where a command came from. One that is the only way is the
        way on all the same: from ABORTING to ABORTED, a fault, and from a reload to where it was.
        """
        deadline = self.deadlines.get(acting)
        late = {
            row.dest
            for row in self.rows
            if row.source is acting and deadline is not None and row.trigger == deadline.trigger
        }
        back = {row.source for row in self.rows if row.dest is acting and Who.ANYONE in row.who}
        ways = list(dict.fromkeys(self._ways_of_the_worker(acting)))
        for bad in (self.faults, late, back):
            ways = [dest for dest in ways if dest not in bad] or ways
        return ways

    def _ways_of_the_worker(self, acting: enum.Enum) -> Iterator[enum.Enum]:
        for row in self.rows:
            is_own = Who.WORKER in row.who and Who.ANYONE not in row.who
            if is_own and row.source is acting and row.dest not in (self.ending, acting):
                yield row.dest


def supervision(states: type[enum.Enum], living: Sequence[enum.Enum]) -> Iterator[Row]:
    """Yield what the daemon does in every lifecycle: the transitions of the process.

    Args:
        states: all states, with the five that every lifecycle has.
        living: those in which a worker may live, but for ENDING.
    """
    backoff, failed = states["BACKOFF"], states["FAILED"]
    for source in living:
        yield Row("crash", source, backoff, Who.DAEMON)
    yield Row("retry", backoff, states["INIT"], Who.DAEMON)
    for source in (*living, backoff):
        yield Row("fail", source, failed, Who.DAEMON)
    for source in (failed, backoff):
        yield Row("reset", source, states["INIT"], Who.ANYONE)
    yield Row("exited", states["ENDING"], states["END"], Who.DAEMON)


def _rows() -> Iterator[Row]:
    s, anyone, worker = State, Who.ANYONE, Who.WORKER
    living = (s.INIT, s.READY, s.RUNNING, s.PAUSED)
    yield Row("ready", s.INIT, s.READY, worker)
    yield Row("start", s.READY, s.RUNNING, anyone)
    yield Row("pause", s.RUNNING, s.PAUSED, anyone | worker)
    yield Row("pause", s.READY, s.PAUSED, Who.DAEMON)  # only to restore the goal
    yield Row("resume", s.PAUSED, s.RUNNING, anyone)
    for source in (s.RUNNING, s.PAUSED):
        yield Row("stop", source, s.READY, anyone | worker)
    yield from supervision(s, living)
    for source in (*living, s.BACKOFF, s.FAILED):
        yield Row("end", source, s.ENDING, anyone | worker | Who.DAEMON)


BUILT_IN = Lifecycle(
    states=State,
    rows=tuple(_rows()),
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
    faults=frozenset({State.FAILED}),
    home=State.READY,
)
"""The lifecycle of design section 3: INIT, READY, RUNNING, PAUSED, BACKOFF, FAILED, ENDING, END."""
