"""Whether a worker has more memory than it may have, judged by what its processes use.

Resident sets are judged first, for they cost nothing. Where several processes seem to have too much
together, what they share is counted once before anything is done: somebody whose ten processes
look at one table isn't to be killed for it. Rules of this file: that is found out in a thread, and
again only when memory has grown since, or when `REST` times as long has passed as it took; what is
decided of it stands in `core.supervision`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from statusd import threads
from statusd.core import events as ev
from statusd.core.status import Status
from statusd.scheduler import Scheduler
from statusd.supervision.process import Process
from statusd.supervision.resources import Usage, proportional
from statusd.supervision.worker_channel import Submit

REST = 50
"""So much longer than it took it isn't done again: two percent of a core."""
GREW = 1.05
"""So many times the memory of the last close look is worth another one at once."""


class Excess:
    """Weighs what the worker of one unit has.

    Args:
        submit: gets the input, if there is one; flush: called after it.
        loop: whose time it is.
    """

    def __init__(self, submit: Submit, flush: Callable[[], None], loop: Scheduler) -> None:
        self._submit = submit
        self._flush = flush
        self._loop = loop
        self._asking: asyncio.Task[None] | None = None
        self._ask_at = 0.0
        self._asked_of: tuple[int, float] = (0, 0.0)
        """The run that was looked at closely last, and more than what memory that is news."""

    def weigh(self, status: Status, process: Process, usage: Usage) -> None:
        """See whether the worker has too much, or not any more; that it is so is an input, soon."""
        worker = status.worker
        if not worker.counts or worker.run != process.run:
            return
        is_excess = status.policy.is_excess(usage.memory, before=bool(worker.grown))
        if is_excess and usage.processes > 1:
            if self._is_worth_a_look(process, usage):
                self._asking = asyncio.ensure_future(self._ask(status, process, usage))
            return
        process.sampler.usage = usage._replace(pss=None)
        self._tell(status, process, usage.memory)

    def _is_worth_a_look(self, process: Process, usage: Usage) -> bool:
        if self._asking is not None and not self._asking.done():
            return False
        run, news = self._asked_of
        return run != process.run or usage.memory > news or self._loop.time() >= self._ask_at

    async def _ask(self, status: Status, process: Process, usage: Usage) -> None:
        """Find out how much of that memory counts more than once, and judge by the rest."""
        sampler, began = process.sampler, self._loop.time()
        pids = sampler.pids
        try:
            pss = await threads.apart(lambda: proportional(pids), "memory")
        except OSError:  # no thread is to be had: the next sample tries again
            return
        self._asked_of = process.run, usage.memory * GREW
        now = self._loop.time()
        self._ask_at = now + REST * (now - began)
        newest = sampler.usage or usage  # another sample may have been taken meanwhile
        pss = min(pss, newest.memory)
        sampler.usage = newest._replace(pss=pss)
        self._loop.call_later(0, partial(self._tell, status, process, pss))

    def _tell(self, status: Status, process: Process, memory: int) -> None:
        worker = status.worker
        was_excess = bool(worker.grown)
        if not worker.counts or worker.run != process.run:
            return
        if status.policy.is_excess(memory, before=was_excess) is not was_excess:
            self._submit(ev.WorkerGrown(process.run, memory))
            self._flush()

    def close(self) -> None:
        """Wait for nobody."""
        if self._asking is not None:
            self._asking.cancel()
