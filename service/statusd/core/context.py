"""What the three parts of a status share: who the unit is, its worker, and what is decided so far.

Rules of this file: it decides nothing; an event is numbered here and nowhere else.
"""

from __future__ import annotations

import enum
from typing import Any

from statusd.core import events as ev
from statusd.core.answers import Answers, Moment, Verdict
from statusd.core.capabilities import Capabilities
from statusd.core.lifecycle import Lifecycle
from statusd.core.policy import Policy
from statusd.core.unit import Cause, Identity, Memory, WorkerView
from statusd.core.words import CompiledState, Table

DAEMON = "daemon"
WORKER = "worker"
"""Who made something happen, if no command did."""

SAVE = ev.Save()


class Context:
    """The ground that commands, supervision and transitions stand on.

    Args:
        identity: who the unit is; policy: how patient. A reload changes both.
        lifecycle, capabilities, table: what it can be, and be told; these stay.
        here: the state that it is in; goal: the one that it is to be in. `Transitions` alone
            changes them, and ``args``, which commands told the worker.
        memory: what the unit's last daemon left behind.
    """

    def __init__(
        self,
        identity: Identity,
        lifecycle: Lifecycle,
        capabilities: Capabilities,
        table: Table,
        policy: Policy,
        here: CompiledState,
        goal: enum.Enum,
        memory: Memory,
    ) -> None:
        self.identity = identity
        self.lifecycle = lifecycle
        self.capabilities = capabilities
        self.table = table
        self.policy = policy
        self.here = here
        self.goal = goal
        self.args = dict(memory.args)
        self.worker = WorkerView(run=memory.run)
        """What is known of the worker; `Supervision` alone changes it."""
        self._kept_goal: enum.Enum | None = None
        self.ended: Cause | None = None
        """Why the unit is ending, or has; None before that."""
        self.exit_code = 0
        """What the daemon is to leave with when it has ended."""
        self.last_event = memory.last_event
        self.moment = Moment(here.name)
        self.answers = Answers(identity, self.moment)
        self.out: list[ev.Effect] = []
        """What the present input has led to so far, in order."""

    @property
    def kept_goal(self) -> enum.Enum:
        """The goal of the next daemon: that which somebody has asked for last."""
        return self.goal if self._kept_goal is None else self._kept_goal

    @property
    def is_goal_kept(self) -> bool:
        """Tell whether that is the goal now: no signal and no deadline has set another one."""
        return self._kept_goal is None

    def set_kept_goal(self, goal: enum.Enum) -> None:
        """Let ``goal`` be that of the next daemon, whatever it is now."""
        if goal is not self.kept_goal:
            self.out.append(SAVE)
        self._kept_goal = None if goal is self.goal else goal

    @property
    def is_observed(self) -> bool:
        """Tell whether the worker was seen in the present state."""
        worker = self.worker
        return worker.alive and worker.seen >= worker.shown and self.capabilities.is_answered

    @property
    def is_unseen(self) -> bool:
        """Tell whether a worker that says what it has seen hasn't seen the present state yet."""
        worker = self.worker
        return worker.counts and worker.seen < worker.shown and self.capabilities.is_answered

    def say(self, *verdicts: Verdict) -> None:
        """Let verdicts be told."""
        self.out.extend(map(ev.Say, verdicts))

    def note(self, name: str, **fields: Any) -> None:
        """Let the log be told something that is no transition."""
        self.out.append(ev.Note(name, fields))

    def remark(self, what: str, reason: str, **more: Any) -> None:
        """Record an event that leads nowhere: something is worth telling, and nothing is done."""
        state = self.here.name
        self.moment.seq += 1
        self.record(state, state, what, Cause(DAEMON, reason), more, is_remark=True)
        self.out.append(SAVE)

    def record(
        self,
        old: str,
        new: str,
        trigger: str,
        cause: Cause,
        more: dict[str, Any],
        *,
        is_remark: bool = False,
    ) -> None:
        """Let the event of the present number be told, with what its ``cause`` says of it."""
        command, identity, seq = cause.command, self.identity, self.moment.seq
        previous, self.last_event = self.last_event, f"{identity.boot}-{seq}"
        if command is not None and (command.id or command.by or command.args):
            said = {"by": command.by, "id": command.id, "args": dict(command.args)}
            more.update((key, value) for key, value in said.items() if value)
        if cause.reason:
            more["reason"] = cause.reason
        if cause.stderr:
            more["stderr"] = list(cause.stderr)
        if seq == 1 and previous:
            more["previous"] = previous
        change = ev.EventHead(
            identity.name, identity.boot, self.worker.run, old, new, trigger, cause.source
        )
        self.out.append(ev.Event(change, seq, more, is_remark))
