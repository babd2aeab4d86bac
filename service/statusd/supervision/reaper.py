"""Whose children are ours, and burying those who are not.

As process 1 of a container we inherit every orphan in it, and elsewhere those of our worker.
Rules of this file: a child that we made is waited for by whoever made it, and by nobody else; a
stranger is looked at before it is reaped.
"""

from __future__ import annotations

import contextlib
import os

from statusd.supervision import proc

ours: set[int] = set()
"""The processes that we have started and not waited for yet."""


whose: dict[int, str] = {}
"""Of orphans that aren't buried yet: what is known of whose they are."""

_PR_SET_CHILD_SUBREAPER = 36
_is_nearest = False
"""Orphans among our descendants fall to us."""


def become_nearest() -> None:
    """Have orphans among our descendants fall to us instead of to process 1 (prctl(2)).

    An interpreter without `ctypes` can't ask; then nobody who leaves its group is seen any more.
    """
    global _is_nearest
    try:
        import ctypes
    except ImportError:
        return
    _is_nearest = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def has_orphans() -> bool:
    """Tell whether orphans fall to us, to be buried."""
    return _is_nearest or os.getpid() == 1


def reaped(pid: int) -> None:
    """Note that our child ``pid`` was waited for; whoever waits behind it is buried now."""
    ours.discard(pid)
    reap_orphans()


def reap_orphans() -> int:
    """Reap the dead that fell to us, and return how many they were.

    ``WNOWAIT`` leaves the status of each where it is until we know whose it is (waitid(2)).
    """
    if not has_orphans():
        return 0
    count = 0
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if dead is None or dead.si_pid in ours:
            return count  # ours is first in the queue: its owner is about to take it
        os.waitpid(dead.si_pid, 0)
        whose.pop(dead.si_pid, None)  # its number may be another's from now on
        count += 1


def reap_group(group: int) -> None:
    """Reap the dead that fell to us of the process group whose leader, ours, was waited for."""
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG)) is not None:
            whose.pop(dead.si_pid, None)


def orphans() -> list[int]:
    """Return those of our children that we haven't started; nobody if they can't be looked at."""
    try:
        return [pid for pid in proc.fallen() if pid not in ours]
    except OSError:  # no descriptor left
        return []
