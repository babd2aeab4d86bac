"""Looking at processes in proc(5): who they are, and which of a group live.

Rules of this file: it looks and signals nobody; who is gone, or hidden from us (``hidepid=`` of
proc(5)), is simply not found.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple


class Member(NamedTuple):
    """One process, as it was a moment ago.

    Args:
        name: of its program, as the kernel has it.
        state: the kernel's letter; Z for one that is dead and not buried.
        started: in clock ticks since the machine booted; with the pid, nobody else's.
    """

    pid: int
    name: str
    state: str
    group: int
    session: int
    started: int

    @property
    def is_dead(self) -> bool:
        """Tell whether only its number is left."""
        return self.state in "ZX"


def look(pid: int) -> Member | None:
    """Return the process that has the number ``pid``; None for nobody.

    Raises:
        OSError: nobody can look just now, for want of descriptors: that says nothing of it.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name stands in parentheses and may hold anything, even a parenthesis.
            head, _, tail = file.read().rpartition(b")")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    name = head.partition(b"(")[2].decode("utf-8", "replace")
    fields = tail.split()
    return Member(pid, name, fields[0].decode(), int(fields[2]), int(fields[3]), int(fields[19]))


def living(group: int) -> list[Member]:
    """Return every member of the process group that lives; it looks at all there are.

    Raises:
        OSError: see `look`.
    """
    found = (look(int(entry.name)) for entry in os.scandir("/proc") if entry.name.isdigit())
    return [one for one in found if one is not None and one.group == group and not one.is_dead]


def family(leader: int) -> list[Member]:
    """Return the living of a group: its leader, and who descends from it without leaving it.

    It costs 50 µs a process, whatever else runs here. Who has lost its parent isn't found.

    Raises:
        OSError: see `look`.
    """
    try:
        return list(_descend(leader))
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return living(leader)


def _descend(leader: int) -> Iterator[Member]:
    pids = [leader]
    for pid in pids:
        member = look(pid)
        if member is None or member.group != leader:
            continue
        if not member.is_dead:
            yield member
        pids += children(pid)


def children(pid: int) -> list[int]:
    """Return the children of all threads of ``pid``.

    Raises:
        FileNotFoundError: the kernel doesn't tell.
    """
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}/task/{task}/stat"):
                raise
        except ProcessLookupError:  # it has just ended
            continue
    return found


def fallen() -> list[int]:
    """Return the children of our first thread: who loses its parent falls to that one.

    So the kernel has it (``find_alive_thread`` of kernel/exit.c), and a file is enough where a
    daemon has as many threads as units.

    Raises:
        OSError: the kernel doesn't tell.
    """
    with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
        return [int(pid) for pid in file.read().split()]


def owner(pid: int) -> str:
    """Return in whose name a process runs: ``root``, ``uid 1001``; nothing if it is gone.

    Numbers, because a name may have to be asked of a server far away.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            uid = next(row.split()[2] for row in file if row.startswith(b"Uid:")).decode()
    except (OSError, StopIteration):
        return ""
    return "root" if uid == "0" else f"uid {uid}"


def shows_all() -> bool:
    """Tell whether other people's processes can be seen at all: process 1 is always there."""
    return os.path.exists("/proc/1/stat")
