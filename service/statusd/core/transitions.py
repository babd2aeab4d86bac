"""Where the unit is, where it is to be (the goal), and how it gets there.

In order: the Machine agrees; the worker is told; the event is recorded; who waited for another
state is answered; what hangs on the new one is done.

Rules of this file: the state changes in `fire` alone; only a command sets the goal; what was
refused has changed nothing; nothing leads out of END.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from statusd.core import events as ev
from statusd.core.answers import Answer
from statusd.core.conditions import Request
from statusd.core.context import DAEMON, SAVE, Context
from statusd.core.goals import Goals
from statusd.core.lifecycle import Who
from statusd.core.machine import Model, Refused
from statusd.core.messages import Command, Scalar
from statusd.core.supervision import Supervision
from statusd.core.unit import Cause
from statusd.core.words import CompiledState, Decision

# What each transition needs: a member of an Enum costs more than all else in a line that names it.
_ANYONE, _DAEMON = Who.ANYONE, Who.DAEMON
_ACCEPTED, _DONE = Answer.ACCEPTED, Answer.DONE
_FOLLOW, _STATE, _UNFOLLOW = ev.Timer.FOLLOW, ev.Timer.STATE, ev.Disarm(ev.Timer.FOLLOW)


class Transitions:
    """The state of a unit, its goal, and the steps between them.

    Args:
        context: shared with the other parts of the status.
        supervision: does what hangs on a state.
        states: what is known of each state, by the state.
        goals: those that can be taken up.
        objection: returns why the worker can't be told the state of that number now, or an empty
            text; asked before a state is entered that stands for a signal.
    """

    def __init__(
        self,
        context: Context,
        supervision: Supervision,
        states: Mapping[enum.Enum, CompiledState],
        goals: Goals,
        objection: Callable[[int], str],
    ) -> None:
        self.last: Cause | None = None
        self.last_change = ""
        """Why the last transition was made, and the id of its event; empty before the first one."""
        self._context = context
        self._supervision = supervision
        self._goals = goals
        self._states = states
        self._numbered = tuple(states.values())
        self._objection = objection
        self._model = Model(context.lifecycle)
        self._is_answered = context.capabilities.is_answered
        self._path: tuple[str, ...] = ()
        self._wanted: enum.Enum | None = None

    def obey(self, command: Command, decision: Decision) -> str:
        """Fire what ``command`` was found to mean, and answer it.

        Returns:
            Why it is refused, and nothing has changed; empty if it isn't.
        """
        context, answers = self._context, self._context.answers
        try:
            self.fire(decision.trigger, Cause(command.source, "", command), _ANYONE, decision)
        except Refused as refused:
            return str(refused)
        if context.here.state is context.lifecycle.end:
            context.say(answers.make(command, Answer.DONE))
        elif decision.dest is context.lifecycle.ending:
            context.say(answers.make(command, Answer.ACCEPTED))
            answers.ending.append(command)
        else:
            context.out.append(ev.Say(answers.make(command, _ACCEPTED)))
            self.follow(command, context.here.final)
        return ""

    # ---- a transition ------------------------------------------------------------------------

    def fire(
        self,
        trigger: str,
        cause: Cause,
        who: Who = _DAEMON,
        decision: Decision | None = None,
        *,
        on_path: bool = False,
    ) -> None:
        """Change the state, and do what hangs on that.

        Args:
            decision: what a command was found to mean; its goal is taken over.
            on_path: it is a step towards the goal.

        Raises:
            Refused: a condition said no, or the worker can't be told; nothing has changed.
        """
        context, command = self._context, cause.command
        old, worker, moment = context.here, context.worker, context.moment
        new = old.ways.get(trigger)
        if new is None:
            request = None if _DAEMON in who else self._request(trigger, cause)
            new = self._states[self._model.fire(trigger, who, request)]
        if new.by_signal:
            self._must_be_tellable(old, new)
        self._model.state = new.state
        context.here = new
        args = (command.args or None) if command is not None else None
        if decision is not None:
            self.set_goal(decision)
            self._keep(args)
        if not on_path and old.final is not new.final:
            self._path = ()  # somebody else decides now; but an acting state may go its way
        moment.state = new.name
        moment.seq += 1
        if worker.alive and not worker.exited:
            self._show(args)
        context.record(old.name, new.name, trigger, cause, {})
        self.last, self.last_change = cause, context.last_event
        if context.answers.following:
            self._supersede(new.final, trigger, cause)
        if new.deadline is not None:
            context.out.append(ev.Arm(_STATE, new.deadline.after_s))
        elif old.deadline is not None:
            context.out.append(ev.Disarm(_STATE))
        if new.leads_on:
            next_one = self._supervision.enter[new.state](cause)
            if next_one is not None:
                self.fire(next_one.trigger, next_one.cause)
        context.out.append(SAVE)

    def _must_be_tellable(self, old: CompiledState, new: CompiledState) -> None:
        """Make sure that a worker that is to be told of ``new`` by a signal can be.

        Raises:
            Refused: it can't; the state is ``old``.
        """
        refusal = self._objection(new.number) if self._context.worker.counts else ""
        if refusal:
            self._model.state = old.state
            raise Refused(refusal)

    def _request(self, trigger: str, cause: Cause) -> Request:
        command, context = cause.command, self._context
        by, args = (command.by, command.args) if command is not None else ("", {})
        return Request(trigger, context.here.name, cause.source, by, args or context.args)

    def _show(self, args: Mapping[str, Scalar] | None) -> None:
        """Tell the worker the present state; ``args``, if there are new ones, before that."""
        context, worker, seq = self._context, self._context.worker, self._context.moment.seq
        worker.shown = seq
        context.out.append(ev.Show(worker.run, context.here.number, seq, args))
        if not self._is_answered:  # it is seen as soon as it was told: that is an input of its own
            worker.seen = min(worker.seen, seq - 1)

    def _supersede(self, final: enum.Enum, trigger: str, cause: Cause) -> None:
        """Answer the commands whose state this transition doesn't lead to, but to ``final``."""
        if trigger == "ready" or self._path or final is self._wanted:
            return
        reason = f"superseded by {trigger}" + (f": {cause.reason}" if cause.reason else "")
        self._context.say(*self._context.answers.close_following(Answer.FAILED, reason))

    def lasted(self) -> None:
        """Fire what the lifecycle has for a state that was not left by its deadline."""
        context, here = self._context, self._context.here
        if here.deadline is None:
            return
        after_s, trigger = here.deadline
        try:
            self.fire(trigger, Cause(DAEMON, f"{here.name} lasted {after_s:g} s"))
        except Refused as refused:
            told = {"state": here.name, "trigger": trigger, "reason": str(refused)}
            context.note("deadline.refused", **told)
            context.out.append(ev.Arm(_STATE, after_s))

    # ---- towards the goal --------------------------------------------------------------------

    def set_goal(self, decision: Decision) -> None:
        """Take over the goal of what a command was found to mean, if that has one."""
        context = self._context
        goal = decision.goal
        if goal is not None and (goal is not context.goal or not context.is_goal_kept):
            context.goal = goal
            context.set_kept_goal(goal)
            context.out.append(SAVE)

    def _keep(self, args: Mapping[str, Scalar] | None) -> None:
        """Keep what goes with the goal, from when the command takes effect."""
        context = self._context
        if args and context.goal is not context.lifecycle.end:
            context.args = dict(args)
            context.out.append(SAVE)

    def take_up_goal(self) -> None:
        """From home, set out towards the goal, if home is not the goal itself."""
        context, answers = self._context, self._context.answers
        command, answers.postponed = answers.postponed, None
        args = command.args if command is not None else None
        self._keep(args)
        self._path = context.table.restore.get(context.goal, ())
        if self._path:
            refusal = self._step(context.goal, command)
            if refusal:
                self._stay(refusal, command)
                command = None
        elif context.goal is not context.lifecycle.home:
            context.note("goal.not_restored", goal=context.goal.name)
        elif args:
            self._show(args)  # nothing to fire, but something to bring
        if command is not None:
            self.follow(command, context.goal)
        self.arrive()

    def _step(self, goal: enum.Enum, command: Command | None = None) -> str:
        """Take the next step of the path to ``goal``; return why the path ends here, if it does."""
        trigger, *rest = self._path
        if command is not None:
            cause = Cause(command.source, "postponed until now", command)
        else:
            cause = Cause(DAEMON, f"goal {goal.name}")
        self._path = tuple(rest)
        try:
            self.fire(trigger, cause, Who.ANYONE | Who.DAEMON, on_path=True)
        except Refused as refused:
            self._path = ()
            self._context.note("goal.not_restored", goal=goal.name, reason=str(refused))
            return str(refused)
        return ""

    def _stay(self, refusal: str, command: Command | None) -> None:
        """The way to the goal is barred: answer ``command``, and go where the worker is anyway."""
        context = self._context
        if command is not None:
            context.say(context.answers.make(command, Answer.FAILED, refusal))
            context.out.append(SAVE)
        own = self._goals.own()
        self._path = context.table.restore.get(own, ()) if own is not context.goal else ()
        if self._path:
            self._step(own)

    def follow(self, command: Command, wanted: enum.Enum) -> None:
        """Answer ``command`` when the worker was seen in the state that it wants."""
        context = self._context
        self._wanted = wanted
        context.answers.following.append(command)
        context.out.append(ev.Arm(_FOLLOW, context.policy.ack_timeout_s))
        self.arrive()

    def acknowledged(self, happened: ev.WorkerAcknowledged) -> None:
        """The worker was seen in a state that it was told: go on, if it is where it was to go."""
        worker, states = self._context.worker, self._numbered
        run, seq, number = happened
        if run != worker.run or not worker.seen <= seq <= worker.shown or number >= len(states):
            return
        worker.seen = seq
        # Also of a state that has been left since: a worker may finish before it sees the next.
        worker.seen_working = states[number].works
        self.arrive()

    def untold(self, happened: ev.WorkerUntold) -> None:
        """The worker could not be told a state: who waits for that waits no longer."""
        if happened.seq == self._context.worker.shown:
            self._path = ()
            self._fail_following(happened.why)

    def arrive(self) -> None:
        """Go on, or answer who waits for it, if the worker is where it was told to go."""
        context, worker = self._context, self._context.worker
        if worker.seen < worker.shown or not context.here.is_steady:
            return
        if self._path and worker.counts:
            refusal = self._step(context.goal)
            if refusal:
                self._fail_following(refusal)
        elif context.answers.following:
            more: dict[str, Any] = {} if self._is_answered else {"observed": False}
            context.say(*context.answers.close_following(_DONE, **more))
            context.out += (_UNFOLLOW, SAVE)

    def _fail_following(self, reason: str) -> None:
        context = self._context
        if context.answers.following:
            context.say(*context.answers.close_following(Answer.FAILED, reason))
            context.out += (_UNFOLLOW, SAVE)

    def not_followed(self) -> None:
        """The worker was not seen where it was told to go, within the time that there is."""
        name, within_s = self._context.here.name, self._context.policy.ack_timeout_s
        self._fail_following(f"the worker was not seen in {name} within {within_s:g} s")
