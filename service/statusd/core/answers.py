"""Verdicts, and the book of those of one unit: what was answered, which commands are still open.

Rules of this file: a command gets at most one final verdict; the same id again gets the recorded
one; whatever takes a command's place answers for it.
"""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from statusd.core.errors import BadMessage
from statusd.core.messages import Command, as_template, key_of, to_json
from statusd.core.unit import Identity

REMEMBERED_IDS = 10_000
"""So many commands are recognised when they come a second time."""
REMEMBERED_BY_ALL, REMEMBERED_AT_LEAST = 40_000, 200
"""So many by all units of a daemon, half a KiB each; and by each of them, however many they are."""


def remembered_by_each(units: int) -> int:
    """Return how many commands each of so many units of one daemon recognises: an equal share.

    Each has its own, so that whoever floods one unit makes no other one forget.
    """
    return min(REMEMBERED_IDS, max(REMEMBERED_AT_LEAST, REMEMBERED_BY_ALL // max(1, units)))


class Answer(enum.Enum):
    """The kinds of verdict; the values stand on the wire."""

    ACCEPTED = "accepted"
    POSTPONED = "postponed"
    DONE = "done"
    NOOP = "noop"
    REFUSED = "refused"
    INVALID = "invalid"
    EXPIRED = "expired"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Tell whether no other verdict follows for the same command."""
        return self not in (Answer.ACCEPTED, Answer.POSTPONED)


_MS = ',"ms":'

FINAL = frozenset(answer.value for answer in Answer if answer.is_final)
"""The verdicts after which none follows, as they stand on the wire."""


class Verdict:
    """The answer of one unit to one command; never changed.

    Made of its fields or of its text, whichever is at hand.

    Args:
        fields: what stands on the wire, in order; see design section 4.
        reply_to: a channel that gets it beside the namespace's verdicts; empty for none.
        text: ``fields`` as JSON.
        kind, id, word, ms: some of them, given with a text alone; ``word`` in lower case, and
            ``id`` as it is kept in the book (`Command.key`).
    """

    __slots__ = ("_fields", "id", "kind", "ms", "reply_to", "text", "word")

    def __init__(
        self,
        fields: Mapping[str, Any] | None,
        reply_to: str = "",
        text: str = "",
        kind: str = "",
        id: str = "",
        word: str = "",
        ms: float = 0.0,
    ) -> None:
        self._fields, self.reply_to = fields, reply_to
        self.text = text or to_json(fields)
        """``fields`` as JSON."""
        if fields is not None:
            kind, id = fields.get("verdict", ""), fields.get("id", "")
            id = key_of(id, fields.get("source", "")) if id else ""
            word, ms = fields.get("command", ""), fields.get("ms", 0.0)
        self.kind, self.id, self.word, self.ms = kind, id, word.lower(), ms

    @property
    def fields(self) -> Mapping[str, Any]:
        """What stands on the wire, in order."""
        if self._fields is None:
            self._fields = json.loads(self.text)
        return self._fields

    def timed(self, ms: float) -> Verdict:
        """Return the same, as given so many milliseconds after its command was heard."""
        if self._fields is not None:
            return Verdict({**self._fields, "ms": ms}, self.reply_to)
        head = self.text.rpartition(_MS)[0]  # in a text that was made as such, it stands last
        text = f"{head}{_MS}{ms!r}}}"
        return Verdict(None, self.reply_to, text, self.kind, self.id, self.word, ms)

    @property
    def count(self) -> int:
        """How many commands it answers."""
        return 1 if self._fields is None else int(self._fields.get("count", 1))

    @property
    def is_repeat(self) -> bool:
        """Tell whether it was given before."""
        return self._fields is not None and "repeat" in self._fields

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Verdict):
            return NotImplemented
        return (self.fields, self.reply_to) == (other.fields, other.reply_to)

    __hash__ = None  # type: ignore[assignment]  # as of any other that holds a dict

    def __repr__(self) -> str:
        return f"Verdict({self.fields!r}, {self.reply_to!r})"

    @property
    def is_final(self) -> bool:
        """Tell whether its command gets no other one."""
        return self.kind in FINAL


@dataclass(slots=True)
class Moment:
    """When something is answered: the state, the last event's number, and the time."""

    state: str = ""
    seq: int = 0
    now: float = 0.0

    def reach(self, now: float) -> None:
        """Be at ``now``, or later: what is answered outside of an input is so when it is heard."""
        self.now = max(self.now, now)


@dataclass(slots=True)
class Answers:
    """Makes verdicts, and keeps the commands that wait for their final one.

    Args:
        following: fired; the worker has still to be seen in the new state.
        ending: `end` and `force`; done when nothing of the worker lives.
        postponed: kept for the end of INIT or BACKOFF.
        open: by key, every command that has no final verdict.
        remembered: so many are recognised when they come a second time.
    """

    identity: Identity
    moment: Moment = field(default_factory=Moment)
    following: list[Command] = field(default_factory=list)
    ending: list[Command] = field(default_factory=list)
    postponed: Command | None = None
    open: dict[str, Command] = field(default_factory=dict)
    remembered: int = REMEMBERED_IDS
    _recorded: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def make(self, command: Command, answer: Answer, reason: str = "", **more: Any) -> Verdict:
        """Return the verdict ``answer`` to ``command`` and keep book of it."""
        identity, moment = self.identity, self.moment
        ms = int((moment.now - command.received) * 10_000 + 0.5) / 10
        reply_to = command.reply_to and self._inside(command.reply_to)
        kind, name, word, source = answer._value_, identity.name, command.word, command.source
        if more:
            fields = self._fields(kind, command, reason, more, ms)
            verdict = Verdict(fields, reply_to, to_json(fields))
        else:
            sender = f'"id":{to_json(command.id)},' if command.id else ""
            known = _template(kind, name, word, source, moment.state, reason)
            text = known % (sender, identity.boot, moment.seq, ms)
            key = command.id and command.key
            verdict = Verdict(None, reply_to, text, kind, key, word, ms)
        if command.id:
            self._record(command, answer, verdict.text)
        return verdict

    def _fields(
        self, kind: str, command: Command, reason: str, more: Mapping[str, Any], ms: float
    ) -> dict[str, Any]:
        identity, moment = self.identity, self.moment
        fields: dict[str, Any] = {"verdict": kind}
        if command.id:
            fields["id"] = command.id
        fields |= {"name": identity.name, "boot": identity.boot, "seq": moment.seq}
        fields |= {"command": command.word, "source": command.source, "state": moment.state}
        if reason:
            fields["reason"] = reason
        return fields | dict(more) | {"ms": ms}

    def again(self, key: str, reply_to: str = "") -> Verdict | None:
        """Return the recorded verdict to the command of that key if it was heard, else None.

        Its ``ms`` is recorded too: so long the command took when it was heard first.

        Args:
            reply_to: where it goes this time as well.
        """
        recorded = self._recorded.get(key) if key else None
        if recorded is None:
            return None
        return Verdict({**json.loads(recorded), "repeat": True}, self._inside(reply_to))

    def invalid(self, error: BadMessage, source: str, received: float) -> Verdict:
        """Return the verdict to a message that is no command."""
        self.moment.reach(received)
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
        return (
            channel if channel and channel.startswith(f"{self.identity.namespace}:reply:") else ""
        )

    def close_following(self, answer: Answer, reason: str = "", **more: Any) -> list[Verdict]:
        """Give their final verdict to the commands whose worker was on its way."""
        if not self.following:
            return []
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

    def _record(self, command: Command, answer: Answer, text: str) -> None:
        """Keep the verdict as it stands on the wire: there are thousands, and text is small."""
        key = command.key
        if answer.is_final:
            self.open.pop(key, None)
        else:
            self.open[key] = command
        self._recorded[key] = text
        self._recorded.move_to_end(key)
        while len(self._recorded) > self.remembered:
            self._recorded.popitem(last=False)


@lru_cache(maxsize=2048)
def _template(verdict: str, name: str, command: str, source: str, state: str, reason: str) -> str:
    """Return the JSON of a verdict for its id, boot, number and milliseconds."""
    told = {"command": command, "source": source, "state": state}
    if reason:
        told["reason"] = reason
    head, middle = as_template({"verdict": verdict}), as_template({"name": name})
    return f'{{{head},%s{middle},"boot":%d,"seq":%d,{as_template(told)},"ms":%r}}'
