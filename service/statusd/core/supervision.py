"""The worker's process: started, given up, brought to its end, and seen gone.

| what happens | what follows |
|---|---|
| it leaves with 0 from work | `end`: the job is done |
| it dies, hangs, is not ready in time, can't be started | `crash`, and another run; or `fail` |
| it has more memory than it may have | the same; or it is told to stand by; or that is told |
| it leaves with a code that says "don't start me again" | `fail` |
| nothing of it lives any more | the next run, or what waited for that: `exited`, `retry` |
| ENDING, BACKOFF or FAILED is entered | it is brought to its end (`stopping`) |
| it can't be signalled | it is waited for, and that is said |

Rules of this file: the state isn't changed here: what is to be fired is returned; two runs never
overlap; what a worker does that is being killed doesn't count.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from statusd.core import events as ev
from statusd.core.answers import Answer
from statusd.core.context import DAEMON, SAVE, WORKER, Context
from statusd.core.lifecycle import Part
from statusd.core.policy import OnMemory, Restart, Restarts
from statusd.core.sizes import size_text
from statusd.core.stopping import Stopping
from statusd.core.unit import Cause, Death, ExitKind, WorkerView

EXIT_OK = 0
EXIT_FAILED = 75
"""The restarts are used up and ``on_failed = "exit"`` (EX_TEMPFAIL of sysexits.h)."""


class Firing(NamedTuple):
    """A transition that has to be made now: its trigger, and why.

    Args:
        otherwise: one that anyone might ask for, so it may be refused: then this is remarked.
    """

    trigger: str
    cause: Cause
    otherwise: str = ""


class Supervision:
    """What the unit knows of its worker's process, and does to it.

    Args:
        context: shared with the other parts of the status.
        restarts: decides whether there is another run, and when.
    """

    def __init__(self, context: Context, restarts: Restarts) -> None:
        lifecycle = context.lifecycle
        self.death: Death | None = None
        self.stopping = Stopping(context)
        self._context = context
        self._restarts = restarts
        self._runs_before, self._backoff_over = context.worker.run, False
        self.takes: Mapping[type, Callable[[Any], Firing | None]] = {
            ev.WorkerExited: self._exited,
            ev.WorkerGone: self._gone,
            ev.WorkerHung: self._hung,
            ev.WorkerGrown: self._grown,
            ev.WorkerNotStarted: self._not_started,
            ev.WorkerUnreached: self._unreached,
        }
        """By what has befallen it: returns what is to be fired."""
        self.passed: Mapping[ev.Timer, Callable[[], Firing | None]] = {
            ev.Timer.READY: self._was_not_ready,
            ev.Timer.BACKOFF: self._backed_off,
            **self.stopping.passed,
        }
        """By the deadline that has passed: returns what is to be fired."""
        self.enter: Mapping[enum.Enum, Callable[[Cause], Firing | None]] = {
            lifecycle.start: self._enter_start,
            lifecycle.backoff: self._give_up,
            lifecycle.failed: self._enter_failed,
            lifecycle.ending: self._enter_ending,
            lifecycle.end: self._enter_end,
        }
        """By the state that was entered: does what hangs on it, returns what is to be fired."""

    @property
    def restarts(self) -> int:
        """How often this daemon has started the worker again."""
        return max(0, self._context.worker.run - self._runs_before - 1)

    # ---- it is started -----------------------------------------------------------------------

    def boot(self, survivor: int) -> None:
        """Start the first worker, once nothing lives of ``survivor``, a run of an older daemon."""
        if not survivor:
            self._spawn()
            return
        self._runs_before = survivor
        self._context.worker = WorkerView(survivor, alive=True, doomed=True, exited=True)
        self.stopping.terminate()
        self._context.out.append(SAVE)

    def _spawn(self) -> None:
        context, seq = self._context, self._context.moment.seq
        run = context.worker.run + 1
        context.worker = WorkerView(run, alive=True, shown=seq, seen=seq)
        context.out.append(ev.StartWorker(run, context.here.number, seq, dict(context.args)))
        if not context.policy.attached:  # who is there already needs no deadline to get there
            context.out.append(ev.Arm(ev.Timer.READY, context.policy.ready_timeout_s))
        context.out.append(SAVE)

    # ---- what befalls it ---------------------------------------------------------------------

    def _exited(self, happened: ev.WorkerExited) -> Firing | None:
        context, worker, left = self._context, self._context.worker, happened.left
        reason = self.stopping.told(happened.reason) + (f"; {left}" if left else "")
        lifecycle, attached = context.lifecycle, context.policy.attached
        if worker.exited:
            return None
        worker.exited, worker.end = True, reason
        if worker.doomed or context.here.state in (lifecycle.ending, lifecycle.end):
            return None
        # It may have left before it could see a pause: what counts is the state it was seen in. A
        # function that returns says so itself, also if it never looked at its state.
        is_work = lifecycle.parts[context.goal] is Part.WORKS
        has_worked = worker.seen_working or (happened.returned and is_work)
        finished = happened.code == 0 and (has_worked or attached)
        if finished and context.policy.restart is not Restart.ALWAYS:
            done = f"the worker finished; {left}" if left else "the worker finished"
            return Firing("end", Cause(WORKER, reason if attached else done))
        kind = ExitKind.KILLED if happened.code < 0 else ExitKind.EXITED
        is_final = happened.code in context.policy.never_on
        return self._die(kind, reason, happened.stderr, is_final=is_final)

    def _hung(self, happened: ev.WorkerHung) -> Firing | None:
        """It shows no progress, or does so again if it was silent within the limit."""
        context, worker = self._context, self._context.worker
        reason = f"hung: no progress for {happened.silent_s:.0f} s"
        if not worker.counts or context.here.state is context.lifecycle.ending:
            return None
        if not context.policy.attached:
            return self._die(ExitKind.HUNG, reason)
        is_late = happened.silent_s > context.policy.hang_timeout_s
        if is_late is not bool(worker.hung):
            worker.hung = reason if is_late else ""
            context.remark("hang" if is_late else "recover", reason if is_late else "it goes on")
        return None

    def _grown(self, happened: ev.WorkerGrown) -> Firing | None:
        """It has too much memory, or not any more: done and told once, not as long as it has."""
        context, worker, policy = self._context, self._context.worker, self._context.policy
        is_excess = policy.is_excess(happened.memory, before=bool(worker.grown))
        if is_excess is bool(worker.grown) or not worker.counts:
            return None
        if context.here.state is context.lifecycle.ending:
            return None
        if not is_excess:
            worker.grown = ""
            context.remark("shrink", f"{size_text(happened.memory)} of memory again")
            return None
        had, may = size_text(happened.memory, over=True), size_text(policy.memory_max)
        worker.grown = f"{had} of memory, memory_max is {may}"
        if policy.on_memory is OnMemory.CRASH and not policy.attached:
            return self._die(ExitKind.GROWN, worker.grown)
        pause = self._pause() if policy.on_memory is OnMemory.PAUSE else ""
        if pause:
            return Firing(pause, Cause(DAEMON, worker.grown), otherwise="grow")
        context.remark("grow", worker.grown)
        return None

    def _pause(self) -> str:
        """Return the trigger by which a worker that works is told to stand by; empty for none.

        One that leads home comes last: there the work is given up.
        """
        here, lifecycle = self._context.here, self._context.lifecycle
        if here.part is not Part.WORKS:
            return ""
        ways = [(trigger, here.decisions[trigger.lower()].dest) for trigger in here.allowed]
        ends = {trigger: lifecycle.final_of(dest) for trigger, dest in ways if dest is not None}
        waits = [
            trigger
            for trigger, end in ends.items()
            if lifecycle.parts[end] is Part.WAITS and end in lifecycle.goals
        ]
        return min(waits, key=lambda trigger: ends[trigger] is lifecycle.home, default="")

    def _not_started(self, happened: ev.WorkerNotStarted) -> Firing | None:
        worker = self._context.worker
        worker.alive, worker.exited, worker.end = False, True, happened.reason
        if self._context.here.state is self._context.lifecycle.start:
            return self._die(ExitKind.NOT_STARTED, happened.reason)
        return self._gone()

    def _die(
        self, kind: ExitKind, reason: str, stderr: tuple[str, ...] = (), *, is_final: bool = False
    ) -> Firing:
        """The worker is dead or will be killed: try again later, or give up."""
        context, answers = self._context, self._context.answers
        self.death = Death(context.worker.run, kind, reason, stderr)
        wait_s = None if is_final else self._restarts.after_death(context.moment.now)
        context.say(*answers.close_following(Answer.FAILED, f"the worker died: {reason}"))
        if wait_s is None:
            context.say(*answers.displace(Answer.FAILED, f"the worker died: {reason}"))
            why = f"{reason}; not started again: restart_never_on" if is_final else reason
            return Firing("fail", Cause(DAEMON, why, stderr=stderr))
        self._backoff_over = False
        context.out.append(ev.Arm(ev.Timer.BACKOFF, wait_s))
        next_try = f"{reason}; next try in {wait_s:.1f} s"
        return Firing("crash", Cause(DAEMON, next_try, stderr=stderr))

    def _unreached(self, happened: ev.WorkerUnreached) -> None:
        """Whoever can't be signalled must end by itself: it is waited for, and said so."""
        context, worker = self._context, self._context.worker
        is_news = not worker.awaited
        if not worker.alive:
            return
        worker.awaited = f"waiting for {happened.whom} to end: {happened.why}"
        self.stopping.unreached(happened.why)
        if is_news:
            context.remark("unreached", worker.awaited)
        if happened.force is ev.Force.KILL:
            worker.is_unkillable = True
            context.say(*context.answers.close_ending(Answer.FAILED, worker.awaited))
            context.out.append(SAVE)

    def _gone(self, _: ev.WorkerGone | None = None) -> Firing | None:
        context, lifecycle = self._context, self._context.lifecycle
        worker, state = context.worker, context.here.state
        worker.alive = False
        self.stopping.over()
        if state is lifecycle.ending:
            return Firing("exited", Cause(DAEMON, worker.end))
        if state is lifecycle.start:
            self._spawn()
        elif state is lifecycle.backoff and self._backoff_over:
            return Firing("retry", Cause(DAEMON))
        elif state is lifecycle.failed and context.policy.attached:
            return Firing("end", Cause(DAEMON, worker.end))  # nobody could start it again
        elif state is lifecycle.failed:
            self._leave_if_failed()
        return None

    # ---- deadlines ---------------------------------------------------------------------------

    def _was_not_ready(self) -> Firing | None:
        context, worker = self._context, self._context.worker
        if context.here.state is not context.lifecycle.start or not worker.counts:
            return None
        why = f": {worker.untold}" if worker.untold else ""
        within = f"not ready within {context.policy.ready_timeout_s:g} s"
        return self._die(ExitKind.NOT_READY, f"{within}{why}")

    def _backed_off(self) -> Firing | None:
        if self._context.here.state is not self._context.lifecycle.backoff:
            return None
        self._backoff_over = True
        return None if self._context.worker.alive else Firing("retry", Cause(DAEMON))

    # ---- what hangs on a state ---------------------------------------------------------------

    def _enter_start(self, cause: Cause) -> None:
        self._context.out.append(ev.Disarm(ev.Timer.BACKOFF))
        if cause.command is not None:
            self._restarts.clear()
        if not self._context.worker.alive:
            self._spawn()

    def _give_up(self, _: Cause) -> None:
        worker = self._context.worker
        self._context.out.append(ev.Disarm(ev.Timer.READY))
        if not worker.alive:
            return
        worker.doomed = True
        self.stopping.give_up()

    def _enter_failed(self, cause: Cause) -> None:
        self._give_up(cause)
        self._leave_if_failed()

    def _leave_if_failed(self) -> None:
        if self._context.policy.exit_on_failed and not self._context.worker.alive:
            self._context.out.append(ev.Leave(EXIT_FAILED))

    def _enter_ending(self, cause: Cause) -> Firing | None:
        context, worker, policy = self._context, self._context.worker, self._context.policy
        context.ended = cause
        context.say(*context.answers.displace(Answer.REFUSED, "superseded by end"))
        if not worker.alive:
            return Firing("exited", Cause(DAEMON, worker.end if policy.attached else ""))
        self.stopping.begin(cause)
        return None

    def _enter_end(self, _: Cause) -> None:
        reason = self._context.worker.end if self.stopping.cut else ""
        self._context.say(*self._context.answers.close_ending(reason=reason))
        self._context.out.append(ev.Leave(self._context.exit_code))
