"""What judges a transition: a real ``transitions`` Machine, and what it keeps its state in."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from functools import cached_property, partial

from transitions import Machine

from statusd.core.conditions import Request
from statusd.core.lifecycle import Lifecycle, Row, Who


class Refused(Exception):
    """A condition said no, or the worker can't be told; the state is what it was."""


class Model:
    """What the Machine keeps its state in.

    ``transitions`` binds nothing to it: a name that a user gives to a trigger can hide nothing.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.state: enum.Enum = lifecycle.start
        self._lifecycle = lifecycle
        self._who = Who.DAEMON
        self._request: Request | None = None
        self._objection = ""
        known = unjudged(lifecycle)
        if any(row.trigger not in known[row.source] for row in lifecycle.rows):
            _ = self.machine  # before the first command needs it

    @cached_property
    def machine(self) -> Machine:
        """The Machine; where no transition needs judgement nobody asks for it."""
        return build_machine(self._lifecycle, self)

    def fire(
        self, trigger: str, who: Who = Who.DAEMON, request: Request | None = None
    ) -> enum.Enum:
        """Fire ``trigger``, which the table has found legal for ``who``; return the new state.

        Args:
            request: what the conditions judge; None for the daemon, whom they don't judge.

        Raises:
            Refused: a condition said no, with the reason.
        """
        self._who, self._request, self._objection = who, request, ""
        if not self.machine.events[trigger].trigger(self):
            raise Refused(self._objection)
        return self.state

    def lets(self, row: Row) -> bool:
        """Tell whether whoever is asking may go by ``row``; asked by the Machine."""
        if not row.who & self._who:
            return False
        if self._request is not None:
            for condition in row.conditions:
                self._objection = condition.objection(self._request)
                if self._objection:
                    return False
        return True


def unjudged(lifecycle: Lifecycle) -> dict[enum.Enum, dict[str, enum.Enum]]:
    """Return state -> trigger -> where it leads, if there is one way and no condition on it."""
    found: dict[enum.Enum, dict[str, enum.Enum]] = {state: {} for state in lifecycle.members()}
    ways = Counter((row.trigger, row.source) for row in lifecycle.rows)
    for row in lifecycle.rows:
        if not row.conditions and ways[row.trigger, row.source] == 1:
            found[row.source][row.trigger] = row.dest
    return found


def build_machine(lifecycle: Lifecycle, model: Model) -> Machine:
    """Return the Machine of ``lifecycle`` for ``model``.

    ``auto_transitions`` would let a message "to_END" skip all conditions, and ``queued=True`` loses
    END when an earlier callback raises (``transitions`` issue 224).
    """
    known = unjudged(lifecycle)

    def judged(row: Row) -> list[Callable[[], bool]]:
        return [] if row.trigger in known[row.source] else [partial(model.lets, row)]

    return Machine(
        model=[],
        states=lifecycle.states,
        initial=lifecycle.start,
        transitions=[
            {
                "trigger": row.trigger,
                "source": row.source,
                "dest": row.dest,
                "conditions": judged(row),
            }
            for row in lifecycle.rows
        ],
        auto_transitions=False,
        queued=False,
    )
