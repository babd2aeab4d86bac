"""What a worker uses: CPU, memory, threads and descriptors of all its processes, read from /proc.

All that descends from the worker's own process counts, whatever group it is in, and so does what
has lost its parent and fallen to us. Rules of this file: it signals nobody and waits for nobody;
who goes away between two reads is no error; `AT_ONCE` files are read in a row, and the rest
`SOON_S` later, for the loop serves all units.

Memory is the resident set: 20 us a process, however large it is. Pages that processes share count
for each of them. The proportional set (PSS) counts them once, but the kernel walks through all
pages for it: 4 to 10 ms for each 100 MiB, in which a worker may have to wait to map memory. That is
far over what a beat may take (0.2 ms a unit), so it is no part of a sample: it is read
(`proportional`) only to find out whether an excess of several processes is one (`excess`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from statusd.scheduler import Scheduler
from statusd.supervision import proc
from statusd.supervision.cpu_time import CpuTime, Spent

AT_ONCE = 16
"""So many files are read in a row: a fifth of a millisecond."""
SOON_S = 0.02
"""So soon it is read on, where there are more."""
EVERY_S = 6.0
"""So often it is worth reading where nobody waits for it: as often as a document is written of
which nothing is new. Of forty units, each with each beat, it would be two thirds of what a quiet
daemon uses."""
MOST_LISTED = 1024
"""More descriptors of a process aren't counted one by one, as kernels before 6.2 would have it."""

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TELLS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
"""A kernel with CONFIG_PROC_CHILDREN."""


class Usage(NamedTuple):
    """What the processes of one run use.

    Args:
        cpu: since the sample before, as a share of one core (2.0: two of them); None for the first.
        cpu_s: CPU time of the run until now, in seconds.
        memory: their resident set in bytes.
        threads: of all of them; processes: how many they are.
        descriptors: open files, sockets and the like; None if nobody may count them.
        pss: their proportional set as it was found last, with an earlier sample; None if nobody
            had to know it.
    """

    cpu: float | None
    cpu_s: float
    memory: int
    threads: int
    processes: int
    descriptors: int | None
    pss: int | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """Return what stands in the document."""
        return {
            **self._asdict(),
            "cpu": None if self.cpu is None else round(self.cpu, 3),
            "cpu_s": round(self.cpu_s, 2),
        }


class Reading(NamedTuple):
    """One process, as it was a moment ago.

    Args:
        spent: its CPU time, and that of its children that it has waited for.
        memory: its resident set in bytes.
        descriptors: None if nobody may count them.
    """

    spent: Spent
    is_dead: bool
    threads: int
    memory: int
    descriptors: int | None

    @property
    def pid(self) -> int:
        """Its number."""
        return self.spent.pid


class Sampler:
    """Takes samples of one run.

    Args:
        loop: whose time it is.
    """

    def __init__(self, loop: Scheduler) -> None:
        self.usage: Usage | None = None
        """The last sample; None before the first one."""
        self.pids: tuple[int, ...] = ()
        """Whose it was."""
        self.due_at = 0.0
        """When the next one is due, by the loop's time."""
        self._loop = loop
        self._reads: Iterator[Reading | None] | None = None
        self._found: list[Reading] = []
        self._began = self._sampled_at = 0.0
        self._time = CpuTime()

    def sample(self, leader: int, orphans: Iterable[int], done: Callable[[Usage], None]) -> None:
        """Take a sample, unless one is being taken.

        Args:
            leader: the worker's own process; orphans: those of its that fell to us.
            done: called with it, before this returns or a few turns of the loop later; never if
                nobody is there.
        """
        if self._reads is not None:
            return
        self._reads, self._found = _readings(leader, orphans), []
        self._began = self._loop.time()
        self.due_at = self._began + EVERY_S - EVERY_S / 4  # beats come early and late
        self._go_on(done)

    def _go_on(self, done: Callable[[Usage], None]) -> None:
        assert self._reads is not None
        for count, reading in enumerate(self._reads, 1):
            if reading is not None:
                self._found.append(reading)
            if count == AT_ONCE:
                self._loop.call_later(SOON_S, self._go_on, done)
                return
        self._reads = None
        if self._found:
            self.usage = self._sum()
            done(self.usage)

    def _sum(self) -> Usage:
        found = self._found
        living = [one for one in found if not one.is_dead]
        used = self._time.count(one.spent for one in found)
        took_s, self._sampled_at = self._began - self._sampled_at, self._began
        is_first = self.usage is None or took_s <= 0
        counted = [one.descriptors for one in living if one.descriptors is not None]
        self.pids = tuple(one.pid for one in living)
        return Usage(
            cpu=None if is_first else used / _TICKS_A_SECOND / took_s,
            cpu_s=self._time.ticks / _TICKS_A_SECOND,
            memory=sum(one.memory for one in living),
            threads=sum(one.threads for one in living),
            processes=len(living),
            descriptors=sum(counted) if counted else None,
            pss=self.usage.pss if self.usage is not None else None,
        )


def proportional(pids: Iterable[int]) -> int:
    """Return the memory of processes in bytes, with what they share counted once. It takes long.

    Who can't be asked (it is another user's) counts by its resident set.
    """
    return sum(_proportional(pid) for pid in pids)


def _proportional(pid: int) -> int:
    try:
        rows = _content(f"/proc/{pid}/smaps_rollup").splitlines()
    except OSError:
        reading = look(pid)
        return reading.memory if reading is not None else 0
    return next((int(row.split()[1]) * 1024 for row in rows if row.startswith(b"Pss:")), 0)


# ---- one process after the other -----------------------------------------------------------------


def _readings(leader: int, orphans: Iterable[int]) -> Iterator[Reading | None]:
    """Yield each process of a run, and None for each file that tells whose children there are."""
    us = os.getpid()  # an attached program is our parent: we are none of its work
    pids, seen = [leader, *orphans, *_group(leader)], {us}
    for place, pid in enumerate(pids):
        if pid in seen:
            continue
        reading = look(pid)
        if reading is None or (place and _TELLS_CHILDREN and reading.spent.parent not in seen):
            yield None  # it is gone; its number may be somebody else's
            continue
        seen.add(pid)
        yield reading
        for task in _tasks(reading):
            pids += _children(pid, task)
            yield None


def _group(leader: int) -> list[int]:
    """Return who is in its group, where the kernel doesn't tell whose children there are."""
    if _TELLS_CHILDREN:
        return []
    try:
        return [one.pid for one in proc.living(leader)]
    except OSError:  # nobody can look just now
        return []


def look(pid: int) -> Reading | None:
    """Return what a process uses; None if it is gone, or nobody can look."""
    try:
        _, _, tail = _content(f"/proc/{pid}/stat").rpartition(b")")
        fields = tail.split()
        return Reading(
            Spent(
                pid,
                parent=int(fields[1]),
                began=int(fields[19]),
                own=int(fields[11]) + int(fields[12]),
                waited_for=int(fields[13]) + int(fields[14]),
            ),
            fields[0] in (b"Z", b"X"),
            int(fields[17]),
            int(fields[21]) * _PAGE,
            _descriptors(pid),
        )
    except (OSError, IndexError):
        return None


def _descriptors(pid: int) -> int | None:
    directory = f"/proc/{pid}/fd"
    try:
        return os.stat(directory).st_size or _listed(directory)
    except OSError:
        return None


def _listed(directory: str) -> int | None:
    with os.scandir(directory) as entries:
        count = sum(1 for _ in islice(entries, MOST_LISTED + 1))
    return count if count <= MOST_LISTED else None


def _tasks(reading: Reading) -> Iterable[int | str]:
    """Return the threads of a process: each has children of its own."""
    if reading.threads <= 1:
        return () if reading.is_dead else (reading.pid,)
    try:
        return os.listdir(f"/proc/{reading.pid}/task")
    except OSError:
        return ()


def _children(pid: int, task: int | str) -> list[int]:
    try:
        return [*map(int, _content(f"/proc/{pid}/task/{task}/children").split())]
    except OSError:  # it has just ended, or the kernel doesn't tell
        return []


def _content(path: str) -> bytes:
    """Return what a file of /proc says, page by page; in half the time that `open` takes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = page = os.read(fd, _PAGE)
        while page:
            page = os.read(fd, _PAGE)
            found += page
        return found
    finally:
        os.close(fd)
