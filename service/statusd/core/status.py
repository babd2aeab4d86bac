"""The status of one unit: it is told what happened and decides what follows.

`Status.handle` is the only way in, its effects the only way out: no I/O, no clock, no logging.
Rules of this file: the state changes in `_fire` alone; only a command sets the goal; a refused
command changes nothing; nothing leads out of END; two runs never overlap.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_never

from statusd.core import events as ev
from statusd.core.answers import Answers, Moment
from statusd.core.errors import BadMessage
from statusd.core.lifecycle import BUILT_IN, Lifecycle, Part, Request, Who
from statusd.core.messages import EVERYBODY, Answer, Command, Verdict, key_of, nearest
from statusd.core.policy import Policy, Restart, Restarts
from statusd.core.telling import ARGS_OBJECTION, Telling
from statusd.core.unit import Cause, Death, Fate, Identity, Memory, Stop, WorkerView
from statusd.core.words import Decision, Here, Kind, Model, Refused, Table, compile_table, places

EXIT_OK = 0
EXIT_FAILED = 75
"""The restarts are used up and ``on_failed = "exit"`` (EX_TEMPFAIL of sysexits.h)."""

DUMP_S = 0.3
"""So long a worker that hangs has to print its stack before it gets SIGTERM."""
_SIGNALS = {ev.Timer.STOP: "SIGTERM", ev.Timer.KILL: "SIGKILL"}

UNFORCED = "the program isn't ours to kill: statusd is attached to it"
"""Why `force` is refused by an attached daemon."""

ENDED_BEFORE = "the last daemon has ended by it; to start another one is a request of its own"
"""Why an END isn't obeyed a second time."""

DAEMON = "daemon"
WORKER = "worker"

# What each transition needs: a member of an Enum costs more than all else in a line that names it.
_FIRE, _ACCEPTED, _DONE = Kind.FIRE, Answer.ACCEPTED, Answer.DONE
_ANYONE, _DAEMON = Who.ANYONE, Who.DAEMON
_SAVE, _UNFOLLOW = ev.Save(), ev.Disarm(ev.Timer.FOLLOW)
_FOLLOW, _STATE = ev.Timer.FOLLOW, ev.Timer.STATE


class Status:
    """One unit's state machine with everything that hangs on it.

    Args:
        identity: who the unit is.
        lifecycle: its states and transitions.
        telling: what its worker can be told.
        table: of both, if it is compiled already.
        policy: how patient it is.
        memory: what the unit's last daemon left behind.
        default_goal: where to go by itself when there is no older goal; empty for as far as
            needed: home, or on to the first work of a program that can't be told to wait there.
        draw: returns a number in [0, 1); chance comes from outside.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        lifecycle: Lifecycle = BUILT_IN,
        telling: Telling | None = None,
        table: Table | None = None,
        policy: Policy | None = None,
        memory: Memory | None = None,
        default_goal: str = "",
        draw: Callable[[], float] = lambda: 0.5,
    ) -> None:
        memory = memory or Memory()
        self.identity = identity
        self.lifecycle = lifecycle
        self.policy = policy or Policy()
        self.telling = telling or Telling()
        self.table = table or compile_table(lifecycle, self.telling)
        self.seq = 0
        self.revision = 0
        """As long as this stays the same, so does the answer to a word that changes nothing."""
        self.last_event = memory.last_event
        self.last: Cause | None = None
        self.last_change = ""
        self.death: Death | None = None
        self.stop: Stop | None = None
        self.args = dict(memory.args)
        self.worker = WorkerView(run=memory.run)
        self._runs_before = memory.run
        self._left = memory
        self._model = Model(lifecycle)
        self._places = places(lifecycle, self.table)
        self._numbered = tuple(self._places.values())
        self._here = self._places[lifecycle.start]
        self._restarts = Restarts(self.policy, draw)
        self._is_answered = self.telling.is_answered
        self._backoff_over = False
        self._path: tuple[str, ...] = ()
        self._wanted: enum.Enum | None = None
        self._out: list[ev.Effect] = []
        self.show_now: Callable[[ev.Show], str | None] | None = None
        """Gets what is to be shown to the worker the moment it is decided, before what there is to
        tell of it is put together, and returns why the worker couldn't be told, if so; without it,
        or where it must wait, `Show` is an effect."""
        self.objection: Callable[[int], str] | None = None
        """Returns why the worker can't be told the state of that number now, or an empty text;
        asked before a state is entered that stands for a signal."""
        self._by_signal = frozenset(
            state.name
            for state in lifecycle.members()
            if state.name in (self.telling.signals or ())
            and lifecycle.parts[state] is not Part.ENDS  # leaving is asked for all the same
        )
        self._shows_now = False
        self._moment = Moment(self.state.name)
        self._answers = Answers(identity, self._moment)
        self.goal = self._first_goal(memory.goal, default_goal)

    def _first_goal(self, stored: str, default: str) -> enum.Enum:
        members = self.lifecycle.states.__members__
        goal = members.get(stored)
        # Starting the daemon is itself a request: END of the last time is over.
        if goal is not None and self._can_be_taken_up(goal):
            return goal
        return members[default] if default else self._own_goal()

    def possible_goals(self) -> list[enum.Enum]:
        """Return the states that can be taken up after a start, in the lifecycle's order."""
        return [state for state in self.lifecycle.members() if self._can_be_taken_up(state)]

    def _can_be_taken_up(self, goal: enum.Enum) -> bool:
        home, start = self.lifecycle.home, self.lifecycle.start
        if goal is home:
            return not self.telling.objection(self.lifecycle, start, home)
        return goal in self.table.restore

    def _own_goal(self) -> enum.Enum:
        """Return home, or the first work of a program that can't be told to wait there."""
        home, parts = self.lifecycle.home, self.lifecycle.parts
        if self._can_be_taken_up(home):
            return home
        return next((goal for goal in self.table.restore if parts[goal] is Part.WORKS), home)

    @property
    def state(self) -> enum.Enum:
        """The one state that the unit is in."""
        return self._model.state

    @property
    def allowed(self) -> tuple[str, ...]:
        """The words that anyone may say now and that change something."""
        here = self._here
        if here.state is self.lifecycle.ending and not self.policy.attached:
            return (*here.allowed, "force")
        return here.allowed

    @property
    def is_observed(self) -> bool:
        """Tell whether the worker was seen in the present state."""
        worker = self.worker
        return worker.alive and worker.seen >= worker.shown and self.telling.is_answered

    @property
    def is_waiting(self) -> bool:
        """Tell whether the worker is to stand by, and has taken that in as far as it can say so."""
        part = self.lifecycle.parts[self.state]
        seen = self.worker.seen >= self.worker.shown
        return part is Part.WAITS and seen

    def take_over(self, policy: Policy, tags: frozenset[str]) -> None:
        """Be as patient as ``policy`` says from now on, and answer to ``tags``."""
        self.policy = self._restarts.policy = policy
        self.identity = self._answers.identity = replace(self.identity, tags=tags)

    def rise_above(self, boot: int) -> None:
        """Take a boot above ``boot``, which an earlier daemon of this name had; before `Booted`."""
        if boot >= self.identity.boot:
            self.identity = self._answers.identity = replace(self.identity, boot=boot + 1)

    @property
    def restarts(self) -> int:
        """How often this daemon has started the worker again."""
        return max(0, self.worker.run - self._runs_before - 1)

    def memory(self) -> Memory:
        """Return what must survive this daemon."""
        return Memory(
            goal=self.goal.name,
            args=dict(self.args),
            run=self.worker.run,
            last_event=self.last_event,
            open=(*self._left.open, *self._answers.open.values()),
        )

    # ---- inputs ------------------------------------------------------------------------------

    def handle(self, happened: ev.Input, now: float) -> list[ev.Effect]:
        """Take in what happened and return what to do about it, in order.

        Args:
            happened: the input.
            now: the time, in seconds on the monotonic clock.
        """
        out: list[ev.Effect] = []
        self._out = out
        self.revision += 1
        self._moment.now = now
        # What durable commands lead to waits for the disk.
        self._shows_now = self.show_now is not None and not isinstance(happened, ev.Delivered)
        match happened:
            case ev.Commanded():
                self._take_command(happened.command, happened.expired)
            case ev.WorkerAcknowledged():
                self._acknowledged(happened.run, happened.seq, happened.number)
            case ev.Misspoken():
                self._misspoken(happened)
            case ev.Delivered():
                self._delivered(happened)
            case ev.Gapped():
                self._gapped(happened)
            case ev.Dropped():
                if self.state is not self.lifecycle.end:
                    self._remark("drop", happened.reason)
            case ev.Signalled():
                self._signalled(happened.name)
            case ev.Ousted():
                self._ousted(happened.reason)
            case ev.Passed():
                self._passed(happened.timer)
            case ev.Booted():
                self._booted(happened.survivor)
            case _:
                self._take_worker(happened)
        return out

    def _take_worker(self, happened: ev.WorkerInput) -> None:
        if happened.run != self.worker.run:
            self._out.append(ev.Note("worker.outdated", {"run": happened.run}))
            return
        match happened:
            case ev.WorkerReady():
                self._ready()
            case ev.WorkerTriggered():
                self._worker_asks(happened.trigger, happened.reason)
            case ev.WorkerExited():
                self._worker_exited(happened)
            case ev.WorkerUnreached():
                self._unreached(happened)
            case ev.WorkerGone():
                self._worker_gone()
            case ev.WorkerNotStarted():
                self._not_started(happened.reason)
            case ev.WorkerHung():
                self._hung(happened.silent_s)
            case _:
                assert_never(happened)

    def _booted(self, survivor: int) -> None:
        for command in self._left.open:
            self._say(self._answers.make(command, Answer.FAILED, "the daemon was restarted"))
        if self._left.goal not in ("", self.goal.name):
            dropped = {"goal": self._left.goal, "new": self.goal.name}
            self._out.append(ev.Note("goal.dropped", dropped))
        self._left = Memory()
        if survivor:
            self._outlived(survivor)
        elif self.state is self.lifecycle.start:
            self._spawn()

    def _outlived(self, run: int) -> None:
        """Something of ``run`` has outlived its daemon: it is ended before another one begins."""
        self._runs_before = run
        self.worker = WorkerView(run, alive=True, doomed=True, exited=True)
        self._force(ev.Force.TERMINATE)
        self._next_stage("SIGTERM sent", ev.Timer.KILL, self.policy.kill_timeout_s)
        self._out.append(ev.Save())

    def _signalled(self, name: str) -> None:
        source = f"signal:{name}"
        if self.state is self.lifecycle.ending:
            self._out.append(ev.Note("worker.forced", {"source": source}))
            self._force(ev.Force.KILL)
        elif self.state is not self.lifecycle.end:
            self._fire("end", Cause(source))

    def _ousted(self, reason: str) -> None:
        if self.state not in (self.lifecycle.ending, self.lifecycle.end):
            self._fire("end", Cause(DAEMON, reason))

    # ---- commands ----------------------------------------------------------------------------

    def _take_command(self, command: Command, expired: bool, was_obeyed: bool = False) -> None:
        identity, answers, target = self.identity, self._answers, command.target
        if target is not EVERYBODY and not target.is_for(
            identity.name, identity.tags, self._here.name
        ):
            return
        again = answers.again(command.key, command.reply_to) if command.id else None
        complaint = self._objection(command)
        if again is not None:
            self._say(again)
        elif complaint is not None:
            self._say(answers.make(command, *complaint))
        elif expired:
            reason = f"it was good until {command.expires}"
            self._say(answers.make(command, Answer.EXPIRED, reason))
        elif was_obeyed and self._leads_out(command):
            self._say(answers.make(command, Answer.NOOP, ENDED_BEFORE))
        else:
            self._obey(command, self._decide(command.word))

    def _delivered(self, happened: ev.Delivered) -> None:
        for message in happened.messages:
            if isinstance(message, ev.Commanded):
                self._take_command(message.command, message.expired, message.again)
            else:
                self._misspoken(message)
        self._out.append(ev.Save())

    def _gapped(self, happened: ev.Gapped) -> None:
        if self.state is self.lifecycle.end:
            return
        gap = {
            "start": happened.start,
            "end": happened.end,
            "recovered": happened.recovered,
            "lost": happened.lost,
        }
        self._remark("gap", happened.reason, gap=gap)

    def _misspoken(self, happened: ev.Misspoken) -> None:
        again = self._answers.again(key_of(happened.error.fields.get("id", ""), happened.source))
        self._say(again or self.invalid(happened.error, happened.source, happened.received))

    def _leads_out(self, command: Command) -> bool:
        decision = self._decide(command.word)
        return decision is not None and decision.dest is self.lifecycle.ending

    def _decide(self, word: str) -> Decision | None:
        return self._here.decisions.get(word.lower())

    def _objection(self, command: Command) -> tuple[Answer, str] | None:
        if not command.reply_to and command.boot is command.run is None:
            return None
        inside, boot, run = f"{self.identity.namespace}:reply:", self.identity.boot, command.run
        if command.reply_to and not command.reply_to.startswith(inside):
            return Answer.INVALID, f'"reply_to" must begin with {inside}'
        if command.boot is not None and command.boot != boot:
            return Answer.REFUSED, f"it is for boot {command.boot}, and this is boot {boot}"
        if run is not None and run != self.worker.run:
            return Answer.REFUSED, f"it is for run {run}, and this is run {self.worker.run}"
        return None

    def _obey(self, command: Command, decision: Decision | None) -> None:
        if decision is None:
            self._say(self.unknown(command))
            return
        if decision.kind is _FIRE:
            self._fire_command(command, decision)
        else:
            self._obey_rarer(command, decision)

    def _obey_rarer(self, command: Command, decision: Decision) -> None:
        match decision.kind:
            case Kind.FIRE:
                self._fire_command(command, decision)
            case Kind.POSTPONE:
                self._postpone(command, decision)
            case Kind.NOOP | Kind.REFUSE:
                self._set_goal(decision)
                self._say(self._unchanged(command, decision))
            case Kind.ASK:
                verdict = self._answers.make(command, Answer.DONE)
                self._out.append(ev.Say(verdict, document=decision.word == "status"))
            case Kind.FORCE if self.policy.attached:
                self._say(self._refuse(command, UNFORCED))
            case Kind.FORCE:
                self._say(self._answers.make(command, Answer.ACCEPTED))
                self._answers.ending.append(command)
                self._force(ev.Force.KILL)
                self._out.append(ev.Save())
            case _:
                assert_never(decision.kind)

    def _fire_command(self, command: Command, decision: Decision) -> None:
        dest = decision.dest
        assert dest is not None
        refusal = self._try(decision, command)
        if refusal:
            self._say(self._refuse(command, refusal))
        elif self._here.state is self.lifecycle.end:
            self._say(self._answers.make(command, Answer.DONE))
        elif dest is self.lifecycle.ending:
            self._say(self._answers.make(command, Answer.ACCEPTED))
            self._answers.ending.append(command)
        else:
            self._out.append(ev.Say(self._answers.make(command, _ACCEPTED)))
            self._follow(command, self._here.final)

    def _try(self, decision: Decision, command: Command) -> str:
        """Fire what ``command`` asks for; return why a guard refused it, or an empty text."""
        if command.args and not self.telling.takes_args:
            dest, start = decision.dest, self.lifecycle.start
            if dest is not None and dest is not start and self._places[dest].part is not Part.ENDS:
                return ARGS_OBJECTION  # they wouldn't reach the worker
        cause = Cause(command.source, "", command)
        try:
            self._fire(decision.trigger, cause, _ANYONE, decision)
        except Refused as refused:
            return str(refused)
        return ""

    def _follow(self, command: Command, wanted: enum.Enum) -> None:
        """Answer ``command`` when the worker was seen in the state that it wants."""
        self._wanted = wanted
        self._answers.following.append(command)
        self._out.append(ev.Arm(_FOLLOW, self.policy.ack_timeout_s))
        self._arrive()

    def _postpone(self, command: Command, decision: Decision) -> None:
        if command.args and not self.telling.takes_args:
            self._say(self._refuse(command, ARGS_OBJECTION))
            return
        self._say(*self._answers.displace(Answer.REFUSED, f"superseded by {command.word}"))
        self._set_goal(decision)
        self._answers.postponed = command
        self._say(self._answers.make(command, Answer.POSTPONED, decision.reason))
        self._out.append(ev.Save())

    def _set_goal(self, decision: Decision) -> None:
        if decision.goal is not None and decision.goal is not self.goal:
            self.goal = decision.goal
            self._out.append(ev.Save())

    def _keep_args(self, command: Command) -> None:
        """Keep what goes with the goal, from when the command takes effect."""
        if command.args and self.goal is not self.lifecycle.end:
            self.args = dict(command.args)
            self._out.append(ev.Save())

    def obeys(self, word: str) -> bool:
        """Tell whether ``word`` leads to another state now."""
        decision = self._decide(word)
        return decision is not None and decision.kind is _FIRE

    def quiet(self, command: Command) -> Verdict | None:
        """Return the verdict to a plain word if it changes nothing at all, else None."""
        self._moment.reach(command.received)
        decision = self._decide(command.word)
        if not command.is_plain or decision is None:
            return None
        if decision.kind is Kind.REFUSE or (
            decision.kind is Kind.NOOP and decision.goal in (None, self.goal)
        ):
            return self._unchanged(command, decision)
        return None

    def _unchanged(self, command: Command, decision: Decision) -> Verdict:
        if decision.kind is Kind.REFUSE:
            return self._refuse(command, decision.reason)
        more = {} if self.is_observed or not self.worker.alive else {"observed": False}
        return self._answers.make(command, Answer.NOOP, decision.reason, **more)

    def _refuse(self, command: Command, reason: str) -> Verdict:
        return self._answers.make(command, Answer.REFUSED, reason, allowed=list(self.allowed))

    def invalid(self, error: BadMessage, source: str, received: float) -> Verdict:
        """Return the verdict to a message that is no command."""
        return self._answers.invalid(error, source, received)

    def is_unknown(self, command: Command) -> bool:
        """Tell whether ``command`` is a plain word that no state knows."""
        return command.is_plain and self._decide(command.word) is None

    def unknown(self, command: Command) -> Verdict:
        """Return the verdict to a command whose word no state knows."""
        self._moment.reach(command.received)
        near = nearest(command.word, self.table.vocabulary)
        more: dict[str, Any] = {"did_you_mean": near} if near else {}
        reason = f"{command.word} is no word"
        allowed = list(self.allowed)
        return self._answers.make(command, Answer.INVALID, reason, allowed=allowed, **more)

    # ---- the worker --------------------------------------------------------------------------

    def _ready(self) -> None:
        if self.state is not self.lifecycle.start or not self.worker.counts:
            return
        try:
            self._fire("ready", Cause(WORKER), Who.WORKER)
        except Refused as refused:  # its deadline goes on
            self.worker.untold = str(refused)
            self._refuse_worker("ready", str(refused))
            return
        self._out.append(ev.Disarm(ev.Timer.READY))
        self._say(*self._answers.close_following(Answer.DONE))
        self._take_up_goal()

    def _take_up_goal(self) -> None:
        """From home, set out towards the goal, if home is not the goal itself."""
        command, self._answers.postponed = self._answers.postponed, None
        if command is not None:
            self._keep_args(command)
        self._path = self.table.restore.get(self.goal, ())
        if self._path:
            refusal = self._step(self.goal, command)
            if refusal:
                self._stay(refusal, command)
                command = None
        elif self.goal is not self.lifecycle.home:
            self._out.append(ev.Note("goal.not_restored", {"goal": self.goal.name}))
        elif command is not None and command.args:
            self._show(command)  # nothing to fire, but something to bring
        if command is not None:
            self._follow(command, self.goal)
        self._arrive()

    def _step(self, goal: enum.Enum, command: Command | None = None) -> str:
        """Take the next step of the path to ``goal``; return why the path ends here, if it does."""
        trigger, *rest = self._path
        if command is not None:
            cause = Cause(command.source, "postponed until now", command)
        else:
            cause = Cause(DAEMON, f"goal {goal.name}")
        self._path = tuple(rest)
        try:
            self._fire(trigger, cause, Who.ANYONE | Who.DAEMON, on_path=True)
        except Refused as refused:
            self._path = ()
            told = {"goal": goal.name, "reason": str(refused)}
            self._out.append(ev.Note("goal.not_restored", told))
            return str(refused)
        return ""

    def _stay(self, refusal: str, command: Command | None) -> None:
        """The way to the goal is barred: answer ``command``, and go where the worker is anyway."""
        if command is not None:
            self._say(self._answers.make(command, Answer.FAILED, refusal))
            self._out.append(ev.Save())
        own = self._own_goal()
        self._path = self.table.restore.get(own, ()) if own is not self.goal else ()
        if self._path:
            self._step(own)

    def _acknowledged(self, run: int, seq: int, number: int) -> None:
        worker, states = self.worker, self._numbered
        if run != worker.run or not worker.seen <= seq <= worker.shown or number >= len(states):
            return
        worker.seen = seq
        # Also of a state that has been left since: a worker may finish before it sees the next.
        worker.seen_working = states[number].works
        self._arrive()

    def _arrive(self) -> None:
        """Go on, or answer who waits for it, if the worker is where it was told to go."""
        if self.worker.seen < self.worker.shown or not self._here.is_steady:
            if self.worker.untold:
                self._path = ()
                self._fail_following(self.worker.untold)
            return
        if self._path and self.worker.counts:
            refusal = self._step(self.goal)
            if refusal:
                self._fail_following(refusal)
            else:
                self._arrive()
        elif self._answers.following:
            more: dict[str, Any] = {} if self.telling.is_answered else {"observed": False}
            self._say(*self._answers.close_following(_DONE, **more))
            self._out += (_UNFOLLOW, _SAVE)

    def _fail_following(self, reason: str) -> None:
        if self._answers.following:
            self._say(*self._answers.close_following(Answer.FAILED, reason))
            self._out += (_UNFOLLOW, _SAVE)

    def _worker_asks(self, trigger: str, reason: str) -> None:
        if not self.worker.counts or trigger not in self.table.worker_may[self.state]:
            self._refuse_worker(trigger)
        elif trigger == "ready":
            self._ready()
        else:
            try:
                self._fire(trigger, Cause(WORKER, reason), Who.WORKER)
            except Refused as refused:
                self._refuse_worker(trigger, str(refused))

    def _refuse_worker(self, trigger: str, why: str = "") -> None:
        asked = {"trigger": trigger, "state": self.state.name}
        told = asked | {"why": why} if why else asked
        self._out.append(ev.Note("worker.trigger_refused", told))

    def _worker_exited(self, happened: ev.WorkerExited) -> None:
        worker, reason = self.worker, happened.reason
        if worker.exited:
            return
        worker.exited, worker.end = True, reason
        if worker.doomed or self.state in (self.lifecycle.ending, self.lifecycle.end):
            return
        # It may have left before it could see a pause: what counts is the state it was seen in. A
        # function that returns says so itself, also if it never looked at its state.
        is_work = self.lifecycle.parts[self.goal] is Part.WORKS
        has_worked = worker.seen_working or (happened.returned and is_work)
        finished = happened.code == 0 and (has_worked or self.policy.attached)
        if finished and self.policy.restart is not Restart.ALWAYS:
            said = reason if self.policy.attached else "the worker finished"
            self._fire("end", Cause(WORKER, said))
        else:
            fate = Fate.KILLED if happened.code < 0 else Fate.EXITED
            self._die(fate, reason, happened.stderr)

    def _hung(self, silent_s: float) -> None:
        """The worker shows no progress, or does so again if ``silent_s`` is within the limit."""
        worker, reason = self.worker, f"hung: no progress for {silent_s:.0f} s"
        if not worker.counts or self.state is self.lifecycle.ending:
            return
        if not self.policy.attached:
            self._die(Fate.HUNG, reason)
            return
        is_late = silent_s > self.policy.hang_timeout_s
        if is_late is not bool(worker.hung):
            worker.hung = reason if is_late else ""
            self._remark("hang" if is_late else "recover", reason if is_late else "it goes on")

    def _remark(self, what: str, reason: str, **more: Any) -> None:
        """Record an event that leads nowhere: something is worth telling, and nothing is done."""
        self.seq += 1
        self._moment.seq = self.seq
        cause = Cause(DAEMON, reason)
        state = self._here.name
        self._record(state, state, what, cause, more, is_remark=True)
        self._out.append(ev.Save())

    def _not_started(self, reason: str) -> None:
        self.worker.alive, self.worker.exited, self.worker.end = False, True, reason
        if self.state is self.lifecycle.start:
            self._die(Fate.NOT_STARTED, reason)
        else:
            self._worker_gone()

    def _die(self, fate: Fate, reason: str, stderr: tuple[str, ...] = ()) -> None:
        """The worker is dead or will be killed: try again later, or give up."""
        self.death = Death(self.worker.run, fate, reason, stderr)
        wait_s = self._restarts.after_death(self._moment.now)
        self._say(*self._answers.close_following(Answer.FAILED, f"the worker died: {reason}"))
        if wait_s is None:
            self._say(*self._answers.displace(Answer.FAILED, f"the worker died: {reason}"))
            self._fire("fail", Cause(DAEMON, reason, stderr=stderr))
        else:
            self._backoff_over = False
            next_try = f"{reason}; next try in {wait_s:.1f} s"
            self._fire("crash", Cause(DAEMON, next_try, stderr=stderr))
            self._out.append(ev.Arm(ev.Timer.BACKOFF, wait_s))

    def _unreached(self, happened: ev.WorkerUnreached) -> None:
        """Whoever can't be signalled must end by itself: it is waited for, and said so."""
        worker, is_news = self.worker, not self.worker.awaited
        if not worker.alive:
            return
        worker.awaited = f"waiting for {happened.whom} to end: {happened.why}"
        self.stop = replace(self.stop or Stop(""), stage=happened.why)
        if is_news:
            self._remark("unreached", worker.awaited)
        if happened.force is ev.Force.KILL:
            worker.is_unkillable = True
            self._say(*self._answers.close_ending(Answer.FAILED, worker.awaited))
            self._out.append(ev.Save())

    def _worker_gone(self) -> None:
        self.worker.alive = False
        if self.stop is not None:
            self.stop = None
            self._out += [ev.Disarm(ev.Timer.STOP), ev.Disarm(ev.Timer.KILL)]
        if self.state is self.lifecycle.ending:
            self._fire("exited", Cause(DAEMON, self.worker.end))
        elif self.state is self.lifecycle.start:
            self._spawn()
        elif self.state is self.lifecycle.backoff and self._backoff_over:
            self._fire("retry", Cause(DAEMON))
        elif self.state is self.lifecycle.failed and self.policy.attached:
            self._fire("end", Cause(DAEMON, self.worker.end))  # nobody could start it again
        elif self.state is self.lifecycle.failed:
            self._leave_if_failed()

    def _spawn(self) -> None:
        self.worker = WorkerView(self.worker.run + 1, alive=True, shown=self.seq, seen=self.seq)
        self._shows_now = False  # what follows is for a worker that isn't there yet
        number, args = self._here.number, dict(self.args)
        self._out.append(ev.StartWorker(self.worker.run, number, self.seq, args))
        if not self.policy.attached:  # who is there already needs no deadline to get there
            self._out.append(ev.Arm(ev.Timer.READY, self.policy.ready_timeout_s))
        self._out.append(ev.Save())

    def _leave_if_failed(self) -> None:
        if self.policy.exit_on_failed and not self.worker.alive:
            self._out.append(ev.Leave(EXIT_FAILED))

    # ---- deadlines ---------------------------------------------------------------------------

    def _passed(self, timer: ev.Timer) -> None:
        policy, state = self.policy, self.state
        if timer is ev.Timer.READY and state is self.lifecycle.start and self.worker.counts:
            why = f": {self.worker.untold}" if self.worker.untold else ""
            self._die(Fate.NOT_READY, f"not ready within {policy.ready_timeout_s:g} s{why}")
        elif timer is ev.Timer.FOLLOW:
            reason = f"the worker was not seen in {state.name} within {policy.ack_timeout_s:g} s"
            self._say(*self._answers.close_following(Answer.FAILED, reason))
            self._out.append(ev.Save())
        elif timer is ev.Timer.BACKOFF and state is self.lifecycle.backoff:
            self._backoff_over = True
            if not self.worker.alive:
                self._fire("retry", Cause(DAEMON))
        elif timer is ev.Timer.STOP and policy.attached:
            reason = f"the program has not left within {policy.stop_timeout_s:g} s"
            self._say(*self._answers.close_ending(Answer.FAILED, reason))
            self._out.append(ev.Save())
        elif timer is ev.Timer.STOP and self._is_stopping:
            self._force(ev.Force.TERMINATE)
            self._next_stage("SIGTERM sent", ev.Timer.KILL, policy.kill_timeout_s)
        elif timer is ev.Timer.KILL and self._is_stopping:
            self._force(ev.Force.KILL)
            self.stop = Stop("SIGKILL sent")
        elif timer is ev.Timer.STATE and state in self.lifecycle.deadlines:
            self._state_lasted(*self.lifecycle.deadlines[state])

    def _state_lasted(self, after_s: float, trigger: str) -> None:
        name = self.state.name
        try:
            self._fire(trigger, Cause(DAEMON, f"{name} lasted {after_s:g} s"))
        except Refused as refused:
            told = {"state": name, "trigger": trigger, "reason": str(refused)}
            self._out += (ev.Note("deadline.refused", told), ev.Arm(_STATE, after_s))

    # ---- transitions -------------------------------------------------------------------------

    def _fire(
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
            Refused: a guard said no, or the worker can't be told; nothing has changed.
        """
        old, command, worker = self._here, cause.command, self.worker
        new = old.ways.get(trigger)
        if new is None:
            request = None if _DAEMON in who else self._request(trigger, cause)
            new = self._places[self._model.fire(trigger, who, request)]
        if self._by_signal and new.name in self._by_signal:
            self._must_be_tellable(old, new)
        self._model.state = new.state
        self._here = new
        if decision is not None and command is not None:
            self._set_goal(decision)
            if command.args:
                self._keep_args(command)
        if not on_path and old.final is not new.final:
            self._path = ()  # somebody else decides now; but an acting state may go its way
        self.seq += 1
        self._moment.state, self._moment.seq = new.name, self.seq
        if worker.alive and not worker.exited:
            self._show(command)
        self._record(old.name, new.name, trigger, cause, {})
        self.last, self.last_change = cause, self.last_event
        if self._answers.following:
            self._supersede(new.final, trigger, cause)
        if new.deadline is not None:
            self._out.append(ev.Arm(_STATE, new.deadline.after_s))
        elif old.deadline is not None:
            self._out.append(ev.Disarm(_STATE))
        if new.leads_on:
            self._enter(new.state)
        self._out.append(_SAVE)

    def _must_be_tellable(self, old: Here, new: Here) -> None:
        """Make sure that a worker that is to be told of ``new`` by a signal can be.

        Raises:
            Refused: it can't; the state is ``old``.
        """
        if self.objection is None or not self.worker.counts:
            return
        refusal = self.objection(new.number)
        if refusal:
            self._model.state = old.state
            raise Refused(refusal)

    def _request(self, trigger: str, cause: Cause) -> Request:
        command = cause.command
        by, args = (command.by, command.args) if command is not None else ("", {})
        return Request(trigger, self.state.name, cause.source, by, args or self.args)

    def _supersede(self, final: enum.Enum, trigger: str, cause: Cause) -> None:
        """Answer the commands whose state this transition doesn't lead to, but to ``final``."""
        if trigger == "ready" or self._path or final is self._wanted:
            return
        reason = f"superseded by {trigger}" + (f": {cause.reason}" if cause.reason else "")
        self._say(*self._answers.close_following(Answer.FAILED, reason))

    def _show(self, command: Command | None) -> None:
        args = command.args if command is not None and command.args else None
        worker, untold = self.worker, None
        worker.shown = self.seq
        show = ev.Show(worker.run, self._here.number, self.seq, args)
        if self._shows_now and self.show_now is not None:
            untold = self.show_now(show)
        else:
            self._out.append(show)
        if not self._is_answered:
            worker.untold = untold or ""
            if not untold:
                worker.seen = self.seq
                worker.seen_working = self._here.works

    def _record(
        self,
        old: str,
        new: str,
        trigger: str,
        cause: Cause,
        more: dict[str, Any],
        *,
        is_remark: bool = False,
    ) -> None:
        command, identity = cause.command, self.identity
        previous, self.last_event = self.last_event, f"{identity.boot}-{self.seq}"
        if command is not None and (command.id or command.by or command.args):
            said = {"by": command.by, "id": command.id, "args": dict(command.args)}
            more.update((key, value) for key, value in said.items() if value)
        if cause.reason:
            more["reason"] = cause.reason
        if cause.stderr:
            more["stderr"] = list(cause.stderr)
        if self.seq == 1 and previous:
            more["previous"] = previous
        change = ev.Change(
            identity.name, identity.boot, self.worker.run, old, new, trigger, cause.source
        )
        self._out.append(ev.Event(change, self.seq, more, is_remark))

    def _enter(self, new: enum.Enum) -> None:
        if new is self.lifecycle.start:
            self._enter_start()
        elif new is self.lifecycle.backoff or new is self.lifecycle.failed:
            self._give_up_worker()
            if new is self.lifecycle.failed:
                self._leave_if_failed()
        elif new is self.lifecycle.ending:
            self._enter_ending()
        elif new is self.lifecycle.end:
            self._say(*self._answers.close_ending())
            self._out.append(ev.Leave(EXIT_OK))

    def _give_up_worker(self) -> None:
        self._out.append(ev.Disarm(ev.Timer.READY))
        if not self.worker.alive:
            return
        self.worker.doomed = True
        if self.worker.exited:  # what it has left behind
            self._force(ev.Force.KILL)
        else:
            self._force(ev.Force.DUMP)
            self._next_stage("stack asked for", ev.Timer.STOP, DUMP_S)

    def _force(self, force: ev.Force) -> None:
        if not self.policy.attached:
            self._out.append(ev.StopWorker(self.worker.run, force))

    @property
    def _is_stopping(self) -> bool:
        return self.worker.alive and (self.state is self.lifecycle.ending or self.worker.doomed)

    def _next_stage(self, stage: str, timer: ev.Timer, after_s: float) -> None:
        """Let the worker have ``after_s`` seconds before it is told more clearly."""
        self.stop = Stop(stage, _SIGNALS[timer], self._moment.now + after_s)
        self._out.append(ev.Arm(timer, after_s))

    def _enter_start(self) -> None:
        self._out.append(ev.Disarm(ev.Timer.BACKOFF))
        if self.last is not None and self.last.command is not None:
            self._restarts.clear()
        if not self.worker.alive:
            self._spawn()

    def _enter_ending(self) -> None:
        self._say(*self._answers.displace(Answer.REFUSED, "superseded by end"))
        if not self.worker.alive:
            self._fire("exited", Cause(DAEMON, self.worker.end if self.policy.attached else ""))
        elif self.policy.attached:
            self.stop = Stop("END said")
            self._out.append(ev.Arm(ev.Timer.STOP, self.policy.stop_timeout_s))
        elif self.worker.is_unkillable:  # try once more: whoever asks for its end is to be told
            self._force(ev.Force.KILL)
        elif not self.worker.doomed:  # else it is being stopped already
            self._next_stage("END said", ev.Timer.STOP, self.policy.stop_timeout_s)

    def _say(self, *verdicts: Verdict) -> None:
        self._out.extend(map(ev.Say, verdicts))
