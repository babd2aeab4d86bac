"""A worker that has outlived its daemon: ended if that can be done, and waited for in any case.

Whatever becomes another user (sudo) is out of reach of the three ways to die with the daemon. Rules
of this file: no other worker is started beside it; it is signalled only while its first process
is known to be the one that our daemon has started.
"""

from __future__ import annotations

from collections.abc import Callable

from statusd.core import events as ev
from statusd.scheduler import Scheduler
from statusd.supervision import reach
from statusd.supervision.guard import Guard
from statusd.supervision.proc import Member
from statusd.supervision.process import LOOK_S, Process
from statusd.supervision.worker_channel import Spec, Submit
from statusd.supervision.worker_file import Left

LEADERLESS = "can't be signalled: the process that it belonged to is gone, so it may be a stranger"


class Survivor(Process):
    """What lives of the worker of an earlier daemon, in the place of a worker of ours.

    Args:
        left: who it is.
        run: its generation, as the status counts; the others as for any `Process`.
    """

    def __init__(
        self,
        left: Left,
        spec: Spec,
        run: int,
        submit: Submit,
        flush: Callable[[], None],
        guard: Guard,
        loop: Scheduler,
    ) -> None:
        super().__init__(spec, run, submit, flush, guard, None, loop)
        self.pid = left.pid
        self._old = left
        self._told = None  # it was told nothing yet
        first = left.members()[:1]
        self._log.warning(
            "worker.survived",
            run=run,
            whom=reach.named(first[0]) if first else "",
            then="the next one is started when nothing of it lives",
        )
        self._loop.call_later(LOOK_S, self._look_for_rest, LOOK_S)

    def show(self, show: ev.Show) -> None:
        """Tell it nothing: it can't hear us."""

    def stop(self, force: ev.Force) -> bool:
        """Signal its group, if that is known to be its own; False if not."""
        if not self._old.is_led():
            rest = self._rest()
            self._report_unreached(rest, force, "" if reach.beyond(rest) else LEADERLESS)
            return False
        return self._signal_group(force)

    def _rest(self) -> list[Member]:
        return self._old.members()
