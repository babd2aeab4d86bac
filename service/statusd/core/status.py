"""The status of one unit: it is told what happened and decides what follows.

`Status.handle` is the only way in, its effects the only way out: no I/O, no clock, no logging. What
happened goes to one of three: `commands` (what people and the worker ask), `supervision` (what
befalls the worker's process), `transitions` (the state, the goal, and the steps between them).

Rules of this file: what supervision finds necessary is fired here; END is not left.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from statusd.core import events as ev
from statusd.core.capabilities import Capabilities
from statusd.core.commands import Commands
from statusd.core.context import DAEMON, Context
from statusd.core.goals import Goals
from statusd.core.lifecycle import BUILT_IN, Lifecycle, Part, Who
from statusd.core.machine import Refused
from statusd.core.messages import Scalar
from statusd.core.policy import Policy, Restarts
from statusd.core.prompts import Prompts
from statusd.core.supervision import Firing, Supervision
from statusd.core.transitions import Transitions
from statusd.core.unit import Cause, Identity, Memory, WorkerView
from statusd.core.words import compile_states, compile_table


def anything(_: int) -> str:
    """Object to nothing: the worker can be told every state."""
    return ""


class Status:
    """One unit's state machine with everything that hangs on it.

    Args:
        identity: who the unit is.
        lifecycle: its states and transitions.
        capabilities: what its worker can be told.
        policy: how patient it is.
        memory: what the unit's last daemon left behind.
        default_goal: where to go by itself when there is no older goal; empty for as far as
            needed: home, or on to the first work of a program that can't be told to wait there.
        draw: returns a number in [0, 1); chance comes from outside.
        objection: returns why the worker can't be told the state of that number now, or an empty
            text; asked before a state is entered that stands for a signal. The one question that
            the core asks the world: a command that can't be obeyed is to be refused.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        lifecycle: Lifecycle = BUILT_IN,
        capabilities: Capabilities | None = None,
        policy: Policy | None = None,
        memory: Memory | None = None,
        default_goal: str = "",
        draw: Callable[[], float] = lambda: 0.5,
        objection: Callable[[int], str] = anything,
    ) -> None:
        memory, policy, capabilities = (
            memory or Memory(),
            policy or Policy(),
            capabilities or Capabilities(),
        )
        table = compile_table(lifecycle, capabilities)
        states = compile_states(lifecycle, table, capabilities.signals or ())
        goals = Goals(lifecycle, capabilities)
        goal = goals.first(memory.goal, default_goal)
        here = states[lifecycle.start]
        context = Context(identity, lifecycle, capabilities, table, policy, here, goal, memory)
        self.lifecycle = lifecycle
        self.capabilities = capabilities
        self.table = table
        self.revision = 0
        """As long as this stays the same, so does the answer to a word that changes nothing."""
        self._left = memory
        self._context = context
        self._restarts = Restarts(policy, draw)
        self.supervision = Supervision(context, self._restarts)
        self.transitions = Transitions(context, self.supervision, states, goals, objection)
        self.commands = Commands(context, self.supervision, self.transitions)
        parts = self.supervision, self.transitions, self.commands
        self._prompts = Prompts(context, *parts)
        self._takes = self._takers()

    def _takers(self) -> Mapping[type, Callable[[Any], object]]:
        """Return who takes what happens; a look-up instead of twenty questions of what it is."""
        commands, transitions = self.commands, self.transitions
        return {
            ev.Commanded: commands.take,
            ev.Delivered: commands.deliver,
            ev.InvalidMessage: commands.answer_invalid,
            ev.Launched: commands.launched,
            ev.WorkerAcknowledged: transitions.acknowledged,
            ev.WorkerUntold: self._of_this_run(transitions.untold),
            ev.WorkerReady: self._of_this_run(commands.ready),
            ev.WorkerTriggered: self._of_this_run(commands.asked),
            **{kind: self._of_this_run(self._befell) for kind in self.supervision.takes},
            ev.Passed: self._passed,
            ev.Booted: self._booted,
            ev.Signalled: self._prompts.signalled,
            ev.Prompted: self._prompts.obey,
            ev.LeaseLost: self._dismissed,
            ev.Dismissed: self._dismissed,
            ev.Gapped: self._gapped,
            ev.Dropped: self._dropped,
        }

    # ---- what it is now ------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Who the unit is."""
        return self._context.identity

    @property
    def policy(self) -> Policy:
        """How patient it is."""
        return self._context.policy

    @property
    def state(self) -> enum.Enum:
        """The one state that the unit is in."""
        return self._context.here.state

    @property
    def goal(self) -> enum.Enum:
        """The state that it is to be in."""
        return self._context.goal

    @property
    def args(self) -> Mapping[str, Scalar]:
        """What commands told the worker."""
        return self._context.args

    @property
    def worker(self) -> WorkerView:
        """What is known of the worker."""
        return self._context.worker

    @property
    def seq(self) -> int:
        """The number of the last event; 0 before the first one."""
        return self._context.moment.seq

    @property
    def last_event(self) -> str:
        """The id of the last event, also of an older daemon's; empty before the first one."""
        return self._context.last_event

    @property
    def allowed(self) -> tuple[str, ...]:
        """The words that anyone may say now and that change something."""
        return self.commands.allowed

    @property
    def waits_for(self) -> str:
        """The word that begins the work, if it stands at home because nobody has said it."""
        return self.commands.waits_for

    @property
    def ended(self) -> Cause | None:
        """Why it is ending, or has; None before that."""
        return self._context.ended

    @property
    def is_observed(self) -> bool:
        """Tell whether the worker was seen in the present state."""
        return self._context.is_observed

    @property
    def is_unseen(self) -> bool:
        """Tell whether the worker is still to see the present state: it is in a step, say."""
        return self._context.is_unseen

    @property
    def is_waiting(self) -> bool:
        """Tell whether the worker is to stand by, and has taken that in as far as it can say so."""
        worker = self.worker
        return self._context.here.part is Part.WAITS and worker.seen >= worker.shown

    def memory(self) -> Memory:
        """Return what must survive this daemon."""
        context = self._context
        return Memory(
            goal=context.kept_goal.name,
            args=dict(context.args),
            run=context.worker.run,
            last_event=context.last_event,
            open=(*self._left.open, *context.answers.open.values()),
        )

    # ---- what it is to be from now on ----------------------------------------------------------

    def take_over(self, policy: Policy, tags: frozenset[str]) -> None:
        """Be as patient as ``policy`` says from now on, and answer to ``tags``."""
        policy = replace(policy, deadline=self.policy.deadline)
        self._context.policy = self._restarts.policy = policy
        self._be(replace(self.identity, tags=tags))

    def remember(self, count: int) -> None:
        """Recognise so many commands that come a second time from now on."""
        self._context.answers.remembered = count

    def rise_above(self, boot: int) -> None:
        """Take a boot above ``boot``, which an earlier daemon of this name had; before `Booted`."""
        if boot >= self.identity.boot:
            self._be(replace(self.identity, boot=boot + 1))

    def _be(self, identity: Identity) -> None:
        self._context.identity = self._context.answers.identity = identity

    # ---- inputs --------------------------------------------------------------------------------

    def handle(self, happened: ev.Input, now: float) -> list[ev.Effect]:
        """Take in what happened and return what to do about it, in order.

        Args:
            happened: the input.
            now: the time, in seconds on the monotonic clock.
        """
        context = self._context
        out: list[ev.Effect] = []
        context.out = out
        context.moment.now = now
        self.revision += 1
        self._takes[type(happened)](happened)
        return out

    def _of_this_run(self, take: Callable[[Any], object]) -> Callable[[Any], None]:
        """Return what lets ``take`` have what the present worker does, and notes the others'."""

        def judge(happened: ev.WorkerInput) -> None:
            if happened.run == self._context.worker.run:
                take(happened)
            else:
                self._context.note("worker.outdated", run=happened.run)

        return judge

    def _befell(self, happened: ev.WorkerInput) -> None:
        self._fire(self.supervision.takes[type(happened)](happened))

    def _fire(self, firing: Firing | None) -> None:
        if firing is None:
            return
        trigger, cause, otherwise = firing
        who = Who.ANYONE | Who.DAEMON if otherwise else Who.DAEMON
        try:
            self.transitions.fire(trigger, cause, who)
        except Refused as refused:
            if not otherwise:
                raise
            self._context.remark(otherwise, f"{cause.reason}; {refused}")

    def _passed(self, happened: ev.Passed) -> None:
        if happened.timer is ev.Timer.FOLLOW:
            self.transitions.not_followed()
        elif happened.timer is ev.Timer.STATE:
            self.transitions.lasted()
        elif happened.timer is ev.Timer.DEADLINE:
            self._prompts.due()
        else:
            self._fire(self.supervision.passed[happened.timer]())

    def _booted(self, happened: ev.Booted) -> None:
        left, self._left = self._left, Memory()
        self.commands.inherit(left)
        if happened.survivor:
            self.supervision.boot(happened.survivor)
        self._prompts.booted(happened.wall)
        if not happened.survivor and self.state is self.lifecycle.start:
            self.supervision.boot(0)

    def _dismissed(self, happened: ev.LeaseLost | ev.Dismissed) -> None:
        if self.state not in (self.lifecycle.ending, self.lifecycle.end):
            self.transitions.fire("end", Cause(DAEMON, happened.reason))

    def _gapped(self, happened: ev.Gapped) -> None:
        if self.state is not self.lifecycle.end:
            told = ("start", "end", "recovered", "lost")
            gap = {key: getattr(happened, key) for key in told}
            self._context.remark("gap", happened.reason, gap=gap)

    def _dropped(self, happened: ev.Dropped) -> None:
        if self.state is not self.lifecycle.end:
            self._context.remark("drop", happened.reason)
