"""Strays: processes of a run that have left its group (setsid, a daemon's double fork).

We are the nearest to bury whoever has lost its parent (PR_SET_CHILD_SUBREAPER of prctl(2)), so a
stray becomes our child at the latest when the worker ends. It is known by the variable `TOKEN`
that it has inherited. Rules of this file: whose run can't be told is named in the log, buried, and
never signalled.
"""

from __future__ import annotations

import os

from statusd import logs
from statusd.supervision import proc, reach, reaper
from statusd.supervision.guard import Guard
from statusd.supervision.proc import Member

TOKEN = "STATUSD_RUN"
"""The variable that tells which run a process belongs to: a path, a colon, a number."""
MOST_NAMED = 3
"""So many of them are named; of the rest, how many they are."""

log = logs.get()

_told: set[tuple[int, int]] = set()
"""Pid and start of those whose run can't be told, and who were named already."""


class Orphans:
    """Our living children that we haven't started, as they are when the first one asks.

    However many runs they are asked for, each is looked at once.
    """

    def __init__(self) -> None:
        self._members: list[Member] | None = None
        self._tokens: dict[int, str | None] = {}
        self.our_group = os.getpgrp()

    @property
    def members(self) -> list[Member]:
        """All of them; nobody if they can't be looked at."""
        if self._members is None:
            try:
                found = [proc.look(pid) for pid in proc.fallen() if pid not in reaper.ours]
            except OSError:  # no descriptor left, or a kernel that doesn't tell
                found = []
            self._members = [one for one in found if one is not None and not one.is_dead]
        return self._members

    def token(self, one: Member) -> str | None:
        """Return what it has inherited as `TOKEN`: empty for nothing, None if that is hidden."""
        if one.pid not in self._tokens:
            self._tokens[one.pid] = _token(one.pid)
        return self._tokens[one.pid]


class Strays:
    """Those of one run.

    Args:
        run: its generation, for the log.
        file: of the unit; what its processes have in `TOKEN` begins with it. Empty: none is known.
        group: the worker's own group, which is no stray's.
        guard: kills their groups if we die.
    """

    def __init__(self, run: int, file: str, group: int, guard: Guard) -> None:
        self._run, self._file, self._group, self._guard = run, file, group, guard
        self._groups: set[int] = set()

    def look(self, orphans: Orphans | None = None) -> None:
        """Take in who has fallen to us, and have the guard watch it.

        Args:
            orphans: who has, for whoever looks for many at the same time.
        """
        if not self._file:
            return
        orphans = orphans or Orphans()
        for one in orphans.members:
            if one.group in (self._group, orphans.our_group) or one.group in self._groups:
                continue
            token = orphans.token(one)
            if token is not None and token.rpartition(":")[0] == self._file:
                self._groups.add(one.group)
                self._guard.watch(one.group)
                log.info("worker.left_group", run=self._run, whom=reach.named(one))
            elif token is None and (one.pid, one.started) not in _told:
                _told.add((one.pid, one.started))
                then = "it isn't known whose it is, so it is left alone"
                log.warning("orphan.unknown", whom=reach.named(one), then=then)

    def members(self) -> list[Member]:
        """Return what lives of them."""
        return [one for group in sorted(self._groups) for one in reach.rest(group)]

    def send(self, number: int) -> None:
        """Signal all of them; whom it doesn't reach is still among the `members`."""
        for group in self._groups:
            reach.send(group, number, group=True)

    def farewell(self) -> str:
        """Return whom the end of the worker takes with it, for a human; empty for nobody."""
        names = [reach.named(one) for one in self.members()]
        if not names:
            return ""
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        named = ", ".join(names[:MOST_NAMED]) + more
        return f"killed with it, for it had gone into the background: {named}"

    def forget(self) -> None:
        """Nothing of them lives."""
        for group in self._groups:
            self._guard.forget(group)


def _token(pid: int) -> str | None:
    """Return what a process has inherited as `TOKEN`: empty for nothing, None if that is hidden."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:
        return None
    mark = f"{TOKEN}=".encode()
    values = [one.removeprefix(mark) for one in variables if one.startswith(mark)]
    return values[0].decode("utf-8", "replace") if values else None
