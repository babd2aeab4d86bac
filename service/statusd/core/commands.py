"""What people ask by words, and the worker by triggers: decided, done, and answered.

| a word | answer |
|---|---|
| said before, by its id | the recorded one again |
| for another boot or run | `refused` |
| come too late | `expired` |
| of no state | `invalid`, with the nearest one |
| that leads to another state | `accepted`, and `done` when the worker was seen there |
| asked for in INIT or BACKOFF | `postponed`, and taken up when that is over |
| that asks for what is | `noop` |
| that isn't allowed here | `refused`, with what is allowed |

Rules of this file: a word is looked up once; a refused command changes nothing; each command gets
one final answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from statusd.core import events as ev
from statusd.core.answers import Answer, Verdict
from statusd.core.capabilities import ARGS_OBJECTION
from statusd.core.context import SAVE, WORKER, Context
from statusd.core.errors import BadMessage
from statusd.core.lifecycle import Part, Who
from statusd.core.machine import Refused
from statusd.core.messages import EVERYBODY, Command, key_of
from statusd.core.suggestions import meant
from statusd.core.supervision import Supervision
from statusd.core.transitions import Transitions
from statusd.core.unit import Cause, Memory
from statusd.core.words import DAEMONS, LIVES, Decision, DecisionKind

UNFORCED = "the program isn't ours to kill: statusd is attached to it"
"""Why `force` is refused by an attached daemon."""

ENDED_BEFORE = "the last daemon has ended by it; to start another one is a request of its own"
"""Why an END isn't obeyed a second time."""

# What each command needs: a member of an Enum costs more than all else in a line that names it.
_ANYONE, _ACCEPTED = Who.ANYONE, Answer.ACCEPTED


class Commands:
    """What is made of commands.

    Args:
        context: shared with the other parts of the status.
        supervision: kills the worker; transitions: changes the state.
    """

    def __init__(
        self, context: Context, supervision: Supervision, transitions: Transitions
    ) -> None:
        self._context = context
        self._supervision = supervision
        self._transitions = transitions
        self._obey: Mapping[DecisionKind, Callable[[Command, Decision], None]] = {
            DecisionKind.FIRE: self._fire,
            DecisionKind.POSTPONE: self._postpone,
            DecisionKind.NOOP: self._change_nothing,
            DecisionKind.REFUSE: self._change_nothing,
            DecisionKind.ASK: self._answer,
            DecisionKind.FORCE: self._force,
        }

    # ---- what a word means -------------------------------------------------------------------

    def look_up(self, word: str) -> Decision | None:
        """Return what ``word`` means now; None if no state knows it."""
        return self._context.here.decisions.get(word.lower())

    def quiet(self, command: Command, decision: Decision) -> Verdict | None:
        """Return the verdict to a plain word if it changes nothing at all, else None."""
        kind, goal = decision.kind, decision.goal
        context = self._context
        is_noop = kind is DecisionKind.NOOP and (
            goal is None or (goal is context.goal and context.is_goal_kept)
        )
        if kind is not DecisionKind.REFUSE and not is_noop:
            return None
        context.moment.reach(command.received)
        return self._unchanged(command, decision)

    def unknown(self, command: Command) -> Verdict:
        """Return the verdict to a command whose word no state knows."""
        context = self._context
        context.moment.reach(command.received)
        near = meant(command.word, context.table.vocabulary)
        more: dict[str, Any] = {"did_you_mean": near} if near else {}
        reason, allowed = f"{command.word} is no word", list(self.allowed)
        return context.answers.make(command, Answer.INVALID, reason, allowed=allowed, **more)

    def invalid(self, error: BadMessage, source: str, received: float) -> Verdict:
        """Return the verdict to a message that is no command."""
        return self._context.answers.invalid(error, source, received)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The words that anyone may say now and that change something."""
        context, here = self._context, self._context.here
        if here.state is context.lifecycle.ending and not context.policy.attached:
            return (*here.allowed, "force")
        return here.allowed

    @property
    def waits_for(self) -> str:
        """The word that begins the work, if the worker stands by at home and is to; else empty."""
        context, here = self._context, self._context.here
        lifecycle = context.lifecycle
        if here.state is not lifecycle.home:
            return ""
        for trigger in here.allowed:
            dest = here.decisions[trigger.lower()].dest
            if dest is not None and lifecycle.parts[lifecycle.final_of(dest)] is Part.WORKS:
                return trigger
        return ""

    # ---- a command ---------------------------------------------------------------------------

    def take(self, happened: ev.Commanded) -> None:
        """Obey a command if it is for us, and answer it."""
        context, command = self._context, happened.command
        identity, answers, target = context.identity, context.answers, command.target
        if target is not EVERYBODY and not target.is_for(
            identity.name, identity.tags, context.here.name
        ):
            return
        again = answers.again(command.key, command.reply_to) if command.id else None
        complaint = self._objection(command)
        if again is not None:
            context.say(again)
        elif complaint is not None:
            context.say(answers.make(command, *complaint))
        elif happened.expired:
            reason = f"it was good until {command.expires}"
            context.say(answers.make(command, Answer.EXPIRED, reason))
        else:
            decision = happened.meant or self._meant(command)
            if decision is None:
                context.say(self.unknown(command))
            elif happened.again and decision.dest is context.lifecycle.ending:
                context.say(answers.make(command, Answer.NOOP, ENDED_BEFORE))
            else:
                self._obey[decision.kind](command, decision)

    def _meant(self, command: Command) -> Decision | None:
        """Return what a command means now; one of the daemon's is none of the lifecycle's."""
        if not command.is_control:
            return self.look_up(command.word)
        known = command.word in DAEMONS
        return Decision(DecisionKind.NOOP, command.word, reason=LIVES) if known else None

    def inherit(self, left: Memory) -> None:
        """Answer what the last daemon has left open, and tell of a goal that can't be taken up."""
        context = self._context
        for command in left.open:
            context.say(context.answers.make(command, Answer.FAILED, "the daemon was restarted"))
        if left.goal not in ("", context.goal.name):
            context.note("goal.dropped", goal=left.goal, new=context.goal.name)

    def launched(self, happened: ev.Launched) -> None:
        """Begin by a command, which is done when the worker is ready."""
        self._context.answers.following.append(happened.command)
        self._context.say(self._context.answers.make(happened.command, _ACCEPTED))

    def deliver(self, happened: ev.Delivered) -> None:
        """Take what was read from the stream of durable commands, in order."""
        for message in happened.messages:
            if isinstance(message, ev.Commanded):
                self.take(message)
            else:
                self.answer_invalid(message)
        self._context.out.append(SAVE)

    def answer_invalid(self, happened: ev.InvalidMessage) -> None:
        """Answer a message with an id that is no command."""
        error, source = happened.error, happened.source
        again = self._context.answers.again(key_of(error.fields.get("id", ""), source))
        self._context.say(again or self.invalid(error, source, happened.received))

    def _objection(self, command: Command) -> tuple[Answer, str] | None:
        if not command.reply_to and command.boot is command.run is None:
            return None
        identity, run = self._context.identity, self._context.worker.run
        inside, boot = f"{identity.namespace}:reply:", identity.boot
        if command.reply_to and not command.reply_to.startswith(inside):
            return Answer.INVALID, f'"reply_to" must begin with {inside}'
        if command.boot is not None and command.boot != boot:
            return Answer.REFUSED, f"it is for boot {command.boot}, and this is boot {boot}"
        if command.run is not None and command.run != run:
            return Answer.REFUSED, f"it is for run {command.run}, and this is run {run}"
        return None

    def _fire(self, command: Command, decision: Decision) -> None:
        refusal = self._lost_args(command, decision) or self._transitions.obey(command, decision)
        if refusal:
            self._context.say(self._refuse(command, refusal))

    def _lost_args(self, command: Command, decision: Decision) -> str:
        """Return why ``args`` would not reach the worker, or an empty text."""
        if not command.args or self._context.capabilities.takes_args or decision.dest is None:
            return ""
        lifecycle, dest = self._context.lifecycle, decision.dest
        needs_none = dest is lifecycle.start or lifecycle.parts[dest] is Part.ENDS
        return "" if needs_none else ARGS_OBJECTION

    def _postpone(self, command: Command, decision: Decision) -> None:
        context, answers = self._context, self._context.answers
        if command.args and not context.capabilities.takes_args:
            context.say(self._refuse(command, ARGS_OBJECTION))
            return
        context.say(*answers.displace(Answer.REFUSED, f"superseded by {command.word}"))
        self._transitions.set_goal(decision)
        answers.postponed = command
        context.say(answers.make(command, Answer.POSTPONED, decision.reason))
        context.out.append(SAVE)

    def _change_nothing(self, command: Command, decision: Decision) -> None:
        self._transitions.set_goal(decision)
        self._context.say(self._unchanged(command, decision))

    def _answer(self, command: Command, decision: Decision) -> None:
        verdict = self._context.answers.make(command, Answer.DONE)
        self._context.out.append(ev.Say(verdict, document=decision.word == "status"))

    def _force(self, command: Command, _: Decision) -> None:
        context, answers = self._context, self._context.answers
        if context.policy.attached:
            context.say(self._refuse(command, UNFORCED))
            return
        context.say(answers.make(command, Answer.ACCEPTED))
        answers.ending.append(command)
        self._supervision.stopping.force(ev.Force.KILL)
        context.out.append(SAVE)

    def _unchanged(self, command: Command, decision: Decision) -> Verdict:
        if decision.kind is DecisionKind.REFUSE:
            return self._refuse(command, decision.reason)
        context = self._context
        more = {} if context.is_observed or not context.worker.alive else {"observed": False}
        reason = f"{decision.reason}, not seen yet" if context.is_unseen else decision.reason
        return context.answers.make(command, Answer.NOOP, reason, **more)

    def _refuse(self, command: Command, reason: str) -> Verdict:
        allowed = list(self.allowed)
        return self._context.answers.make(command, Answer.REFUSED, reason, allowed=allowed)

    # ---- what the worker asks ----------------------------------------------------------------

    def asked(self, happened: ev.WorkerTriggered) -> None:
        """Do what the worker asks for, if it may; note it, if not."""
        context, trigger = self._context, happened.trigger
        if not context.worker.counts or trigger not in context.table.worker_may[context.here.state]:
            self._refuse_worker(trigger)
        elif trigger == "ready":
            self.ready()
        else:
            try:
                self._transitions.fire(trigger, Cause(WORKER, happened.reason), Who.WORKER)
            except Refused as refused:
                self._refuse_worker(trigger, str(refused))

    def ready(self, _: ev.WorkerReady | None = None) -> None:
        """Leave the start for home, and set out for the goal."""
        context, worker = self._context, self._context.worker
        if context.here.state is not context.lifecycle.start or not worker.counts:
            return
        try:
            self._transitions.fire("ready", Cause(WORKER), Who.WORKER)
        except Refused as refused:  # its deadline goes on
            worker.untold = str(refused)
            self._refuse_worker("ready", str(refused))
            return
        context.out.append(ev.Disarm(ev.Timer.READY))
        context.say(*context.answers.close_following(Answer.DONE))
        self._transitions.take_up_goal()

    def _refuse_worker(self, trigger: str, why: str = "") -> None:
        more = {"why": why} if why else {}
        state = self._context.here.name
        self._context.note("worker.trigger_refused", trigger=trigger, state=state, **more)
