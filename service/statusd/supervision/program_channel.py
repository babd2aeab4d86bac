"""Talking with any program: by signals, by lines on its standard input, and by `sd_notify(3)`.

Rule of this file: it is told nothing that the settings don't name, but END.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from statusd import logs
from statusd.core import events as ev
from statusd.core.messages import Scalar
from statusd.scheduler import Scheduler
from statusd.supervision import proc, reach
from statusd.supervision.exec_report import ExecReport
from statusd.supervision.notify_socket import NotifySocket
from statusd.supervision.standard_input import StandardInput
from statusd.supervision.worker_channel import Pulse, Spawn, Spec, Submit, WorkerChannel
from statusd.worker import wrapper
from statusd.worker.board import Record

_WHOLE_GROUP = {"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGSTOP", "SIGTSTP", "SIGCONT"}
"""What a terminal sends to every process of a job; any other signal is for the program alone, for
a child that doesn't expect a SIGUSR1 dies of it."""


class ProgramChannel(WorkerChannel):
    """The daemon's end of what a program is told by, and says itself, for one run."""

    def __init__(
        self, spec: Spec, run: int, submit: Submit, flush: Callable[[], None], loop: Scheduler
    ) -> None:
        super().__init__(spec, run, submit, flush, loop)
        self._pid = 0
        self._was_signalled = False
        self._report = ExecReport(self._executed, loop)
        self._log = logs.of(spec.unit)
        self._notify = NotifySocket(run, submit, flush, loop, self._log)
        self._stdin = StandardInput(loop)

    def prepare(self, number: int, seq: int, args: Mapping[str, Scalar]) -> Spawn:
        """Make the socket, and the pipe for standard input if it is asked for."""
        variables = {"NOTIFY_SOCKET": self._notify.open(), **args_as_variables(args)}
        if self._spec.deadline:
            variables["STATUSD_DEADLINE"] = f"{self._spec.deadline:.0f}"
        report = self._report.open()
        argv, fds = self._argv(report), (report,)
        if not self._spec.lines:
            return Spawn(argv, subprocess.DEVNULL, fds, variables)
        stdin = self._stdin.open()
        self._stdin.say(self._spec.states[number], args or None)
        return Spawn(argv, stdin, fds, variables)

    def _argv(self, report: int) -> list[str]:
        """Return the command line of the wrapper that becomes the program."""
        told = "LC_CTYPE" in {*self._spec.environment, *self._spec.chosen_environment}
        locale = "given" if told else "none"
        program = str(Path(wrapper.__file__).resolve())
        mine = [str(os.getpid()), str(report), locale]
        return [sys.executable, "-I", "-S", program, *mine, *self._spec.command]

    def started(self, pid: int) -> None:
        """Listen to its notifications, and to whether it could be executed."""
        self._pid = pid
        self._stdin.started()
        self._notify.started(pid)
        self._report.started()

    def _executed(self, reason: str) -> None:
        """It runs, or can't be executed for this ``reason``."""
        if reason:
            self.error = f"can't be started: {reason}"
        elif self._spec.ready == "started":
            self._submit(ev.WorkerReady(self._run))
            self._flush()

    # ---- down --------------------------------------------------------------------------------

    def show(self, number: int, seq: int, args: Mapping[str, Scalar] | None) -> str:
        """Tell a state by what the settings name for it; END is SIGTERM, if nothing else.

        Returns:
            Why the signal for it was refused; an empty text if it wasn't.
        """
        name = self._spec.states[number]
        self._stdin.say(name, args)
        fallback = "" if self._spec.lines or name != "ENDING" else "SIGTERM"
        chosen = self._spec.signals.get(name, fallback)
        why = self._signal(chosen) if chosen and not self._knows(number) else ""
        if why:
            self._submit(ev.WorkerUntold(self._run, seq, why))
        else:
            self._submit(ev.WorkerAcknowledged(self._run, seq, number))
        return why

    def objection(self, number: int) -> str:
        """Return why the signal for a state would not reach the program; empty if it would.

        With one for the whole job, all that lives of it must be reached: ``sh -c "sudo job"`` with
        SIGSTOP would stop the shell, and nobody else.
        """
        chosen = self._spec.signals.get(self._spec.states[number])
        if not chosen or not self._pid or self._knows(number):
            return ""
        try:
            one = proc.look(self._pid)
            members = proc.family(self._pid) if chosen in _WHOLE_GROUP else [one] if one else []
        except OSError as error:
            return f"nobody can look who would be reached: {error.strerror}"
        unreached = reach.beyond(members)
        return str(unreached) if unreached else ""

    def flush(self) -> None:
        """Each state was told when it was shown; how it was taken, a program doesn't say."""

    def _knows(self, number: int) -> bool:
        """Tell whether it does already what state ``number`` asks for: it was started to work.

        A signal that it doesn't catch yet would kill it.
        """
        parts = self._spec.parts
        return parts[number] == "r" and parts.count("r") == 1 and not self._was_signalled

    def _signal(self, name: str) -> str:
        why = reach.send(self._pid, signal.Signals[name], group=name in _WHOLE_GROUP)
        if why:
            self._log.warning("worker.not_signalled", run=self._run, signal=name, reason=why)
            return why
        self._was_signalled = True
        self._log.info("worker.signalled", run=self._run, signal=name)
        return ""

    # ---- up ----------------------------------------------------------------------------------

    def record(self) -> Record | None:
        """Return what it said of its work by ``STATUS=`` and ``X_STATUSD_PROGRESS=``."""
        return self._notify.record()

    def pulse(self) -> Pulse:
        """Return how many times it said ``WATCHDOG=1``."""
        return self._notify.pulse()

    def drain(self) -> None:
        """Take the notifications that it left, and why it wasn't executed."""
        self._report.drain()
        self._notify.drain()

    # ---- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Give back the socket and the pipes."""
        self._stdin.close()
        self._report.close()
        self._notify.close()


def args_as_variables(args: Mapping[str, Scalar]) -> dict[str, str]:
    """Return ``args`` as environment variables: all as JSON, and each that can be one by itself."""
    if not args:
        return {}
    found = {"STATUSD_ARGS": json.dumps(dict(args))}
    for key, value in args.items():
        if re.fullmatch(r"[A-Za-z0-9_]+", key):
            found[f"STATUSD_ARG_{key}"] = value if isinstance(value, str) else json.dumps(value)
    return {name: value for name, value in found.items() if "\0" not in value}
