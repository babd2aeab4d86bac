"""What waits to be told to the service manager, and when it may go: at most two notes a second.

A slow process 1 must not be flooded (faults.md, G13), so everything that goes out comes through
here. Pure: the time comes in as ``now`` (monotonic seconds).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

MOST = 2
"""So many notes may go ..."""
WITHIN_S = 1.1
"""... within this time: a second, and what a busy machine adds between sending and hearing."""

_OF_STAGES = ("RELOADING", "MONOTONIC_USEC", "READY", "STOPPING")
"""Of these, one stage may stand in a note: the service manager goes by the last one."""
_REMEMBERED = ("STATUS", "READY")
"""What is no news when it was told before."""


class NotifyQueue:
    """Merges what is news into as few notes as possible, in order.

    A later value takes the place of an unsent one. Only a stage (ready, reloading, stopping) that
    follows another has to wait for a note of its own.
    """

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._stages: deque[dict[str, str]] = deque()
        self._waiting: dict[str, str] = {}
        self._sent: deque[float] = deque(maxlen=MOST)

    def put_status(self, text: str) -> None:
        """Let ``text`` be told, if it is news."""
        if self._said.get("STATUS") == text:
            self._waiting.pop("STATUS", None)  # it was something else in between: nobody knows
        else:
            self._waiting["STATUS"] = text

    def put_stage(self, **fields: str) -> None:
        """Let a new stage be told, in a note after the last one's.

        What waits of an older reload is of no interest any more; the first READY always is: who
        leaves without it has failed to start.
        """
        is_first_due = "READY" not in self._said and any("READY" in s for s in self._stages)
        if "READY" not in fields:
            self._stages = deque([{"READY": "1"}] if is_first_due else [])
        elif self._stages and "READY" in self._stages[-1]:
            return
        else:
            self._waiting.pop("EXTEND_TIMEOUT_USEC", None)  # nothing is to be waited for any more
        self._stages.append(fields)

    def put(self, **fields: str) -> None:
        """Let ``fields`` be told, news or not."""
        self._waiting |= fields

    @property
    def owes_stage(self) -> bool:
        """Whether a stage still waits for its turn."""
        return bool(self._stages)

    def wait_s(self, now: float) -> float | None:
        """Return how long the next note has to wait, in seconds; None if there is none."""
        if not (self._stages or self._waiting):
            return None
        free_at = self._sent[0] + WITHIN_S if len(self._sent) == MOST else now
        if self._sent and not self._stages:  # spread, so that a stage finds a place at once
            free_at = max(free_at, self._sent[-1] + WITHIN_S / MOST)
        return max(0.0, free_at - now)

    def take(self, now: float) -> dict[str, str]:
        """Return the next note; empty if there is none, or it is too early."""
        if self.wait_s(now) != 0.0:
            return {}
        fields = {**(self._stages.popleft() if self._stages else {}), **self._waiting}
        self._said |= {key: text for key, text in fields.items() if key in _REMEMBERED}
        self._waiting = {}
        self._sent.append(now)
        return fields

    def give_back(self, note: Mapping[str, str]) -> None:
        """Let a note that nobody has taken be told again, when it may."""
        for key in _REMEMBERED:
            self._said.pop(key, None)
        stage = {key: text for key, text in note.items() if key in _OF_STAGES}
        if stage:
            self._stages.appendleft(stage)
        rest = {key: text for key, text in note.items() if key not in _OF_STAGES}
        self._waiting = {**rest, **self._waiting}
