"""Threads that wait for one pipe: one of them reads it, and wakes the others when it has.

Built of bare locks: importing `threading` would cost the user's process more than all else here.
"""

from __future__ import annotations

from _thread import LockType, allocate_lock, get_ident
from time import monotonic

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_S = 1e9
"""A longer time is one without a limit: poll(2) counts its milliseconds in an int."""


def deadline_after(timeout_s: float | None) -> float | None:
    """Return when so many seconds are over (monotonic); None for never."""
    if timeout_s is None or timeout_s >= LONGEST_S:
        return None
    return monotonic() + timeout_s


class Waiters:
    """The threads that wait, and who of them reads."""

    def __init__(self) -> None:
        self._reading = allocate_lock()
        self._reader = 0
        self._asleep: list[LockType] = []

    @property
    def is_reading(self) -> bool:
        """Tell whether this very thread reads; a signal handler that interrupted it may ask."""
        return self._reader == get_ident()

    def wait(self, read: Callable[[float | None], bool], deadline: float | None) -> bool:
        """Block until something was read, by this thread or another.

        Args:
            read: blocks until there is something, and takes it; gets the deadline.
            deadline: in monotonic seconds; None for never.

        Returns:
            What ``read`` has returned; to a thread that doesn't read itself, whether it was woken
            before the deadline.
        """
        if not self._reading.acquire(False):
            mine = allocate_lock()
            mine.acquire()
            self._asleep.append(mine)
            # Whoever reads wakes all that are in the list when it is done. If it was done before we
            # were in it, the place is free by now, or taken by another one who will.
            if not self._reading.acquire(False):
                return self._sleep(mine, deadline)
        self._reader = get_ident()
        try:
            return read(deadline)
        finally:
            self._reader = 0
            self._reading.release()
            self._wake()

    def _wake(self) -> None:
        """Let every sleeping thread look again; one of them will read."""
        while self._asleep:
            try:
                self._asleep.pop().release()
            except IndexError:  # two at a time may do this
                return

    def _sleep(self, mine: LockType, deadline: float | None) -> bool:
        left_s = -1.0 if deadline is None else max(0.0, deadline - monotonic())
        try:
            return mine.acquire(True, left_s)
        finally:
            try:  # noqa: SIM105  # contextlib is another import in the user's process
                self._asleep.remove(mine)
            except ValueError:  # who woke us has taken it out
                pass
