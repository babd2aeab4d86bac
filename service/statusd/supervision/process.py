"""The worker as a process: started, told the state, signalled, and seen gone.

Everything that it does comes back as an input. Rules of this file: spawned from the main thread;
waited for by its own pid, never by ``waitpid(-1)``; each run has a channel of its own.

Length: the life of one process is read here, from its start until nothing of it is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from statusd import logs
from statusd.core import events as ev
from statusd.core.errors import StatusdError
from statusd.core.messages import Scalar
from statusd.environment_file import environment_of
from statusd.scheduler import Scheduler
from statusd.supervision import descriptors, oom, reach, reaper
from statusd.supervision.exits import describe_exit, last_words
from statusd.supervision.function_channel import FunctionChannel
from statusd.supervision.guard import Guard
from statusd.supervision.held_signals import popen
from statusd.supervision.proc import Member
from statusd.supervision.program_channel import ProgramChannel
from statusd.supervision.relay import Outlet
from statusd.supervision.resources import Sampler
from statusd.supervision.strays import TOKEN, Strays
from statusd.supervision.worker_channel import Pulse, Spawn, Spec, Submit, WorkerChannel
from statusd.worker import function, wrapper
from statusd.worker.board import Record

LOOK_S = 0.005
"""How often the rest of a killed process group is looked for; doubles up to a second."""


class Process:
    """The worker of one run, from its start until nothing of its process group lives.

    Args:
        spec: what to run.
        run: its generation.
        submit: gets every input that the worker causes; flush: called after a batch of them.
        guard: kills its group if we die.
        outlet: where its output goes, through us; None to let it inherit ours.
        loop: whose time it is, and who waits for the process.
    """

    def __init__(
        self,
        spec: Spec,
        run: int,
        submit: Submit,
        flush: Callable[[], None],
        guard: Guard,
        outlet: Outlet | None,
        loop: Scheduler,
    ) -> None:
        self.run = run
        self.pid = 0
        self._spec = spec
        self._log = logs.of(spec.unit)
        self._submit = submit
        self._flush = flush
        self._guard = guard
        self._loop = loop
        self._program = ProgramChannel(spec, run, submit, flush, loop) if spec.command else None
        self._channel: WorkerChannel = self._program or FunctionChannel(
            spec, run, submit, flush, loop
        )
        self.flush: Callable[[], ev.Input | None] = self._channel.flush
        """To be called when all that came together has been shown; returns what it has led to
        already, if anything."""
        self._relay = outlet.relay(run, loop, spec.unit) if outlet is not None else None
        self._popen: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._killed = False
        self._told: ev.Force | None = ev.Force.KILL
        """What it was told last, of which `_report_unreached` says whom it didn't reach."""
        self.strays = Strays(run, "", guard, self._log)
        self.sampler = Sampler(loop)
        self._missed = 0
        """The first process that this didn't reach; 0 for none."""
        self._oom_kills = oom.kills()

    def start(self, number: int, seq: int, args: Mapping[str, Scalar]) -> None:
        """Start the process, with state ``number`` of event ``seq`` as its first.

        Raises:
            OSError: the system refused.
            StatusdError: its environment file can't be used.
            In both cases nothing is left behind.
        """
        try:
            self._start(self._channel.prepare(number, seq, args))
        except (OSError, StatusdError):
            self.close()
            raise

    def _start(self, spawn: Spawn) -> None:
        spec, relay = self._spec, self._relay
        out, err = relay.pipes() if relay is not None else (None, None)
        self._popen = popen(
            list(spawn.argv),
            deaf_to=spec.ignored,
            cwd=spec.directory or None,
            umask=spec.umask,
            stdin=spawn.stdin,
            stdout=out,
            stderr=err,
            env={**self._environment(), **spawn.variables, **self._mine()},
            pass_fds=spawn.fds,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self.strays = Strays(self.run, spec.worker_file, self._guard, self._log)
        reaper.ours.add(self.pid)
        self._guard.watch(self.pid)
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:  # no descriptor left: nobody would see how it ends
            self._take_back(self._popen)
            raise
        self._loop.add_reader(self._pidfd, self._exited)
        if relay is not None:
            relay.started()
        self._channel.started(self.pid)
        if spec.nice:
            self._be_nice(spec.nice)

    def _take_back(self, popen: subprocess.Popen[bytes]) -> None:
        """End what was started a moment ago and can't be watched."""
        os.killpg(popen.pid, signal.SIGKILL)  # unburied, it still holds the number
        popen.wait()
        reaper.reaped(popen.pid)
        self._guard.forget(popen.pid)
        self._popen = None

    def _be_nice(self, priority: int) -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, self.pid, priority)
        except OSError as error:  # less than ours needs a right; the work is worth more than that
            told = {"run": self.run, "nice": priority, "reason": error.strerror}
            self._log.warning("worker.nice_refused", **told)

    def _environment(self) -> dict[str, str]:
        spec = self._spec
        from_file = environment_of(spec.environment_file) if spec.environment_file else {}
        return {**spec.environment, **from_file, **spec.chosen_environment}

    def _mine(self) -> dict[str, str]:
        """Return what tells it who it is; our part of its process takes the file away."""
        run, file = self.run, self._spec.worker_file
        known = {wrapper.FILE: f"{run} {file}", TOKEN: f"{file}:{run}"} if file else {}
        ignored = self._spec.ignored
        deaf = {wrapper.IGNORED: " ".join(str(int(n)) for n in ignored)} if ignored else {}
        return {**known, **deaf, **descriptors.theirs()}

    # ---- what it is told, and says -----------------------------------------------------------

    def show(self, show: ev.Show) -> None:
        """Tell the worker its state; args, if there are new ones, before that."""
        _, number, seq, args = show
        why = self._channel.show(number, seq, args)
        if self._spec.parts[number] == "e":
            if why:
                self._report_unreached(self._rest(), ev.Force.TERMINATE)
            self._wake()

    def objection(self, number: int) -> str:
        """Return why it can't be told a state now; empty if it can. A function always can."""
        return self._program.objection(number) if self._program is not None else ""

    def _wake(self) -> None:
        """Let a worker that somebody stopped see that it is to leave."""
        if self._popen is not None and self._popen.returncode is None:
            reach.send(self.pid, signal.SIGCONT, group=True)  # whom we may not wake, we didn't stop

    def record(self) -> Record | None:
        """Return what the worker said of its work last, if anything; also when it is gone."""
        return self._channel.record()

    def lost_lines(self) -> int:
        """Return how many lines of its output nobody took."""
        return self._relay.dropped if self._relay is not None else 0

    def pulse(self) -> Pulse:
        """Return its signs of life."""
        return self._channel.pulse()

    # ---- the end -----------------------------------------------------------------------------

    def stop(self, force: ev.Force) -> bool:
        """Signal the whole process group, also one that is stopped; False if nobody could be.

        Whom it doesn't reach is told as an input. A stack is asked of a function's process alone.
        """
        if self._popen is None:
            return False
        if self._popen.returncode is not None:  # what is left was killed, if it could be
            self._report_unreached(self._rest(), force)
            return False
        if force is not ev.Force.DUMP:
            return self._signal_group(force)
        if not self._spec.function or reach.send(self.pid, signal.Signals[force.value]):
            return False
        reach.send(self.pid, signal.SIGCONT)
        return True

    def _signal_group(self, force: ev.Force) -> bool:
        refused = reach.send(self.pid, signal.Signals[force.value], group=True)
        reach.send(self.pid, signal.SIGCONT, group=True)
        self.strays.look()
        self.strays.send(signal.Signals[force.value])
        self.strays.send(signal.SIGCONT)
        self._killed |= not refused and force is ev.Force.KILL
        self._report_unreached(self._rest(), force)
        return not refused

    def _report_unreached(self, rest: list[Member], force: ev.Force, why: str = "") -> None:
        """Tell who of ``rest`` is beyond us; with a reason, that all of it is."""
        self._told = force
        unreached = reach.beyond(rest)
        if why and rest:
            unreached = reach.Unreached(rest[0].pid, reach.named(rest[0]), why)
        self._missed = unreached.pid if unreached is not None else 0
        if unreached is not None:
            _, whom, why = unreached
            fields = {"signal": force.value, "whom": whom, "reason": why}
            self._log.warning("worker.not_signalled", run=self.run, **fields)
            self._submit(ev.WorkerUnreached(self.run, force, whom, why))

    def _exited(self) -> None:
        assert self._popen is not None
        self._loop.remove_reader(self._pidfd)
        self._channel.drain()
        # The unreaped process still holds its group's number: nobody else can be hit. Whom this
        # doesn't reach is told when it is looked for.
        reach.send(self.pid, signal.SIGKILL, group=True)
        self.strays.look()
        left = self.strays.farewell()
        code = self._popen.wait()
        reaper.reaped(self.pid)
        stderr, said = self._last_lines()
        reason, returned = self._reason(code, said), self._channel.has_returned
        if self._spec.function and code == function.TERMINATED:  # it has had time for its `finally`
            code, reason = -signal.SIGTERM, "ended by SIGTERM"
        self._submit(ev.WorkerExited(self.run, code, reason, stderr, returned, left))
        self._look_for_rest(LOOK_S)

    def _reason(self, code: int, said: Sequence[str]) -> str:
        if code == wrapper.FAILED and self._channel.error:
            return self._channel.error
        if code == -signal.SIGKILL and not self._killed:
            if oom.kills() > self._oom_kills:
                return "killed by the kernel, probably out of memory"
            return "killed by SIGKILL, not by us: by somebody, or the kernel for want of memory"
        why = self._channel.error or last_words(code, said, self._channel.severed)
        return describe_exit(code) + (f": {why}" if why else "")

    def _last_lines(self) -> tuple[tuple[str, ...], Sequence[str]]:
        """Return the last lines of standard error, as they are shown, and more as they are."""
        if self._relay is None:
            return (), ()
        self._relay.drain()
        return self._relay.tail(), self._relay.last_words()

    def _look_for_rest(self, wait_s: float) -> None:
        self.strays.send(signal.SIGKILL)
        rest = self._rest()
        if not rest:
            self.strays.look()  # whoever was a stray's child has fallen to us with its end
            rest = self.strays.members()
        if rest:
            self._loop.call_later(wait_s, self._look_for_rest, min(1.0, wait_s * 2))
            unreached = reach.beyond(rest)
            if self._told is not None and unreached and unreached.pid != self._missed:
                self._report_unreached(rest, self._told)
                self._flush()
            return
        self._guard.forget(self.pid)
        self.strays.forget()
        self.close()
        self._submit(ev.WorkerGone(self.run))
        self._flush()

    def _rest(self) -> list[Member]:
        """Return what lives of its process group; as process 1, reap what fell to us of it."""
        if self._popen is not None and self._popen.returncode is not None:
            reaper.reap_group(self.pid)
        return reach.rest(self.pid, *sorted(self.strays.groups))

    @property
    def is_over(self) -> bool:
        """Tell whether it was buried, and nothing is left of it that could be signalled."""
        popen = self._popen
        return popen is None or (popen.returncode is not None and not self._guard.watches(self.pid))

    def close(self) -> None:
        """Give back everything that was made for this run."""
        if self._popen is not None and self._popen.returncode is None:
            reaper.ours.discard(self.pid)  # nobody waits for it any more: an orphan like others
        if self._pidfd != -1:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._channel.close()
        if self._relay is not None:
            self._relay.close()
