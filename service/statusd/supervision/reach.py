"""Signals that may be refused: an answer like any other, never an error.

A program that becomes another user (sudo, a set-uid program) can't be signalled by us any more:
kill(2) says EPERM. Rules of this file: nothing here raises that; a group counts as reached only if
all that lives of it is, for killpg(2) is content with one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

from statusd.supervision import proc
from statusd.supervision.proc import Member


class Unreached(NamedTuple):
    """Who can't be signalled, and why, in words; ``pid`` is the first of them."""

    pid: int
    whom: str
    why: str

    def __str__(self) -> str:
        return f"{self.whom} {self.why}"


def send(pid: int, number: int, *, group: bool = False) -> str:
    """Signal a process, or the group that it leads; return why that was refused.

    An empty text means that somebody got it, or that nobody is there any more.
    """
    try:
        (os.killpg if group else os.kill)(pid, number)
    except ProcessLookupError:
        return ""
    except PermissionError as error:
        return f"can't be signalled: {error.strerror}"
    return ""


def beyond(members: Iterable[Member]) -> Unreached | None:
    """Return who of ``members`` can't be signalled by us; None if all can."""
    refused = [(one, why) for one in members if (why := send(one.pid, 0))]
    if not refused:
        return None
    first, why = refused[0]
    others = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    return Unreached(first.pid, named(first) + others, why)


def rest(*groups: int) -> list[Member]:
    """Return what lives of process groups, as far as it can be seen.

    The kernel counts the dead too, and an init that is slow to bury them, or a container without
    one, would keep us waiting: so it is looked at. Where others' processes are hidden from us, or
    nobody can look for want of descriptors, the group itself stands for them.
    """
    there = {group: is_hidden for group in groups if (is_hidden := _is_hidden(group)) is not None}
    if not there:
        return []
    try:
        found = proc.living(*there)
    except OSError:
        return [unseen(group) for group in there]
    seen = {one.group for one in found}
    return found + [
        unseen(group) for group, hidden in there.items() if hidden and group not in seen
    ]


def _is_hidden(group: int) -> bool | None:
    """Tell whether members of a group may be hidden from us; None if there are none at all."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return not proc.shows_all()
    return False


def is_there(group: int) -> bool:
    """Tell whether a process group has any members, dead or alive: else its number is free."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def unseen(group: int) -> Member:
    """Return what stands for the members of a group that can't be looked at."""
    return Member(-group, "", "", group, group, sys.maxsize)  # kill(2): minus means the group


def named(one: Member) -> str:
    """Return who that is, for a human: ``pid 4711 (sudo, of root)``."""
    if one.pid < 0:
        return f"process group {-one.pid} (hidden from us in /proc)"
    owner = proc.owner(one.pid)
    return f"pid {one.pid} ({one.name}{f', of {owner}' if owner else ''})"
