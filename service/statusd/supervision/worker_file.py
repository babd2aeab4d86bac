"""Which process the worker is, kept beside the state file for whoever comes after this daemon.

Written by the worker's own process before it becomes the user's program (`worker.wrapper`), so
that there is no moment without it and the loop waits for no disk. Rules of this file: what stands
there is believed only of this machine since it booted; nobody is signalled for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import NamedTuple

from statusd import logs, threads
from statusd.core.bounds import MOST_COUNT, MOST_PID, MOST_RUN, Unreadable, fields, whole
from statusd.core.errors import Unavailable
from statusd.private import read_own
from statusd.supervision import proc, reach
from statusd.supervision.proc import Member
from statusd.worker import wrapper


class Left(NamedTuple):
    """A worker that some daemon has started.

    Args:
        pid: of its first process; also the number of its group and its session.
        started: of that process, in clock ticks since the machine booted.
    """

    run: int
    pid: int
    started: int

    def is_led(self) -> bool:
        """Tell whether its first process still holds the number, dead or alive."""
        try:
            leader = proc.look(self.pid)
        except OSError:  # nobody can look just now: it isn't known
            return False
        return leader is not None and leader.started == self.started

    def members(self) -> list[Member]:
        """Return what lives of it. A stranger that has got the number since isn't of it."""
        try:
            leader = proc.look(self.pid)
        except OSError:
            return [reach.unseen(self.pid)]
        if leader is not None and leader.started != self.started:
            return []  # a number is given away only when nothing of the old group is left
        rest = reach.rest(self.pid)
        return [one for one in rest if one.session == self.pid and one.started >= self.started]


class WorkerFile:
    """The file of one unit: ``NAME.worker`` in the state directory.

    Args:
        directory: absolute, for the worker may run somewhere else.
        whose: the unit, as lines of the log name it; empty if there is no other.
    """

    def __init__(self, directory: Path, name: str, whose: str = "") -> None:
        self._log = logs.of(whose)
        self.path = directory / f"{name}.worker"
        self._looked_for = 0
        self._looking: asyncio.Task[None] | None = None

    def load(self) -> Left | None:
        """Return whom it names; None if nobody, or not of this machine since it booted.

        It blocks. A file that can't be read or isn't one names nobody: then there is nothing to
        know anybody by.
        """
        try:
            content = fields(read_own(self.path))
            if (content.get("boot_id"), content.get("pid_ns")) != wrapper.machine():
                return None
            run = whole(content.get("run"), MOST_RUN)
            pid = whole(content.get("pid"), MOST_PID, least=2)  # 1 is nobody's worker, 0 our group
            return Left(run, pid, whole(content.get("started"), MOST_COUNT))
        except (OSError, Unreadable, Unavailable):
            return None

    def look_for(self, run: int) -> None:
        """See, once for each run and without waiting, whether its worker could write the file."""
        if run != self._looked_for:
            self._looked_for = run
            self._looking = asyncio.get_running_loop().create_task(self._look_for(run))
            self._looking.add_done_callback(self._looked)

    def _looked(self, looking: asyncio.Task[None]) -> None:
        if self._looking is looking:
            self._looking = None

    async def _look_for(self, run: int) -> None:
        try:
            left = await threads.apart(self.load, "worker file")
        except OSError as error:
            self._log.warning("worker.not_looked_for", run=run, reason=error.strerror)
            return
        if run == self._looked_for and (left is None or left.run != run):
            then = "a daemon that is killed and started again won't know this worker"
            self._log.warning("worker.not_kept", run=run, file=str(self.path), then=then)

    async def forget(self, timeout_s: float) -> None:
        """Remove it: nothing of the worker lives. A disk that hangs is waited for so long."""
        with contextlib.suppress(TimeoutError, OSError):  # it stays, and names the dead
            async with asyncio.timeout(timeout_s):
                await threads.apart(self._remove, "worker file")

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # it isn't there; or it stays, and names the dead
            self.path.unlink()
