"""What a signal, or the deadline, has a unit do.

| what happens | what follows |
|---|---|
| SIGTERM, SIGINT | END; where it ends already: no longer than for a signal, then SIGKILL |
| a signal of ``[daemon.signals]`` | its word is obeyed and answered as if somebody had said it |
| the deadline is near | ``deadline_word``, likewise; at the start before there is a worker |

Rules of this file: what is asked for here holds for this daemon; the goal that people have set is
the next one's. Work that is cut short so has its own exit code, if the user wants one.
"""

from __future__ import annotations

from statusd.core import events as ev
from statusd.core.commands import Commands
from statusd.core.context import Context
from statusd.core.messages import Command
from statusd.core.signals import DEADLINE, SIGNAL
from statusd.core.supervision import EXIT_FAILED, EXIT_OK, Supervision
from statusd.core.times import rfc3339
from statusd.core.transitions import Transitions
from statusd.core.unit import Cause


def of_signal(word: str, name: str, sender: str, now: float) -> ev.Prompted:
    """Return what becomes of the signal ``name`` that stands for ``word``.

    Args:
        sender: who has sent it, ``of pid 7 (kill), uid 0``; empty if nobody knows.
        now: the time, in seconds on the monotonic clock.
    """
    return ev.Prompted(Command(word, f"{SIGNAL}{name}", now, by=sender.removeprefix("of ")))


class Prompts:
    """Obeys what no sender has said.

    Args:
        context: shared with the other parts of the status.
        supervision: brings the worker to its end; transitions: changes the state.
        commands: what is made of words.
    """

    def __init__(
        self,
        context: Context,
        supervision: Supervision,
        transitions: Transitions,
        commands: Commands,
    ) -> None:
        self._context = context
        self._supervision = supervision
        self._transitions = transitions
        self._commands = commands

    def signalled(self, happened: ev.Signalled) -> None:
        """End, or end sooner."""
        context, source = self._context, f"{SIGNAL}{happened.name}"
        lifecycle, state = context.lifecycle, context.here.state
        if state is lifecycle.ending:
            if not self._supervision.stopping.hurry():
                context.note("worker.forced", source=source)
                self._supervision.stopping.force(ev.Force.KILL)
        elif state is not lifecycle.end:
            context.exit_code = self._cut_short()
            self._transitions.fire("end", Cause(source, happened.sender))

    def obey(self, happened: ev.Prompted) -> None:
        """Obey a word, and leave the goal of the next daemon as it was."""
        context, lifecycle = self._context, self._context.lifecycle
        kept, code, over = context.kept_goal, context.exit_code, (lifecycle.ending, lifecycle.end)
        if context.here.state not in over:
            context.exit_code = self._cut_short()
        self._commands.take(ev.Commanded(happened.command))
        context.set_kept_goal(kept)
        if context.here.state not in over:
            context.exit_code = code

    def _cut_short(self) -> int:
        """Return what to leave with if that is the end: there is work left, or it has failed."""
        context = self._context
        if not context.policy.requeue_exit:
            return EXIT_OK
        has_failed = context.here.state is context.lifecycle.failed
        return EXIT_FAILED if has_failed else context.policy.requeue_exit

    # ---- the deadline ------------------------------------------------------------------------

    def booted(self, wall: float) -> None:
        """Wait for the deadline, or do at once what it asks for (``wall``: Unix time)."""
        policy = self._context.policy
        if not policy.deadline:
            return
        near = policy.deadline - policy.deadline_margin_s
        if wall >= near:
            self.due()
        else:
            self._context.out.append(ev.Arm(ev.Timer.DEADLINE, near - wall, near))

    def due(self) -> None:
        """The deadline is near: an END by it gets through, whatever a condition says of it."""
        context, lifecycle = self._context, self._context.lifecycle
        word, at = context.policy.deadline_word, rfc3339(context.policy.deadline)
        context.note("deadline.near", deadline=at, command=word)
        self.obey(ev.Prompted(Command(word, DEADLINE, context.moment.now)))
        if context.here.state not in (lifecycle.ending, lifecycle.end) and self._is_end(word):
            context.exit_code = self._cut_short()
            self._transitions.fire("end", Cause(DEADLINE, f"its deadline is {at}"))

    def _is_end(self, word: str) -> bool:
        """Tell whether ``word`` asks for END wherever it is known."""
        rows, end = self._context.table.decisions.values(), self._context.lifecycle.end
        return any(row[word.lower()].goal is end for row in rows if word.lower() in row)
