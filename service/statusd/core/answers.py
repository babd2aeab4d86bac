"""The book of verdicts of one unit: what was answered to whom, and which commands are still open.

Rules of this file: a command gets at most one final verdict; the same id again gets the recorded
one; whatever takes a command's place answers for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from statusd.core.errors import BadMessage
from statusd.core.messages import Answer, Command, Verdict
from statusd.core.unit import Identity

REMEMBERED_IDS = 10_000
"""So many commands are recognised when they come a second time."""


@dataclass(slots=True)
class Moment:
    """When something is answered: the state, the last event's number, and the time."""

    state: str = ""
    seq: int = 0
    now: float = 0.0


@dataclass(slots=True)
class Answers:
    """Makes verdicts, and keeps the commands that wait for their final one.

    Args:
        following: fired; the worker has still to be seen in the new state.
        ending: `end` and `force`; done when nothing of the worker lives.
        postponed: kept for the end of INIT or BACKOFF.
        open: by id, every command that has no final verdict.
    """

    identity: Identity
    moment: Moment = field(default_factory=Moment)
    following: list[Command] = field(default_factory=list)
    ending: list[Command] = field(default_factory=list)
    postponed: Command | None = None
    open: dict[str, Command] = field(default_factory=dict)
    _recorded: OrderedDict[str, tuple[Any, ...]] = field(default_factory=OrderedDict)
    _shapes: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def make(self, command: Command, answer: Answer, reason: str = "", **more: Any) -> Verdict:
        """Return the verdict ``answer`` to ``command`` and keep book of it."""
        identity, moment = self.identity, self.moment
        fields: dict[str, Any] = {"verdict": answer.value}
        if command.id:
            fields["id"] = command.id
        fields["name"] = identity.name
        fields["boot"] = identity.boot
        fields["seq"] = moment.seq
        fields["command"] = command.word
        fields["source"] = command.source
        fields["state"] = moment.state
        if reason:
            fields["reason"] = reason
        fields.update(more)
        fields["ms"] = round((moment.now - command.received) * 1000, 1)
        verdict = Verdict(fields, self._inside(command.reply_to))
        if command.id:
            self._record(command, answer, fields)
        return verdict

    def again(self, command_id: str, reply_to: str = "") -> Verdict | None:
        """Return the recorded verdict to the command of that id if it was heard, else None.

        Args:
            reply_to: where it goes this time as well.
        """
        recorded = self._recorded.get(command_id) if command_id else None
        if recorded is None:
            return None
        shape, *values = recorded
        fields = dict(zip(shape, values, strict=True))
        return Verdict({**fields, "repeat": True}, self._inside(reply_to))

    def invalid(self, error: BadMessage, source: str, received: float) -> Verdict:
        """Return the verdict to a message that is no command."""
        shown = error.raw[:40].decode("ascii", "backslashreplace")
        known = error.fields
        command = Command(
            known.get("command", shown),
            source,
            received,
            id=known.get("id", ""),
            reply_to=known.get("reply_to", ""),
        )
        return self.make(command, Answer.INVALID, error.reason)

    def _inside(self, channel: str) -> str:
        """Return ``channel`` if it is one for replies; nobody makes us talk anywhere else."""
        return channel if channel.startswith(f"{self.identity.namespace}:reply:") else ""

    def close_following(self, answer: Answer, reason: str = "", **more: Any) -> list[Verdict]:
        """Give their final verdict to the commands whose worker was on its way."""
        closed, self.following = self.following, []
        return [self.make(command, answer, reason, **more) for command in closed]

    def close_ending(self, answer: Answer = Answer.DONE, reason: str = "") -> list[Verdict]:
        """Nothing of the worker lives, or it lives on: whoever asked for its end is told."""
        closed, self.ending = self.ending, []
        return [self.make(command, answer, reason) for command in closed]

    def displace(self, answer: Answer, reason: str) -> list[Verdict]:
        """Give its final verdict to the postponed command, if there is one."""
        displaced, self.postponed = self.postponed, None
        return [] if displaced is None else [self.make(displaced, answer, reason)]

    def _record(self, command: Command, answer: Answer, fields: dict[str, Any]) -> None:
        """Keep the verdict, as values only: there are ten thousand, and few kinds of keys."""
        if answer.is_final:
            self.open.pop(command.id, None)
        else:
            self.open[command.id] = command
        keys = tuple(fields)
        shape = self._shapes.setdefault(keys, keys)
        self._recorded[command.id] = (shape, *fields.values())
        self._recorded.move_to_end(command.id)
        if len(self._recorded) > REMEMBERED_IDS:
            self._recorded.popitem(last=False)
