"""Whether the worker still gets on with its work: judged by its work loop, never by a thread.

Rules of this file: only a worker that beats can hang; one that waits because it was told to, and
said so, doesn't; our own sleep (a suspended machine, a stopped daemon) is not its fault.
"""

from __future__ import annotations

from dataclasses import dataclass

from statusd.supervision.worker_channel import Pulse


def look_every_s(hang_timeout_s: float) -> float:
    """Return how often to look so that a hang is noticed within a second of its time."""
    return max(0.05, min(0.5, hang_timeout_s / 4))


@dataclass(slots=True)
class HangDetector:
    """The memory of one run's signs of life.

    Its first look counts as a sign of life.
    """

    _pulse: Pulse | None = None
    _moved: float = 0.0
    _looked: float = 0.0

    def silent_s(self, pulse: Pulse, now: float, *, is_waiting: bool, interval_s: float) -> float:
        """Return for how long the worker has shown no progress that it should have shown.

        Args:
            pulse: its signs of life as they are now.
            is_waiting: it was told to wait, and has said that it does.
            interval_s: how often this is asked; a much longer gap was our own sleep.
        """
        slept_s = now - (self._looked or now) - interval_s
        self._looked = now
        moved = pulse != self._pulse or is_waiting or pulse.beats == 0
        self._pulse = pulse
        if moved or slept_s > 1.0:
            self._moved = now
        return now - max(self._moved or now, pulse.patience_until)
