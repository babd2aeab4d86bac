"""Strays: processes of a run that have left its group (setsid, a daemon's double fork).

We are the nearest to bury whoever has lost its parent (PR_SET_CHILD_SUBREAPER of prctl(2)), so a
stray becomes our child at the latest when the worker ends. It is known by the variable `TOKEN`
that it has inherited. Rules of this file: whose run can't be told is named in the log, buried, and
never signalled.
"""

from __future__ import annotations

import math
import os
import sys
import time

from statusd import logs
from statusd.supervision import proc, reach, reaper
from statusd.supervision.guard import Guard
from statusd.supervision.proc import Member

TOKEN = "STATUSD_RUN"
"""The variable that tells which run a process belongs to: a path, a colon, a number."""
MOST_NAMED = 3
"""So many of them are named; of the rest, how many they are."""

LATELY_S = 0.2
"""For a look now and then, one that another unit has taken so lately is as good."""
SOON_S = 0.02
"""So soon it is looked on, where there were more than are taken in at once."""
AT_ONCE = 50
"""And it takes in so many new ones: five milliseconds in which no unit hears anything."""
_NOBODYS = ""


class Orphans:
    """All who fell to us, whichever unit they come from: looked at once for all units."""

    def __init__(self) -> None:
        self._of: dict[str, list[int]] = {}
        self._looked_at = -math.inf
        self.are_more = False
        """There are some that were not taken in yet."""
        self._unknown: list[int] = []

    def of(self, file: str, *, lately_s: float = 0.0) -> list[int]:
        """Return those of the unit that has this `file`; what was seen ``lately_s`` ago will do."""
        now = time.monotonic()
        if now - self._looked_at >= (min(lately_s, SOON_S) if self.are_more else lately_s):
            self._looked_at = now
            self._look(AT_ONCE if lately_s else sys.maxsize)
        return self._of.get(file, [])

    def is_still(self, pid: int, file: str) -> bool:
        """Tell whether an orphan is that unit's still: it may have become a program without."""
        token = _token(pid)
        if token is None:
            return False
        whose = reaper.whose[pid] = token.rpartition(":")[0]
        if whose == _NOBODYS:
            self._unknown.append(pid)
        return whose == file

    def unknown(self) -> list[int]:
        """Return those whose unit can't be told, each once."""
        found, self._unknown = self._unknown, []
        return found

    def _look(self, most_new: int) -> None:
        self._of, self.are_more = {}, False
        for pid in reaper.orphans():
            whose = reaper.whose.get(pid)
            if whose is None:
                if not most_new:
                    self.are_more = True
                    continue
                most_new -= 1
                token = _token(pid)
                if token is None:  # it is just gone, or nobody can look
                    continue
                whose = reaper.whose[pid] = token.rpartition(":")[0]
                if whose == _NOBODYS:
                    self._unknown.append(pid)
            self._of.setdefault(whose, []).append(pid)


_orphans = Orphans()


class Strays:
    """Those of one run.

    Args:
        run: its generation, for the log.
        file: of the unit; what its processes have in `TOKEN` begins with it. Empty: none is known.
        guard: kills their groups if we die.
        log: where it tells of them.
    """

    def __init__(self, run: int, file: str, guard: Guard, log: logs.Logger) -> None:
        self._log = log
        self._run, self._file, self._guard = run, file, guard
        self._groups: set[int] = set()

    def look(self, *, lately_s: float = 0.0) -> bool:
        """Take in who has fallen to us, and have the guard watch it; forget whose group is gone.

        Args:
            lately_s: what was seen so long ago will do, and a few of many; 0 for all as they are.

        Returns:
            Whether there are more.
        """
        for group in [group for group in self._groups if not reach.is_there(group)]:
            self._groups.remove(group)  # its number may be somebody else's now
            self._guard.forget(group)
        if not self._file:
            return False
        orphans = _orphans.of(self._file, lately_s=lately_s)
        outside = [one for pid in orphans if (one := self._outside(pid)) is not None]
        found = [one for one in outside if _orphans.is_still(one.pid, self._file)]
        for one in found:
            self._groups.add(one.group)
            self._guard.watch(one.group)
        if found:
            self._log.info("worker.left_group", run=self._run, whom=_named(found))
        for pid in _orphans.unknown():
            self._tell_of_unknown(pid)
        return _orphans.are_more

    def _outside(self, pid: int) -> Member | None:
        """Return who lives outside of all groups that are watched; None for anybody else."""
        try:
            group = os.getpgid(pid)
            is_inside = group == os.getpgrp() or self._guard.watches(group)
            one = None if is_inside else proc.look(pid)
        except OSError:  # it is gone, or no descriptor is left
            return None
        return None if one is None or one.is_dead else one

    def _tell_of_unknown(self, pid: int) -> None:
        one = self._outside(pid)
        if one is not None:
            then = "it isn't known whose it is, so it is left alone"
            self._log.warning("orphan.unknown", whom=reach.named(one), then=then)

    @property
    def groups(self) -> frozenset[int]:
        """The process groups in which something of them was seen to live."""
        return frozenset(self._groups)

    def orphans(self) -> list[int]:
        """Return who of the unit has fallen to us, in its group or not, as of the last look."""
        return _orphans.of(self._file, lately_s=math.inf) if self._file else []

    def members(self) -> list[Member]:
        """Return what lives of them."""
        return reach.rest(*sorted(self._groups))

    def send(self, number: int) -> None:
        """Signal all of them; whom it doesn't reach is still among the `members`."""
        for group in self._groups:
            reach.send(group, number, group=True)

    def farewell(self) -> str:
        """Return whom the end of the worker takes with it, for a human; empty for nobody."""
        members = self.members()
        if not members:
            return ""
        return f"killed with it, for it had gone into the background: {_named(members)}"

    def forget(self) -> None:
        """Nothing of them lives."""
        for group in self._groups:
            self._guard.forget(group)


def _named(members: list[Member]) -> str:
    """Return who they are, for a human: the first by name."""
    more = f" and {len(members) - MOST_NAMED} more" if len(members) > MOST_NAMED else ""
    return ", ".join(map(reach.named, members[:MOST_NAMED])) + more


def _token(pid: int) -> str | None:
    """Return what a process has inherited as `TOKEN`: empty for nothing, None if that is hidden."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:
        return None
    mark = f"{TOKEN}=".encode()
    values = [one.removeprefix(mark) for one in variables if one.startswith(mark)]
    return values[0].decode("utf-8", "replace") if values else ""
