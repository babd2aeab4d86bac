"""What a word means in a state: the lifecycle, compiled into one dict look-up.

`compile_table` asks a real ``transitions`` Machine which triggers are legal where, and the
lifecycle who may fire them. Rules of this file: a word is found in one fixed order (design section
4), and every word that is known in any state is known in every state.

Length: one compiler with what it fills, the table; whoever changes what a word means reads both.
"""

from __future__ import annotations

import enum
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from statusd.core.capabilities import Capabilities
from statusd.core.lifecycle import Deadline, Lifecycle, Part, Row, Who
from statusd.core.machine import Model, unjudged
from statusd.core.refusals import Refusals


class DecisionKind(enum.Enum):
    """What becomes of a word."""

    FIRE = "fire"
    POSTPONE = "postpone"
    NOOP = "noop"
    REFUSE = "refuse"
    ASK = "ask"
    """``status``, ``ping``: answered at once; changes nothing."""
    FORCE = "force"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a word means in one state.

    Args:
        word: its canonical spelling: triggers in lower case, states as the Enum spells them.
        trigger: what to fire (FIRE only).
        dest: the state that the trigger leads to, or that the word asks for.
        goal: the steady state that the word asks for, if it asks for one.
        reason: for the sender, when nothing happens.
    """

    kind: DecisionKind
    word: str
    trigger: str = ""
    dest: enum.Enum | None = None
    goal: enum.Enum | None = None
    reason: str = ""


RESERVED = {"status": DecisionKind.ASK, "ping": DecisionKind.ASK, "force": DecisionKind.FORCE}
"""Words of statusd itself; no lifecycle may use them as a name."""


DAEMONS, LIVES = ("launch",), "it lives already"
"""Words of the daemon, unless a lifecycle has one of its own; why a unit that lives has no use for
them."""


@dataclass(frozen=True, slots=True)
class Table:
    """Every state, every word.

    Args:
        decisions: state -> lower-case word -> what it means.
        allowed: state -> the triggers that anyone may fire in it, in the order of the table.
        worker_may: state -> the triggers that the worker may fire in it.
        restore: goal -> the triggers that lead there from the lifecycle's home; home needs none.
    """

    decisions: Mapping[enum.Enum, Mapping[str, Decision]]
    allowed: Mapping[enum.Enum, tuple[str, ...]]
    worker_may: Mapping[enum.Enum, frozenset[str]]
    restore: Mapping[enum.Enum, tuple[str, ...]]
    vocabulary: tuple[str, ...] = field(default=())


class CompiledState(NamedTuple):
    """All that is known of one state, looked up once when it is entered.

    Args:
        number: what stands for it on the board.
        decisions, allowed: its rows of the `Table`.
        leads_on: something is done when it is entered, beyond telling the worker.
        works: a worker that leaves in it with 0 has finished its work.
        final: the steady state that it leads to, or is.
        by_signal: a worker is told of it by a signal; not that it is to leave, which is tried
            all the same.
        ways: trigger -> where it leads, if that needs no judgement: what `Model.fire` would do.
    """

    state: enum.Enum
    name: str
    number: int
    decisions: Mapping[str, Decision]
    allowed: tuple[str, ...]
    part: Part
    is_steady: bool
    leads_on: bool
    works: bool
    final: enum.Enum
    deadline: Deadline | None
    by_signal: bool
    ways: dict[str, CompiledState]


def compile_states(
    lifecycle: Lifecycle, table: Table, signals: Container[str] = ()
) -> dict[enum.Enum, CompiledState]:
    """Return what is known of each state.

    Args:
        signals: the names of those that stand for a signal.
    """
    active = {
        *(lifecycle.start, lifecycle.backoff, lifecycle.failed),
        *(lifecycle.ending, lifecycle.end),
    }
    found = {
        state: CompiledState(
            state,
            state.name,
            number,
            table.decisions[state],
            table.allowed[state],
            lifecycle.parts[state],
            state in lifecycle.steady,
            state in active,
            lifecycle.parts[state] is Part.WORKS and state in lifecycle.steady,
            lifecycle.final_of(state),
            lifecycle.deadlines.get(state),
            state.name in signals and lifecycle.parts[state] is not Part.ENDS,
            {},
        )
        for number, state in enumerate(lifecycle.members())
    }
    for state, ways in unjudged(lifecycle).items():
        found[state].ways.update((trigger, found[dest]) for trigger, dest in ways.items())
    return found


def compile_table(lifecycle: Lifecycle, capabilities: Capabilities | None = None) -> Table:
    """Return the table of ``lifecycle``: one decision for every state and every word.

    Args:
        capabilities: what the worker can be told; everything, if it isn't given.
    """
    capabilities = capabilities or Capabilities()
    table: Table | None = lifecycle.compiled.get(capabilities)
    if table is None:
        table = lifecycle.compiled[capabilities] = _compile(lifecycle, capabilities)
    return table


def _compile(lifecycle: Lifecycle, capabilities: Capabilities) -> Table:
    compiler = _Compiler(lifecycle, capabilities)
    states = lifecycle.members()
    return Table(
        decisions={state: compiler.row(state) for state in states},
        allowed={state: compiler.allowed(state) for state in states},
        worker_may={state: frozenset(compiler.legal(state, Who.WORKER)) for state in states},
        restore=compiler.restore(),
        vocabulary=tuple(compiler.words()),
    )


def _group(rows: Iterable[Row]) -> dict[tuple[str, enum.Enum], list[Who]]:
    """Return who may fire each trigger in each state, in the Machine's order."""
    found: dict[tuple[str, enum.Enum], list[Who]] = {}
    for row in rows:
        found.setdefault((row.trigger, row.source), []).append(row.who)
    return found


class _Compiler:
    def __init__(self, lifecycle: Lifecycle, capabilities: Capabilities) -> None:
        self._lifecycle = lifecycle
        self._capabilities = capabilities
        self._machine = Model(lifecycle).machine
        self._who = _group(lifecycle.rows)
        self._legal: dict[tuple[enum.Enum, Who], dict[str, enum.Enum]] = {}
        self._states = {state.name.lower(): state for state in lifecycle.members()}
        self._refusals = Refusals(lifecycle, partial(self.legal, who=Who.ANYONE))

    def legal(self, state: enum.Enum, who: Who) -> dict[str, enum.Enum]:
        """Return trigger -> target for what ``who`` may fire in ``state``."""
        if (state, who) not in self._legal:
            self._legal[state, who] = self._find_legal(state, who)
        return self._legal[state, who]

    def _find_legal(self, state: enum.Enum, who: Who) -> dict[str, enum.Enum]:
        found = {}
        for trigger, event in self._machine.events.items():
            ways = event.transitions.get(state.name, ())
            for transition, may in zip(ways, self._who.get((trigger, state), ()), strict=True):
                if may & who:
                    found[trigger] = self._lifecycle.states[str(transition.dest)]
        return found

    def allowed(self, state: enum.Enum) -> tuple[str, ...]:
        """Return what anyone may fire in ``state`` with effect on the worker."""
        legal = self.legal(state, Who.ANYONE)
        return tuple(trigger for trigger, dest in legal.items() if not self._untold(state, dest))

    def _untold(self, state: enum.Enum, dest: enum.Enum) -> str:
        return self._capabilities.objection(self._lifecycle, state, dest)

    def public_targets(self, trigger: str) -> set[enum.Enum]:
        """Return every state that anyone can reach by ``trigger`` from anywhere."""
        targets = (
            self.legal(state, Who.ANYONE).get(trigger) for state in self._lifecycle.members()
        )
        return {target for target in targets if target is not None}

    def words(self) -> Iterator[str]:
        """Yield each known word in its canonical spelling."""
        yield from RESERVED
        yield from (trigger for trigger in self._machine.events if self.public_targets(trigger))
        yield from (state.name for state in self._lifecycle.members())
        theirs = {*self._machine.events, *self._states}
        yield from (word for word in DAEMONS if word not in theirs)

    def restore(self) -> dict[enum.Enum, tuple[str, ...]]:
        """Return goal -> triggers: as the lifecycle says, or the one step from home."""
        home = self._lifecycle.home
        found = dict(self._lifecycle.restores)
        for trigger, dest in self.legal(home, Who.ANYONE | Who.DAEMON).items():
            goal = self._lifecycle.final_of(dest)
            if goal in self._lifecycle.goals - {home, self._lifecycle.end} and goal not in found:
                found[goal] = (trigger,)
        return {goal: path for goal, path in found.items() if self._can_walk(path)}

    def _can_walk(self, path: tuple[str, ...]) -> bool:
        """Tell whether the worker can be told every state on ``path`` from home."""
        state = self._lifecycle.home
        for trigger in path:
            dest = self.legal(state, Who.ANYONE | Who.DAEMON)[trigger]
            if self._untold(state, dest):
                return False
            state = self._lifecycle.final_of(dest)
        return True

    def row(self, state: enum.Enum) -> dict[str, Decision]:
        # A trigger comes before a state of the same spelling where it is legal, else after it.
        row: dict[str, Decision] = {}
        for word in self.words():
            decision = self._decide(state, word)
            known = row.get(word.lower())
            if known is None or known.kind is DecisionKind.REFUSE:
                row[word.lower()] = decision
        return row

    def _decide(self, state: enum.Enum, word: str) -> Decision:
        if word in RESERVED or (word in DAEMONS and word not in self._machine.events):
            return self._decide_reserved(state, word)
        legal = self.legal(state, Who.ANYONE)
        asked = self._states.get(word.lower()) if word not in self._machine.events else None
        if asked is not None:
            trigger = self._way_to(asked, state, legal)
            targets = {asked}
        else:
            trigger = word if word in legal else ""
            targets = self.public_targets(word)
        goal = self._goal(targets)
        if trigger:
            return self._fire(state, word, trigger, goal)
        if all(self._means(state, target) for target in targets):
            reason = f"already {state.name}"
            return Decision(DecisionKind.NOOP, word, dest=state, goal=goal, reason=reason)
        if state in self._lifecycle.postponing and goal is not None:
            if goal is self._lifecycle.home or goal in self.restore():
                reason = f"{state.name} now; {word} follows when it is over"
                return Decision(DecisionKind.POSTPONE, word, dest=goal, goal=goal, reason=reason)
            untold = self._untold(self._lifecycle.home, goal)
            if untold:
                return Decision(DecisionKind.REFUSE, word, reason=untold)
        reason = self._refusals.text(word, state, targets, self.allowed(state))
        return Decision(DecisionKind.REFUSE, word, reason=reason)

    def _way_to(self, asked: enum.Enum, state: enum.Enum, legal: Mapping[str, enum.Enum]) -> str:
        """Return the trigger that leads from ``state`` to the state that was asked for by name."""
        if self._means(state, asked):
            return ""
        return next((t for t, dest in legal.items() if self._means(dest, asked)), "")

    def _fire(self, state: enum.Enum, word: str, trigger: str, goal: enum.Enum | None) -> Decision:
        dest = self.legal(state, Who.ANYONE)[trigger]
        untold = self._untold(state, dest)
        if untold:
            return Decision(DecisionKind.REFUSE, word, reason=untold)
        if goal is None:  # a trigger that leads here and there: this time, there
            goal = self._goal({dest})
        if goal is None and self._lifecycle.final_of(dest) in self._lifecycle.faults:
            goal = self._lifecycle.home  # whoever aborts doesn't want the work to be taken up again
        return Decision(DecisionKind.FIRE, word, trigger, dest, goal)

    def _decide_reserved(self, state: enum.Enum, word: str) -> Decision:
        kind = RESERVED.get(word)
        if kind is None:
            return Decision(DecisionKind.NOOP, word, reason=LIVES)
        if kind is DecisionKind.ASK:
            return Decision(kind, word)
        if state is self._lifecycle.ending:
            return Decision(kind, word)
        reason = f"force is only for ENDING, and the state is {state.name}: send end first"
        return Decision(DecisionKind.REFUSE, word, reason=reason)

    def _means(self, dest: enum.Enum, asked: enum.Enum) -> bool:
        """Tell whether ``dest`` is what ``asked`` is about: ENDING is on the way to END."""
        final = self._lifecycle.final_of
        return dest is asked or final(dest) is final(asked)

    def _goal(self, targets: set[enum.Enum]) -> enum.Enum | None:
        finals = {self._lifecycle.final_of(target) for target in targets}
        goal = finals.pop() if len(finals) == 1 else None
        return goal if goal in self._lifecycle.goals else None
