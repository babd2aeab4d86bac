"""A fleet and one command to it: who was there, who has answered, who is on its way or silent.

Pure: roster and documents come in as they stand in Redis, verdicts as they are heard. Rules of this
file: whoever was expected is in the report, by name; a verdict of an older boot is nobody's; a
record that can't be read is a matter of its unit alone, which is shown as unreadable.

Length: what a unit is, a command to several, and what became of it explain each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from statusd.core.answers import FINAL, Answer
from statusd.core.bounds import Unreadable
from statusd.core.messages import Target
from statusd.fleet import records

EXIT_DONE, EXIT_REFUSED, EXIT_SILENT, EXIT_NOBODY, EXIT_PENDING = 0, 3, 4, 5, 6

SILENT = "silent"
"""In place of a verdict: a living unit that didn't answer in time."""
PENDING = "pending"
"""In place of a verdict: a unit that has taken the command, and its worker isn't there yet."""
MOST_END_S = 86_400.0
"""A unit that says it ends later isn't waited for any longer, in seconds."""
ENDING = "ENDING"
"""The state of a unit whose worker ends: it is named so in every lifecycle."""
LOST = "LOST"
"""In place of a state: a unit that has gone without leaving."""
UNREADABLE = "UNREADABLE"
"""In place of a state: what stands in Redis of the unit is none of ours."""

_DONE = frozenset({Answer.DONE.value, Answer.NOOP.value})


@dataclass(frozen=True, slots=True)
class UnitInfo:
    """One unit as the roster and its status document tell of it.

    Args:
        boot: of its daemon, as the roster has it.
        left: it has ended, and said so.
        seen: when it was seen last, RFC 3339.
        document: its status document; empty if there is none, or it can't be read.
        unreadable: what can't be read of it, and why; empty if all can.
        speaks: whether there is a document at all.
    """

    name: str
    boot: int
    left: bool
    seen: str
    document: Mapping[str, Any] = field(default_factory=dict)
    unreadable: str = ""
    speaks: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether its daemon is there; a document that can't be read says nothing else."""
        return not self.left and (bool(self.document) or self.speaks)

    @property
    def is_lost(self) -> bool:
        """Whether it has gone without a word."""
        return not self.left and not self.is_alive

    @property
    def state(self) -> str:
        """The state by its document, LOST, END, or UNREADABLE."""
        if self.unreadable:
            return UNREADABLE
        return str(self.document.get("state") or (LOST if self.is_lost else "END"))

    @property
    def rests(self) -> bool:
        """Whether it has ended, and a daemon that has gone on without it can launch it again."""
        return self.left and bool(self.document.get("daemon"))

    @property
    def ends_within_s(self) -> float | None:
        """How long END by command may take up to SIGKILL, in seconds; None if it doesn't say."""
        found = self.document.get("ends_within_s")
        return None if found is None else float(found)

    @property
    def tags(self) -> frozenset[str]:
        """What commands may ask for."""
        return frozenset(self.document.get("tags", ()))

    def record(self) -> dict[str, Any]:
        """Return what is known, as JSON has it: of `statusd status --json`, and of the API."""
        return {
            "name": self.name,
            "boot": self.boot,
            "state": self.state,
            "lost": self.is_lost,
            "left": self.left,
            "seen": self.seen,
            "document": dict(self.document),
            **({"unreadable": self.unreadable} if self.unreadable else {}),
        }

    def news(self) -> dict[str, Any]:
        """Return of `record` what is worth telling if it changes: a beat alone is not."""
        aside = ("canary_ms", "at")
        document = {key: value for key, value in self.document.items() if key not in aside}
        if document.get("worker"):
            worker = document["worker"]
            document["worker"] = {key: value for key, value in worker.items() if key != "beats"}
        return self.record() | {"seen": "", "document": document}


def read_fleet(roster: Mapping[str, object], documents: Mapping[str, object]) -> list[UnitInfo]:
    """Return the units of ``roster``, by name.

    Args:
        roster: name -> entry; documents: name -> status document, as they stand in Redis; None
            where there is no key, anything else that isn't bytes where it is of another type.
            A document of an older boot is passed over.
    """
    return [_read_unit(name, roster[name], documents.get(name)) for name in sorted(roster)]


def _read_unit(name: str, entry_text: object, document_text: object) -> UnitInfo:
    speaks = document_text is not None
    try:
        entry = records.roster_entry(entry_text)
    except Unreadable as error:
        return UnitInfo(name, 0, False, "", {}, f"its entry in the roster: {error}", speaks)
    boot, left, seen = entry["boot"], entry.get("left", False), entry.get("seen", "")
    try:
        document = records.document(document_text) if speaks else {}
    except Unreadable as error:
        return UnitInfo(name, boot, left, seen, {}, f"its status document: {error}", speaks=True)
    unit = UnitInfo(name, boot, left, seen)
    return _with(unit, document) if document.get("boot") == boot else unit


def _with(unit: UnitInfo, document: Mapping[str, Any]) -> UnitInfo:
    """Return the unit with its document, which says when it was written (not before 1.1)."""
    return replace(unit, document=document, seen=document.get("at", unit.seen))


def renewed(unit: UnitInfo, document_text: object) -> UnitInfo:
    """Return the unit with a newer document; as it was if that is none of its boot."""
    try:
        document = records.document(document_text)
    except Unreadable:
        return unit
    return _with(unit, document) if document.get("boot") == unit.boot else unit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command at one unit.

    Args:
        verdict: the final one; without one in time ``pending`` if the unit has taken the command,
            and ``silent`` if it has said nothing; ``LOST`` if it was gone.
        before, after: its state when it was asked, and by the verdict; empty if unknown.
        ms: from sending to the verdict, by the sender's clock; None without a verdict.
        reason: in words, if there is something to say.
        fields: the verdict as it stood on the wire; of a pending one the last that wasn't final.
    """

    name: str
    verdict: str
    before: str = ""
    after: str = ""
    ms: float | None = None
    reason: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            **{"name": self.name, "verdict": self.verdict, "before": self.before},
            **{"after": self.after, "ms": self.ms, "reason": self.reason},
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a command in the whole fleet; each unit stands in one of the lists.

    Args:
        id: of the command.
        entry: of a durable one, its place in the stream; empty for any other.
        where: the units were looked for, in words: namespace and broker, without a password.
    """

    id: str
    outcomes: tuple[Outcome, ...]
    entry: str = ""
    where: str = ""

    def _of(self, is_one: Callable[[str], bool]) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if is_one(outcome.verdict)]

    @property
    def done(self) -> list[Outcome]:
        """Those who obeyed, or were there already (``done``, ``noop``)."""
        return self._of(lambda verdict: verdict in _DONE)

    @property
    def refused(self) -> list[Outcome]:
        """Those who answered and did not: ``refused``, ``failed``, ``invalid``, ``expired``."""
        return self._of(lambda verdict: verdict not in {*_DONE, PENDING, SILENT, LOST})

    @property
    def pending(self) -> list[Outcome]:
        """Those who have taken it (``accepted``, ``postponed``), and weren't there in time."""
        return self._of(lambda verdict: verdict == PENDING)

    @property
    def silent(self) -> list[Outcome]:
        """Those who were alive and said nothing in time, or have gone since they did."""
        return self._of(lambda verdict: verdict == SILENT)

    @property
    def lost(self) -> list[Outcome]:
        """Those who were gone already; nobody waited for them."""
        return self._of(lambda verdict: verdict == LOST)

    @property
    def exit_code(self) -> int:
        """The worst of it: 3 some refused, 4 some silent, 6 some pending, 0 all done; 5 nobody was
        there to be asked.
        """
        if self.refused:
            return EXIT_REFUSED
        if self.silent:
            return EXIT_SILENT
        if self.pending:
            return EXIT_PENDING
        return EXIT_DONE if self.done else EXIT_NOBODY


class ResponseCollector:
    """Collects the verdicts to one command.

    Args:
        command_id: what they carry.
        expected: the units that have to answer; gone: those that can't.
        now: when it was sent, in seconds on the monotonic clock.
    """

    def __init__(
        self, command_id: str, expected: Iterable[UnitInfo], gone: Iterable[UnitInfo], now: float
    ) -> None:
        self._id = command_id
        self._expected = {unit.name: unit for unit in expected}
        self._gone = list(gone)
        self._sent = now
        self._heard: dict[str, Mapping[str, Any]] = {}
        self._unreadable: dict[str, str] = {}
        self._final: dict[str, Outcome] = {}
        self._left: set[str] = set()

    @property
    def is_complete(self) -> bool:
        """Whether everybody who was expected has given a final verdict, or never will."""
        return self._final.keys() | self._left >= self._expected.keys()

    @property
    def unfinished(self) -> list[UnitInfo]:
        """The units that were expected and have given no final verdict, and may yet do so."""
        known = self._final.keys() | self._left
        return [unit for name, unit in self._expected.items() if name not in known]

    def leave(self, name: str) -> None:
        """Take note that the daemon of a unit has gone: nobody waits for it any more."""
        self._left.add(name)

    def ends_within_s(self) -> float:
        """Return how long after the command the last of those may take that it has led to END.

        0 if there is none, or if none says how long. One that says nothing at all isn't among them.
        """
        ending = (u for u in self.unfinished if self._state_of(u.name) == ENDING)
        told = (unit.ends_within_s or 0.0 for unit in ending)
        return min(max(told, default=0.0), MOST_END_S)

    def _state_of(self, name: str) -> str:
        return str(self._heard.get(name, {}).get("state", ""))

    def take(self, message: bytes | str, now: float) -> Outcome | None:
        """Take in a message of the reply channel; return the outcome, if it is a final verdict."""
        try:
            fields = records.verdict(message)
        except Unreadable as error:
            self._note(message, str(error))
            return None
        name, verdict = fields["name"], fields["verdict"]
        if fields.get("id") != self._id or name in self._final:
            return None
        unit = self._expected.get(name)
        if unit is not None and fields.get("boot", 0) < unit.boot:
            return None
        self._heard[name] = fields
        if verdict not in FINAL:
            return None
        before = unit.state if unit is not None else ""
        outcome = self._final[name] = Outcome(
            name,
            verdict,
            before,
            fields.get("state", ""),
            round((now - self._sent) * 1000, 1),
            fields.get("reason", ""),
            fields,
        )
        return outcome

    def _note(self, message: bytes | str, reason: str) -> None:
        """Remember who has said what can't be read, as far as that can be read."""
        try:
            fields = records.decode(message)
        except Unreadable:
            return
        name = fields.get("name")
        if fields.get("id") == self._id and isinstance(name, str) and name in self._expected:
            self._unreadable[name] = reason

    def report(self) -> Report:
        """Return what is known now: the answers, who is pending, silent, lost; each by name."""
        expected = self._expected.items()
        rest = [self._unfinished(unit) for name, unit in expected if name not in self._final]
        lost = [
            Outcome(u.name, LOST, reason=f"last seen {u.seen}" if u.seen else "")
            for u in self._gone
        ]
        found = [*self._final.values(), *rest, *lost]
        return Report(self._id, tuple(sorted(found, key=lambda outcome: outcome.name)))

    def _unfinished(self, unit: UnitInfo) -> Outcome:
        heard = self._heard.get(unit.name)
        if heard is None:
            before = unit.state if unit.document or unit.unreadable else ""
            return Outcome(unit.name, SILENT, before, reason=self._why(unit))
        after = heard.get("state", "")
        if unit.name in self._left:
            reason = f"{heard['verdict']}, and its daemon has gone since"
            return Outcome(unit.name, SILENT, unit.state, after, reason=reason, fields=heard)
        reason = f"{heard['verdict']}, and not done yet"
        return Outcome(unit.name, PENDING, unit.state, after, reason=reason, fields=heard)

    def _why(self, unit: UnitInfo) -> str:
        """Return why nothing is known of what it made of the command."""
        unreadable = self._unreadable.get(unit.name)
        if unreadable:
            return f"no answer that can be read: {unreadable}"
        return f"no answer; unreadable: {unit.unreadable}" if unit.unreadable else "no answer"


def asked(
    units: Iterable[UnitInfo],
    target: Target,
    hears: Callable[[UnitInfo], bool],
    *,
    launch: bool = False,
) -> tuple[list[UnitInfo], list[UnitInfo]]:
    """Return the units that a command is for: those alive, and those lost.

    Args:
        hears: tells whether a living unit listens where the command is sent. Of a lost one nobody
            knows channels, tags or state: it counts if its name fits and nothing else was asked.
            Of a living one that can't be read nobody knows them either: it counts if its name
            fits, for it may have been meant, and then it is missed by name.
        launch: those that rest are to answer as well.
    """
    alive, lost = [], []
    for unit in units:
        if unit.is_alive and unit.unreadable:
            if Target(name=target.name).is_for(unit.name, frozenset(), ""):
                alive.append(unit)
        elif (unit.is_alive and hears(unit)) or (launch and unit.rests):
            if target.is_for(unit.name, unit.tags, unit.state):
                alive.append(unit)
        elif (
            unit.is_lost
            and not target.tag
            and not target.state
            and target.is_for(unit.name, frozenset(), "")
        ):
            lost.append(unit)
    return alive, lost
