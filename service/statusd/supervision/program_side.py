"""Talking with any program: by signals, by lines on its standard input, and by `sd_notify(3)`.

Rules of this file: it is told nothing that the settings don't name, but END; nothing here waits for
a program that doesn't read; what comes in is believed only from the worker's own processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from statusd import logs
from statusd.core import events as ev
from statusd.core.messages import Scalar
from statusd.scheduler import Scheduler
from statusd.supervision import proc, reach
from statusd.supervision.sides import Pulse, Spawn, Spec, Take
from statusd.worker import wrapper
from statusd.worker.board import MAX_TEXT, Record, in_range

MAX_DATAGRAM = 4096
"""The longest notification, in bytes; what is longer is dropped."""
BATCH = 64
"""So many notifications are taken at a time: a program that babbles must not stop the loop."""

_CREDENTIALS = struct.Struct("=iII")
"""``struct ucred`` of unix(7): pid, uid, gid."""
_WHOLE_GROUP = {"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGSTOP", "SIGTSTP", "SIGCONT"}
"""What a terminal sends to every process of a job; any other signal is for the program alone, for
a child that doesn't expect a SIGUSR1 dies of it."""

log = logs.get()


class ProgramSide:
    """The daemon's end of a program's standard input and notification socket, for one run.

    Args:
        spec: what to run.
        run: its generation.
        take: gets every input that the worker causes; settle: called after a batch of them.
        loop: whose time it is, and who waits for the descriptors.
    """

    severed, has_returned = "", False

    def __init__(
        self, spec: Spec, run: int, take: Take, settle: Callable[[], None], loop: Scheduler
    ) -> None:
        self.error = ""
        self._spec = spec
        self._run = run
        self._take = take
        self._settle = settle
        self._loop = loop
        self._pid = 0
        self._report = self._report_theirs = -1
        self._socket: socket.socket | None = None
        self._stdin = self._theirs = -1
        self._begun = b""
        self._args_line = b""
        self._state_line = b""
        self._is_over = False
        self._was_signalled = False
        self._step: float | None = None
        self._total: float | None = None
        self._text = ""
        self._beats = 0

    def prepare(self, number: int, seq: int, args: Mapping[str, Scalar]) -> Spawn:
        """Make the socket, and the pipe for standard input if it is asked for."""
        name = f"statusd/{os.getpid()}/{self._run}/{secrets.token_hex(8)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(f"\0{name}")
        variables = {"NOTIFY_SOCKET": f"@{name}", **args_as_variables(args)}
        self._report, self._report_theirs = os.pipe()
        os.set_blocking(self._report, False)
        argv, fds = self._argv(), (self._report_theirs,)
        if not self._spec.lines:
            return Spawn(argv, subprocess.DEVNULL, fds, variables)
        self._theirs, self._stdin = os.pipe()
        os.set_blocking(self._stdin, False)
        # A page is enough: a program that reads late shall find few old lines before the newest.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._stdin, fcntl.F_SETPIPE_SZ, 4096)
        self._say(number, args or None)
        return Spawn(argv, self._theirs, fds, variables)

    def _argv(self) -> list[str]:
        """Return the command line of the wrapper that becomes the program."""
        told = "LC_CTYPE" in {*self._spec.environment, *self._spec.chosen_environment}
        locale = "given" if told else "none"
        program = str(Path(wrapper.__file__).resolve())
        mine = [str(os.getpid()), str(self._report_theirs), locale]
        return [sys.executable, "-I", "-S", program, *mine, *self._spec.command]

    def started(self, pid: int) -> None:
        """Listen to its notifications, and to whether it could be executed."""
        assert self._socket is not None
        self._pid = pid
        self._close_theirs()
        self._loop.add_reader(self._socket.fileno(), self._hear)
        self._loop.add_reader(self._report, self._executed)

    def _executed(self) -> None:
        """The report is closed: the program runs, or says why it doesn't."""
        reason = os.read(self._report, 4096)
        self._close_report()
        if reason:
            self.error = f"can't be started: {reason.decode('utf-8', 'replace')}"
        elif self._spec.ready == "started":
            self._take(ev.WorkerReady(self._run))
            self._settle()

    def _close_report(self) -> None:
        if self._report != -1:
            self._loop.remove_reader(self._report)
            os.close(self._report)
            self._report = -1

    def _close_theirs(self) -> None:
        for fd in (self._theirs, self._report_theirs):
            if fd != -1:
                os.close(fd)
        self._theirs = self._report_theirs = -1

    # ---- down --------------------------------------------------------------------------------

    def show(self, number: int, seq: int, args: Mapping[str, Scalar] | None) -> str:
        """Tell a state by what the settings name for it; END is SIGTERM, if nothing else.

        Returns:
            Why the signal for it was refused; an empty text if it wasn't.
        """
        name = self._spec.states[number]
        if self._stdin != -1:
            self._say(number, args)
        fallback = "" if self._spec.lines or name != "ENDING" else "SIGTERM"
        chosen = self._spec.signals.get(name, fallback)
        return self._signal(chosen) if chosen and not self._knows(number) else ""

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

    def settle(self) -> None:
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
            log.warning("worker.not_signalled", run=self._run, signal=name, reason=why)
            return why
        self._was_signalled = True
        log.info("worker.signalled", run=self._run, signal=name)
        return ""

    def _say(self, number: int, args: Mapping[str, Scalar] | None) -> None:
        """Put the state's line in place of an older one that still waits."""
        if args is not None:
            self._args_line = b"ARGS " + json.dumps(dict(args)).encode() + b"\n"
        self._state_line = self._spec.states[number].encode() + b"\n"
        self._loop.remove_writer(self._stdin)
        self._flush()

    def _flush(self) -> None:
        """Write whole lines as far as there is room; close after the last one."""
        try:
            while self._next():
                self._begun = self._begun[os.write(self._stdin, self._begun) :]
        except BlockingIOError:
            self._loop.add_writer(self._stdin, self._flush)
            return
        except BrokenPipeError:  # it has closed its standard input, which is its right
            self._close_stdin()
            return
        self._loop.remove_writer(self._stdin)
        if self._is_over:
            self._close_stdin()

    def _next(self) -> bytes:
        """Return what is to be written now: the rest of a line, args, or the newest state."""
        if self._begun:
            return self._begun
        if self._args_line:
            self._begun, self._args_line = self._args_line, b""
        elif self._state_line:
            self._begun, self._state_line = self._state_line, b""
            self._is_over = self._begun == b"ENDING\n"
        return self._begun

    def _close_stdin(self) -> None:
        if self._stdin != -1:
            self._loop.remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = -1

    # ---- up ----------------------------------------------------------------------------------

    def record(self) -> Record | None:
        """Return what it said of its work by ``STATUS=`` and ``X_STATUSD_PROGRESS=``."""
        if self._step is None and not self._text:
            return None
        return Record(self._step, self._total, self._text)

    def pulse(self) -> Pulse:
        """Return how many times it said ``WATCHDOG=1``."""
        return Pulse(self._beats)

    def drain(self) -> None:
        """Take the notifications that it left, and why it wasn't executed."""
        if self._report != -1:
            with contextlib.suppress(BlockingIOError):
                self._executed()
        while self._socket is not None and self._read_batch() == BATCH:
            pass

    def _hear(self) -> None:
        self._read_batch()
        self._settle()

    def _read_batch(self) -> int:
        assert self._socket is not None
        for count in range(BATCH):
            try:
                # Descriptors that come along (FDSTORE=1, BARRIER=1) find no room here: the kernel
                # closes them, which is what sd_notify_barrier(3) waits for.
                data, more, _, _ = self._socket.recvmsg(
                    MAX_DATAGRAM, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except BlockingIOError:
                return count
            if self._is_ours(more):
                self._take_fields(dict(_fields(data)))
        return BATCH

    def _is_ours(self, ancillary: list[tuple[int, int, bytes]]) -> bool:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid, uid, _ = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])
                return uid in (0, os.geteuid()) or _group_of(pid) == self._pid
        return False

    def _take_fields(self, fields: Mapping[str, str]) -> None:
        if "STATUS" in fields:
            self._text = fields["STATUS"][:MAX_TEXT]
        if "X_STATUSD_PROGRESS" in fields:
            self._take_progress(fields["X_STATUSD_PROGRESS"])
        if fields.get("WATCHDOG") == "1":
            self._beats += 1
        if fields.get("READY") == "1":
            self._take(ev.WorkerReady(self._run))
        if fields.get("STOPPING") == "1":
            log.info("worker.stopping", run=self._run)
        if "X_STATUSD_TRIGGER" in fields:
            reason = fields.get("X_STATUSD_REASON", "")[:500]
            self._take(ev.WorkerTriggered(self._run, fields["X_STATUSD_TRIGGER"][:64], reason))

    def _take_progress(self, text: str) -> None:
        number = r"(\d+(?:\.\d+)?)"
        found = re.fullmatch(rf"{number}(?:/{number})?", text[:64])
        if found:
            self._step = in_range(float(found[1]))
            self._total = in_range(float(found[2])) if found[2] else None

    # ---- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Give back the socket and the pipe."""
        self._close_stdin()
        self._close_theirs()
        self._close_report()
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None


def args_as_variables(args: Mapping[str, Scalar]) -> dict[str, str]:
    """Return ``args`` as environment variables: all as JSON, and each that can be one by itself."""
    if not args:
        return {}
    found = {"STATUSD_ARGS": json.dumps(dict(args))}
    for key, value in args.items():
        if re.fullmatch(r"[A-Za-z0-9_]+", key):
            found[f"STATUSD_ARG_{key}"] = value if isinstance(value, str) else json.dumps(value)
    return {name: value for name, value in found.items() if "\0" not in value}


def _fields(data: bytes) -> list[tuple[str, str]]:
    """Return the fields of a notification: lines ``NAME=value``."""
    pairs = (line.partition("=") for line in data.decode("utf-8", "replace").split("\n"))
    return [(name, value) for name, sign, value in pairs if sign]


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1
