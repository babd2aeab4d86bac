"""When a dead worker gets another try, and how long things may take.

Pure: the time comes in as ``now`` (monotonic seconds), chance as a function.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


class Restart(enum.Enum):
    """Which ends of a worker are followed by a new start."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class OnMemory(enum.Enum):
    """What is done about a worker that has more memory than it may have."""

    CRASH = "crash"
    PAUSE = "pause"
    TELL = "tell"


SHRUNK = 0.9
"""So much of what it may have is no excess any more: who stands at the edge is told of once."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient a unit is. All times in seconds.

    Args:
        restart: which ends of the worker are followed by a new start.
        never_on: exit codes that mean that another start would be of no use; they win over
            ``restart``.
        backoff_s: the first and the longest wait before a new start; it doubles in between.
        budget: so many restarts are granted in ``window_s``; one more is the end of trying.
        window_s: a worker that lived so long has proved healthy; older deaths are forgotten.
        exit_on_failed: leave with 75 instead of staying in FAILED.
        ready_timeout_s: the worker must be ready so long after its start.
        ack_timeout_s: the worker must be seen in a commanded state within this time.
        hang_timeout_s: no progress for so long is a crash; 0 for never.
        memory_max: more bytes of memory are an excess; 0 for none.
        on_memory: what is done about one.
        stop_timeout_s: from END to SIGTERM; kill_timeout_s: from SIGTERM to SIGKILL.
        signal_stop_timeout_s: from END to SIGTERM where a signal has asked for it: whoever sends
            that has a limit of its own.
        deadline: when the job has to be over, in Unix time; 0 for never.
        deadline_margin_s: so long before that ``deadline_word`` is obeyed.
        requeue_exit: what the daemon leaves with if a signal or the deadline has cut the work
            short; 0 for no code of its own.
        attached: the worker is the user's own program, and we are its child: it is told, and never
            signalled, killed or started. What it doesn't do in time is said, and no more.
    """

    restart: Restart = Restart.ON_FAILURE
    never_on: frozenset[int] = frozenset({64, 78})
    backoff_s: tuple[float, float] = (1.0, 30.0)
    budget: int = 5
    window_s: float = 60.0
    exit_on_failed: bool = False
    ready_timeout_s: float = 30.0
    ack_timeout_s: float = 600.0
    hang_timeout_s: float = 0.0
    memory_max: int = 0
    on_memory: OnMemory = OnMemory.CRASH
    stop_timeout_s: float = 60.0
    signal_stop_timeout_s: float = 5.0
    kill_timeout_s: float = 2.0
    attached: bool = False
    deadline: float = 0.0
    deadline_margin_s: float = 0.0
    deadline_word: str = "end"
    requeue_exit: int = 0

    def is_excess(self, memory: int, *, before: bool) -> bool:
        """Tell whether so many bytes are too much, or still are where they were ``before``."""
        return bool(self.memory_max) and memory > self.memory_max * (SHRUNK if before else 1.0)


@dataclass(slots=True)
class Restarts:
    """The memory of recent deaths.

    Args:
        draw: returns a number in [0, 1), for the jitter.
    """

    policy: Policy
    draw: Callable[[], float]
    _deaths: deque[float] = field(default_factory=deque)

    def after_death(self, now: float) -> float | None:
        """Count a death and return the seconds until the next try, or None if there is none."""
        if self.policy.restart is Restart.NEVER:
            return None
        while self._deaths and now - self._deaths[0] > self.policy.window_s:
            self._deaths.popleft()
        self._deaths.append(now)
        if len(self._deaths) > self.policy.budget:
            return None
        first_s, longest_s = self.policy.backoff_s
        # The exponent is bounded: 2.0**1024 would raise, long after the longest wait is reached.
        wait_s = min(longest_s, first_s * 2.0 ** min(len(self._deaths) - 1, 60))
        return wait_s * (0.75 + 0.25 * self.draw())

    def clear(self) -> None:
        """Forget all deaths: somebody said reset."""
        self._deaths.clear()
