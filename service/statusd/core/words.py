"""What a word means in a state: the lifecycle, compiled into one dict look-up.

`compile_table` asks a real ``transitions`` Machine which triggers are legal where, and the
lifecycle who may fire them. Rules of this file: a word is found in one fixed order (design section
4), and every word that is known in any state is known in every state.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from transitions import Machine

from statusd.core.lifecycle import Lifecycle, Who


class Kind(enum.Enum):
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

    kind: Kind
    word: str
    trigger: str = ""
    dest: enum.Enum | None = None
    goal: enum.Enum | None = None
    reason: str = ""


RESERVED = {"status": Kind.ASK, "ping": Kind.ASK, "force": Kind.FORCE}
"""Words of statusd itself; no lifecycle may use them as a name."""


@dataclass(frozen=True, slots=True)
class Table:
    """Every state, every word.

    Args:
        decisions: state -> lower-case word -> what it means.
        allowed: state -> the triggers that anyone may fire in it, in the order of the table.
        worker_may: state -> the triggers that the worker may fire in it.
        restore: goal -> the trigger that leads there from the lifecycle's home; home needs none.
    """

    decisions: Mapping[enum.Enum, Mapping[str, Decision]]
    allowed: Mapping[enum.Enum, tuple[str, ...]]
    worker_may: Mapping[enum.Enum, frozenset[str]]
    restore: Mapping[enum.Enum, str]
    vocabulary: tuple[str, ...] = field(default=())


class Model:
    """What the Machine keeps its state in; nothing else lives here.

    ``transitions`` binds its methods by name at run time, where no type checker sees them; only
    `fire` and `state` are used, and only by this package.
    """

    state: enum.Enum

    def fire(self, trigger: str) -> enum.Enum:
        """Fire ``trigger``, which the table has found legal, and return the new state."""
        self.trigger(trigger)  # type: ignore[attr-defined]  # bound by transitions at run time
        return self.state


def build_machine(lifecycle: Lifecycle, model: Model) -> Machine:
    """Return the Machine of ``lifecycle``, with ``model`` in its first state.

    ``auto_transitions`` would let a message "to_END" skip every guard, and ``queued=True`` loses
    END when an earlier callback raises (``transitions`` issue 224).
    """
    return Machine(
        model=model,
        states=lifecycle.states,
        initial=lifecycle.start,
        transitions=[
            {"trigger": row.trigger, "source": row.source, "dest": row.dest}
            for row in lifecycle.rows
        ],
        auto_transitions=False,
        queued=False,
    )


def compile_table(lifecycle: Lifecycle) -> Table:
    """Return the table of ``lifecycle``: one decision for every state and every word."""
    compiler = _Compiler(lifecycle)
    states = lifecycle.members()
    return Table(
        decisions={state: compiler.row(state) for state in states},
        allowed={state: tuple(compiler.legal(state, Who.ANYONE)) for state in states},
        worker_may={state: frozenset(compiler.legal(state, Who.WORKER)) for state in states},
        restore=compiler.restore(),
        vocabulary=tuple(compiler.words()),
    )


class _Compiler:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._machine = build_machine(lifecycle, Model())
        self._who = {(row.trigger, row.source): row.who for row in lifecycle.rows}
        self._legal: dict[tuple[enum.Enum, Who], dict[str, enum.Enum]] = {}
        self._states = {state.name.lower(): state for state in lifecycle.members()}

    def legal(self, state: enum.Enum, who: Who) -> dict[str, enum.Enum]:
        """Return trigger -> target for what ``who`` may fire in ``state``."""
        if (state, who) not in self._legal:
            self._legal[state, who] = self._find_legal(state, who)
        return self._legal[state, who]

    def _find_legal(self, state: enum.Enum, who: Who) -> dict[str, enum.Enum]:
        found = {}
        for trigger, event in self._machine.events.items():
            for transition in event.transitions.get(state.name, ()):
                if self._who[trigger, state] & who:
                    found[trigger] = self._lifecycle.states[str(transition.dest)]
        return found

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

    def restore(self) -> dict[enum.Enum, str]:
        """Return goal -> trigger for the goals that are one step from home."""
        steps = self.legal(self._lifecycle.home, Who.ANYONE | Who.DAEMON)
        return {dest: trigger for trigger, dest in steps.items() if dest in self._lifecycle.goals}

    def row(self, state: enum.Enum) -> dict[str, Decision]:
        # A trigger comes before a state of the same spelling where it is legal, else after it.
        row: dict[str, Decision] = {}
        for word in self.words():
            decision = self._decide(state, word)
            known = row.get(word.lower())
            if known is None or known.kind is Kind.REFUSE:
                row[word.lower()] = decision
        return row

    def _decide(self, state: enum.Enum, word: str) -> Decision:
        if word in RESERVED:
            return self._decide_reserved(state, word)
        legal = self.legal(state, Who.ANYONE)
        asked = self._states.get(word.lower()) if word not in self._machine.events else None
        if asked is not None:
            trigger = next((t for t, dest in legal.items() if self._means(dest, asked)), "")
            targets = {asked}
        else:
            trigger = word if word in legal else ""
            targets = self.public_targets(word)
        goal = self._goal(targets)
        if trigger:
            return Decision(Kind.FIRE, word, trigger, legal[trigger], goal)
        if all(self._means(state, target) for target in targets):
            reason = f"already {state.name}"
            return Decision(Kind.NOOP, word, dest=state, goal=goal, reason=reason)
        home = self._lifecycle.home
        if state in self._lifecycle.postponing and (goal is home or goal in self.restore()):
            reason = f"{state.name} now; {word} follows when it is over"
            return Decision(Kind.POSTPONE, word, dest=goal, goal=goal, reason=reason)
        return Decision(Kind.REFUSE, word, reason=f"{word} is not allowed in {state.name}")

    def _decide_reserved(self, state: enum.Enum, word: str) -> Decision:
        kind = RESERVED[word]
        if kind is Kind.ASK:
            return Decision(kind, word)
        if self._lifecycle.final_of(state) in self._lifecycle.steady and state not in (
            self._lifecycle.steady
        ):
            return Decision(kind, word)
        reason = f"force is only for ENDING, and the state is {state.name}: send end first"
        return Decision(Kind.REFUSE, word, reason=reason)

    def _means(self, dest: enum.Enum, asked: enum.Enum) -> bool:
        """Tell whether ``dest`` is what ``asked`` is about: ENDING is on the way to END."""
        final = self._lifecycle.final_of
        return dest is asked or final(dest) is final(asked)

    def _goal(self, targets: set[enum.Enum]) -> enum.Enum | None:
        finals = {self._lifecycle.final_of(target) for target in targets}
        goal = finals.pop() if len(finals) == 1 else None
        return goal if goal in self._lifecycle.goals else None
