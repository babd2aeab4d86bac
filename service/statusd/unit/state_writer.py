"""The thread that brings a unit's state to the disk, so that the loop never waits for it.

Rules of this file: of what waits only the newest is written; no more often than the disk can take;
one that fails is tried again until it doesn't, or a newer one takes its place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from statusd import threads
from statusd.core.errors import Unavailable
from statusd.unit.kept import Kept

PAUSE_S = 0.05
"""The shortest time between two writes, in seconds."""
AGAIN_S = 1.0
"""A write that has failed is tried again after this time."""


class Job(NamedTuple):
    """What is to be written, the number by which it is known, and the commands open in it."""

    number: int
    kept: Kept
    boot: int
    open: frozenset[str]


class Done(NamedTuple):
    """What has become of it: no ``trouble``, or the reason."""

    job: Job
    trouble: str


class Writer:
    """The thread that writes, from the start on: one that is to be had later may not be.

    Args:
        write: brings one to the disk, or raises OSError or Unavailable.
        tell: gets what has become of each; both are called in the thread.

    Raises:
        OSError: there is no thread to be had.
    """

    def __init__(
        self, write: Callable[[Job], None], tell: Callable[[Done], None], name: str
    ) -> None:
        self._work, self._tell = write, tell
        self._changed = threading.Condition()
        self._next: Job | None = None
        self._unreported: list[Job] = []
        """What is being written, or was, and the loop hasn't taken that in."""
        self._since = self._not_before = 0.0
        self._is_urgent = self._is_closed = False
        threads.start(self._write_on, f"state of {name}")

    def put(self, job: Job, *, now: bool) -> None:
        """Have it written, in the place of an older one that waits still."""
        with self._changed:
            self._next = job
            self._since = self._since or time.monotonic()
            self._is_urgent |= now
            self._changed.notify()

    def hurry(self) -> None:
        """Let what waits be written without a pause."""
        with self._changed:
            self._is_urgent = True
            self._changed.notify()

    def close(self) -> None:
        """End the thread; one that hangs in a write is left to it, and touches nothing after."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def may_write(self, command_id: str) -> bool:
        """Tell whether a file that comes, or has just come, to the disk has that command open."""
        with self._changed:
            jobs = (*self._unreported, *filter(None, (self._next,)))
        return any(command_id in job.open for job in jobs)

    def reported(self, job: Job) -> None:
        """The loop knows what has become of it."""
        with self._changed:
            self._unreported.remove(job)

    def waits_s(self) -> float:
        """Return for how long something has waited to be on the disk, in seconds; 0: it is."""
        since = self._since
        return time.monotonic() - since if since else 0.0

    # ---- the thread --------------------------------------------------------------------------

    def _write_on(self) -> None:
        while (job := self._wait()) is not None:
            try:
                self._work(job)
                trouble = ""
            except OSError as error:
                trouble = error.strerror or type(error).__name__
            except Unavailable as error:  # somebody else's file is in the way
                trouble = str(error)
            self._put_down(job, again=bool(trouble))
            self._tell(Done(job, trouble))

    def _wait(self) -> Job | None:
        """Wait for the next one that may be written by now; None at the end."""
        with self._changed:
            while not self._is_closed:
                wait_s = 0.0 if self._is_urgent else self._not_before - time.monotonic()
                if self._next is not None and wait_s <= 0:
                    self._is_urgent = False
                    job, self._next = self._next, None
                    self._unreported.append(job)
                    return job
                self._changed.wait(None if self._next is None else wait_s)
            return None

    def _put_down(self, job: Job, *, again: bool) -> None:
        with self._changed:
            now = time.monotonic()
            self._not_before = now + (AGAIN_S if again else PAUSE_S)
            if again and self._next is None:
                self._next = job
            self._since = now if self._next is not None else 0.0
