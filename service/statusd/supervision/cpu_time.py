"""CPU time of processes that come and go: each tick counts once, whoever tells of it.

What a process has used is told by itself while it lives, and by its parent once that has waited for
it. A sample isn't taken at once: who ends between the reading of its parent and its own is in
neither, and in the next one with its parent. One that can't be read for once, or has fallen to us
and isn't known yet, is back later with all that it had. So everybody is remembered for a while
after it was seen last, and what comes back of him by a parent was counted already.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

REMEMBERED = 4
"""So many samples: one for each generation that ends while the one before it is being read."""


class Spent(NamedTuple):
    """What a process has used, in ticks.

    Args:
        pid: its number, which another one may have later; began: tells these apart.
        own: by itself; waited_for: by children, once it has waited for them.
    """

    pid: int
    parent: int
    began: int
    own: int
    waited_for: int


@dataclass(slots=True)
class _Gone:
    """One that isn't seen any more.

    Args:
        last: what it had used when it was; owed: how much of that a parent may tell again.
        samples: since then.
    """

    last: Spent
    owed: int
    samples: int = 0


class CpuTime:
    """Counts the ticks of one run."""

    def __init__(self) -> None:
        self.ticks = 0
        """Until now."""
        self._seen: dict[tuple[int, int], Spent] = {}
        self._gone: dict[tuple[int, int], _Gone] = {}

    def count(self, found: Iterable[Spent]) -> int:
        """Take in a sample, and return what was used since the one before."""
        before, self._seen = self._seen, {(one.pid, one.began): one for one in found}
        for life, one in before.items():
            if life not in self._seen:
                self._gone[life] = _Gone(one, one.own + one.waited_for)
        returned = {life: self._gone.pop(life).last for life in self._seen if life in self._gone}
        owed = self._owed()
        used = 0
        for life, one in self._seen.items():
            last = before.get(life) or returned.get(life)
            told = one.waited_for - (last.waited_for if last else 0)
            for gone in owed.get(one.pid, ()):
                known = min(told, gone.owed)
                told -= known
                gone.owed -= known
            used += one.own - (last.own if last else 0) + told
        self._forget()
        self.ticks += used
        return used

    def _owed(self) -> Mapping[int, list[_Gone]]:
        """Return who may tell of those that are gone: the next forebear that is seen."""
        if not self._gone:
            return {}
        pids = {pid for pid, _ in self._seen}
        parents = {gone.last.pid: gone.last.parent for gone in self._gone.values()}
        owed: dict[int, list[_Gone]] = {}
        for gone in self._gone.values():
            owed.setdefault(_forebear(gone.last.parent, parents, pids), []).append(gone)
        return owed

    def _forget(self) -> None:
        for life, gone in [*self._gone.items()]:
            gone.samples += 1
            if gone.samples >= REMEMBERED:
                del self._gone[life]


def _forebear(pid: int, parents: Mapping[int, int], pids: Container[int]) -> int:
    """Return the next one that is seen; 0 for none, as of an orphan, whom we bury."""
    for _ in parents:  # numbers come again, and could lead in a circle
        if pid in pids:
            return pid
        pid = parents.get(pid, 0)
    return pid if pid in pids else 0
