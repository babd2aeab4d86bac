"""Answers to plain words that change nothing: told singly while they are few, summed in a flood.

Pure: the time comes in as ``now`` (monotonic seconds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from statusd.core.answers import Answer, Verdict

PER_SECOND = 20
"""So many answers a second are sent for words that are no-ops or refused; the rest is summed."""
MOST_SPELLINGS = 256
"""So many different messages are remembered between two changes of state."""


UNKNOWN = float("inf")
"""When a word was heard that was counted and no more."""


@dataclass(slots=True)
class Repeated:
    """One message that changes nothing, and how often it was heard since it was last answered.

    Args:
        since: when the first of them was heard; `UNKNOWN` until the next look.
    """

    verdict: Verdict
    count: int = 0
    since: float = UNKNOWN


@dataclass(slots=True)
class Coalescer:
    """Counts what changes nothing, and says when to answer.

    ``slots`` is read on the hot path: channel and payload, one after the other -> slot, valid until
    `forget`. ``untold`` and ``invalid_slot`` are what else waits to be told.
    """

    slots: dict[bytes, Repeated] = field(default_factory=dict)
    invalid: int = 0
    _told: int = 0
    untold: list[Repeated] = field(default_factory=list)
    _tokens: float = PER_SECOND
    _refilled: float = 0.0
    invalid_slot: Repeated | None = None
    _invalid_told: float = float("-inf")

    def count(self, key: bytes, verdict: Verdict, now: float) -> None:
        """Count a message answered by ``verdict``; the next one like it is found in `slots`."""
        slot = Repeated(verdict, 1, now)
        if len(self.slots) < MOST_SPELLINGS:
            self.slots[key] = slot
        else:
            self.untold.append(slot)

    def count_invalid(self, make_verdict: Callable[[], Verdict], now: float) -> None:
        """Count a message that is no command; only the first one's verdict is ever made."""
        self.invalid += 1
        if self.invalid_slot is None:
            self.invalid_slot = Repeated(make_verdict(), 0, now)
        self.invalid_slot.count += 1

    def forget(self, heard: float) -> None:
        """The state has changed: what was counted is told as it was, later words anew.

        Args:
            heard: when what was counted since `due` was heard.
        """
        if not self.slots:
            return
        self.untold.extend(self._counted(heard))
        self.slots.clear()

    def due(self, now: float, heard: float) -> list[Verdict]:
        """Return the answers that are due; what is held back is due again in a second at most.

        Args:
            heard: when what was counted since the last time was heard. To be told with each batch
                of messages: a word that is known is counted and nothing more, not even timed.
        """
        self._tokens = min(PER_SECOND, self._tokens + (now - self._refilled) * PER_SECOND)
        self._refilled = now
        told: list[Verdict] = []
        while self.untold and self._tokens >= 1:
            told.append(self._spend(self.untold.pop(0), now))
        for slot in self._counted(heard):
            if self._tokens >= 1:
                told.append(self._spend(slot, now))
        if self.invalid_slot is not None and now - self._invalid_told >= 1:
            told.append(_summed(self.invalid_slot, now))
            self.invalid_slot, self._invalid_told = None, now
        self._merge_untold()
        return told

    def drain(self, now: float, heard: float) -> list[Verdict]:
        """Return every answer that was held back: nobody will ask again."""
        self.forget(heard)
        if self.invalid_slot is not None:
            self.untold.append(self.invalid_slot)
            self.invalid_slot = None
        self._merge_untold()
        told = [_summed(slot, now) for slot in self.untold]
        self.untold.clear()
        return told

    def _counted(self, heard: float) -> Iterator[Repeated]:
        """Yield the slots that wait to be told, each with the time from which on it waits."""
        for slot in self.slots.values():
            if slot.count:
                if slot.since == UNKNOWN:
                    slot.since = heard
                yield slot

    @property
    def holds_back(self) -> bool:
        """Tell whether something was counted that has not been answered yet."""
        return (
            bool(self.untold)
            or self.invalid_slot is not None
            or any(slot.count for slot in self.slots.values())
        )

    @property
    def counted(self) -> int:
        """How many words that change nothing were heard, answered or not."""
        waiting = (*self.untold, *self.slots.values())
        return self._told + sum(slot.count for slot in waiting)

    def _spend(self, slot: Repeated, now: float) -> Verdict:
        self._tokens -= 1
        self._told += slot.count
        verdict = _summed(slot, now)
        slot.count, slot.since = 0, UNKNOWN
        return verdict

    def _merge_untold(self) -> None:
        """Bound the memory of what is held back: one slot for each kind of answer and reason."""
        if len(self.untold) < 2:
            return
        merged: dict[tuple[object, object], Repeated] = {}
        for slot in self.untold:
            key = (slot.verdict.kind, slot.verdict.fields.get("reason"))
            if key in merged:
                merged[key].count += slot.count
                merged[key].since = min(merged[key].since, slot.since)
            else:
                merged[key] = slot
        self.untold = list(merged.values())


def _summed(slot: Repeated, now: float) -> Verdict:
    verdict = slot.verdict.timed(round((now - slot.since) * 1000, 1))
    if slot.count == 1:
        return verdict
    fields = dict(verdict.fields)
    if fields["verdict"] == Answer.INVALID.value:
        fields["reason"] = f"{fields['reason']} (and {slot.count - 1} more)"
    return Verdict(fields | {"count": slot.count}, slot.verdict.reply_to)
