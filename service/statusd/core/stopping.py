"""How a worker is brought to its end: told, then SIGTERM, then SIGKILL, each in its time.

| what happens | what follows |
|---|---|
| END by a command | told; ``stop_timeout_s`` later SIGTERM, ``kill_timeout_s`` later SIGKILL |
| END by a signal | the same with ``signal_stop_timeout_s``; also if a command was there before |
| it hangs, or is given up | its stack, SIGTERM, SIGKILL |

Rules of this file: who is beyond our signals is waited for; what a worker was cut off by is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from statusd.core import events as ev
from statusd.core.answers import Answer
from statusd.core.context import SAVE, WORKER, Context
from statusd.core.unit import Cause, Stop

DUMP_S = 0.3
"""So long a worker that hangs has to print its stack before it gets SIGTERM."""
_SIGNALS = {ev.Timer.STOP: "SIGTERM", ev.Timer.KILL: "SIGKILL"}


class Stopping:
    """The end of a unit's worker.

    Args:
        context: shared with the other parts of the status.
    """

    def __init__(self, context: Context) -> None:
        self.stop: Stop | None = None
        """How far it has come; None if nothing is to end."""
        self.cut = ""
        """What the worker was cut off by, and in what, in words; empty if it wasn't."""
        self._context = context
        self._is_hurried = False
        self.passed: Mapping[ev.Timer, Callable[[], None]] = {
            ev.Timer.STOP: self._must_stop,
            ev.Timer.KILL: self._must_die,
        }
        """By the deadline that has passed."""

    def begin(self, cause: Cause) -> None:
        """END was said to a worker that lives."""
        context, worker, policy = self._context, self._context.worker, self._context.policy
        if policy.attached:
            self.stop = Stop("END said")
            context.out.append(ev.Arm(ev.Timer.STOP, policy.stop_timeout_s))
        elif worker.is_unkillable:  # try once more: whoever asks for its end is to be told
            self.force(ev.Force.KILL)
        elif not worker.doomed:  # else it is being stopped already
            self._is_hurried = cause.command is None and cause.source != WORKER
            wait_s = policy.signal_stop_timeout_s if self._is_hurried else policy.stop_timeout_s
            self._next("END said", ev.Timer.STOP, wait_s)

    def hurry(self) -> bool:
        """Wait no longer than for a signal; False if that is so already, or it doesn't wait."""
        context, stop = self._context, self.stop
        if self._is_hurried or stop is None or stop.next != _SIGNALS[ev.Timer.STOP]:
            return False
        self._is_hurried = True
        left_s = min(stop.at - context.moment.now, context.policy.signal_stop_timeout_s)
        self._next(stop.stage, ev.Timer.STOP, left_s)
        return True

    def terminate(self) -> None:
        """Have SIGTERM, and SIGKILL in its time."""
        self.force(ev.Force.TERMINATE)
        self._next("SIGTERM sent", ev.Timer.KILL, self._context.policy.kill_timeout_s)

    def give_up(self) -> None:
        """End a worker that hangs or has failed, or what it has left behind."""
        if self._context.worker.exited:
            self.force(ev.Force.KILL)
        else:
            self.force(ev.Force.DUMP)
            self._next("stack asked for", ev.Timer.STOP, DUMP_S)

    def told(self, reason: str) -> str:
        """Return how the worker has ended, with what it was cut off by."""
        if not self.cut or reason.endswith(f" by {self.cut.partition(' ')[0]}"):
            return self.cut or reason
        return f"{self.cut}: {reason}"

    def unreached(self, why: str) -> None:
        """Somebody of it can't be signalled."""
        self.stop = replace(self.stop or Stop(""), stage=why)

    def over(self) -> None:
        """Nothing of it lives."""
        if self.stop is not None:
            self.stop = None
            self._context.out += [ev.Disarm(ev.Timer.STOP), ev.Disarm(ev.Timer.KILL)]

    def force(self, force: ev.Force) -> None:
        """Signal the worker, if it is ours to signal."""
        if not self._context.policy.attached:
            self._context.out.append(ev.StopWorker(self._context.worker.run, force))

    # ---- deadlines ---------------------------------------------------------------------------

    def _must_stop(self) -> None:
        context, policy = self._context, self._context.policy
        if policy.attached:
            reason = f"the program has not left within {policy.stop_timeout_s:g} s"
            context.say(*context.answers.close_ending(Answer.FAILED, reason))
            context.out.append(SAVE)
        elif self._is_stopping:
            self._cut_off("SIGTERM")
            self.terminate()

    def _must_die(self) -> None:
        if self._is_stopping:
            self._cut_off("SIGKILL")
            self.force(ev.Force.KILL)
            self.stop = Stop("SIGKILL sent")

    def _cut_off(self, signal: str) -> None:
        """Take note of what ends it, if that is for END and not for its own fault."""
        context, stop = self._context, self.stop
        if stop is not None and not context.worker.doomed:
            step = " in the middle of a step" if context.is_unseen else ""
            took_s = round(context.moment.now - stop.began, 1)
            self.cut = f"{signal} after {took_s:g} s{step}"

    @property
    def _is_stopping(self) -> bool:
        context = self._context
        is_ending = context.here.state is context.lifecycle.ending
        return context.worker.alive and (is_ending or context.worker.doomed)

    def _next(self, stage: str, timer: ev.Timer, after_s: float) -> None:
        """Let the worker have ``after_s`` seconds before it is told more clearly."""
        now = self._context.moment.now
        began = now if self.stop is None else self.stop.began
        self.stop = Stop(stage, _SIGNALS[timer], now + after_s, began)
        self._context.out.append(ev.Arm(timer, after_s))
