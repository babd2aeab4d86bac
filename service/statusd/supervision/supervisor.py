"""The worker of one unit, run after run: started, told the state, watched for a hang, stopped.

Rules of this file: at most one process at a time; whatever it does comes back as an input.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from statusd.core import events as ev
from statusd.core.errors import StatusdError
from statusd.core.status import Status
from statusd.scheduler import Scheduler
from statusd.supervision.excess import Excess
from statusd.supervision.guard import Guard
from statusd.supervision.hang_detector import HangDetector, look_every_s
from statusd.supervision.output import Sink
from statusd.supervision.process import LOOK_S, Process
from statusd.supervision.relay import Outlet
from statusd.supervision.ring import Ring
from statusd.supervision.strays import LATELY_S, SOON_S
from statusd.supervision.survivor import Survivor
from statusd.supervision.worker_channel import Spec, Submit
from statusd.supervision.worker_file import WorkerFile
from statusd.worker import unexecutable
from statusd.worker.board import Record


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker is started with.

    Args:
        spec: what to run.
        outlet: where its output goes, through us; None to let it inherit ours.
        worker_file: where its process writes who it is; None for nowhere.
        make_process: makes one run of it.
    """

    spec: Spec
    outlet: Outlet | None = None
    worker_file: WorkerFile | None = None
    make_process: Callable[..., Process] = Process

    @property
    def ring(self) -> Ring | None:
        """What keeps the last of its output; None if that doesn't go through us."""
        return self.outlet.ring if self.outlet is not None else None

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Where its output goes, through us."""
        return self.outlet[:2] if self.outlet is not None else ()


class Reached(NamedTuple):
    """What a run that is over has said of its work last."""

    run: int
    record: Record


class Supervisor:
    """Keeps the worker's process.

    Args:
        means: what it is started with.
        submit: gets every input that the worker causes; flush: called after a batch of them.
        guard: kills its group if we die.
        loop: whose time it is, and who waits for the process.
        log: where it tells of what it does.
    """

    def __init__(
        self,
        means: Means,
        submit: Submit,
        flush: Callable[[], None],
        guard: Guard,
        loop: Scheduler,
        log: Any,
    ) -> None:
        self.process: Process | None = None
        """The present one, or the last one that there was."""
        self.show: Callable[[ev.Show], object] = lambda _: None
        """Tells the worker its state; whether a program could be told is an input."""
        self.flush: Callable[[], ev.Input | None] = lambda: None
        """All that came together has been shown; returns what it has led to already, if anything.
        """
        self.has_told = False
        """It was told a state since whoever tells it has looked."""
        self.looks = 0
        """How often the worker was looked at."""
        self._means = means
        self._submit = submit
        self._flush = flush
        self._guard = guard
        self._loop = loop
        self._log = log
        self._hang_detector: HangDetector | None = None
        self._reached: Reached | None = None
        self._excess = Excess(submit, flush, loop)

    # ---- what the status asks for --------------------------------------------------------------

    def start(self, effect: ev.StartWorker) -> None:
        """Start another run; that it can't be started is an input."""
        spec, outlet = self._means.spec, self._means.outlet
        process = self._means.make_process(
            spec, effect.run, self._submit, self._flush, self._guard, outlet, self._loop
        )
        try:
            process.start(effect.number, effect.seq, effect.args)
        except (OSError, StatusdError) as error:
            self._submit(ev.WorkerNotStarted(effect.run, f"can't be started: {_words(error)}"))
            return
        self._reached = self._last_said()
        self._be(process)
        self._log.info("worker.started", run=effect.run, pid=process.pid, what=spec.what)

    def _be(self, process: Process) -> None:
        self.process = process
        self.show, self.flush = process.show, process.flush

    def objection(self, number: int) -> str:
        """Return why it can't be told the state of that number now; empty if it can."""
        return self.process.objection(number) if self.process is not None else ""

    def stop(self, effect: ev.StopWorker) -> None:
        """Signal what lives of it."""
        if self.process is not None and self.process.stop(effect.force):
            self._log.info("worker.signalled", run=effect.run, signal=effect.force.value)

    def _last_said(self) -> Reached | None:
        record = self.process.record() if self.process is not None else None
        if self.process is None or record is None:
            return self._reached
        return Reached(self.process.run, record)

    def reached(self, *, is_over: bool) -> Reached | None:
        """Return what the last run that is over and spoke has said of its work.

        Args:
            is_over: the present run is.
        """
        return self._last_said() if is_over else self._reached

    # ---- what is looked at ---------------------------------------------------------------------

    def find_survivor(self, run: int) -> int:
        """Put what lives of an earlier daemon's worker in the place of ours.

        Args:
            run: the last one that the status knows of.

        Returns:
            Its run; 0 for none.
        """
        file = self._means.worker_file
        left = file.load() if file is not None else None
        if left is None or not left.members():
            return 0
        run = max(left.run, run)
        self._be(
            Survivor(
                left, self._means.spec, run, self._submit, self._flush, self._guard, self._loop
            )
        )
        return run

    def look(self, status: Status) -> ev.Input | None:
        """Look whether the worker gets on with its work; return what there is to say of it."""
        limit_s, worker = status.policy.hang_timeout_s, status.worker
        self.looks += 1
        if self.process is not None and worker.counts:
            self._look_for_strays(self.process)
        file = self._means.worker_file
        if file is not None and worker.counts and status.state is not status.lifecycle.start:
            file.look_for(worker.run)
        if not limit_s or self.process is None or not worker.counts:
            self._hang_detector = None
            return None
        self._hang_detector = self._hang_detector or HangDetector()
        silent_s = self._hang_detector.silent_s(
            self.process.pulse(),
            self._loop.time(),
            is_waiting=status.is_waiting,
            interval_s=look_every_s(limit_s),
        )
        if silent_s <= limit_s and not worker.hung:
            return None
        return ev.WorkerHung(self.process.run, silent_s)

    def _look_for_strays(self, process: Process) -> None:
        if process.strays.look(lately_s=LATELY_S) and process is self.process:
            self._loop.call_later(SOON_S, self._look_for_strays, process)

    def sample(self, status: Status) -> None:
        """Begin to read what the worker uses, if that is due; too much memory is an input, soon.

        To be called with each beat: as often it is due where memory has a limit.
        """
        process, has_limit = self.process, bool(status.policy.memory_max)
        if process is None or not status.worker.counts:
            return
        if has_limit or self._loop.time() >= process.sampler.due_at:
            weigh = partial(self._excess.weigh, status, process)
            process.sampler.sample(process.pid, process.strays.orphans(), weigh)

    def lost_lines(self) -> int:
        """Return how many lines of its output nobody took."""
        return self.process.lost_lines() if self.process is not None else 0

    # ---- the end -------------------------------------------------------------------------------

    def kill(self) -> None:
        """Let nothing of it live on."""
        if self.process is not None:
            self.process.stop(ev.Force.KILL)

    async def close(self, *, lives: bool, timeout_s: float) -> None:
        """Give everything back, and forget who it was unless something of it lives.

        Args:
            timeout_s: so long the disk may take, and before it a worker that is killed by this.
        """
        self._excess.close()
        if self.process is not None:
            self.process.stop(ev.Force.KILL)
            await self._wait_for_end(self.process, timeout_s)
            self.process.close()
        if self._means.worker_file is not None and not lives:
            await self._means.worker_file.forget(timeout_s)

    async def _wait_for_end(self, process: Process, timeout_s: float) -> None:
        """Let it be buried: others, whose daemon this is too, go on."""
        until = self._loop.time() + timeout_s
        while not process.is_over and self._loop.time() < until:
            await asyncio.sleep(LOOK_S)


def _words(error: Exception) -> str:
    """Return the system's reason without its number: ``./acquire: No such file or directory``."""
    if isinstance(error, OSError) and error.strerror:
        if not error.filename:
            return error.strerror
        name = os.fsdecode(error.filename)
        if os.path.isdir(name):  # where it was to be started
            return f"{name}: {error.strerror}"
        return unexecutable.why(name, error)
    return str(error)
