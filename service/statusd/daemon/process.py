"""The worker as a process: started, shown the state, signalled, and seen gone.

Everything that it does comes back as an input. Rules of this file: spawned from the main thread;
waited for by its own pid, never by ``waitpid(-1)``; each run has its own page and pipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from statusd.core import events as ev
from statusd.core.messages import Scalar
from statusd.worker import board as page
from statusd.worker import launch, notes

LOOK_S = 0.005
"""How often the rest of a killed process group is looked for; doubles up to a second."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run.

    Args:
        function: ``package.module:name``.
        ready: when it counts as ready: ``started`` or ``notified``.
        states, parts: the lifecycle, for the worker's side.
        paths: where its modules are looked for first.
        environment: of the process.
    """

    function: str
    ready: str
    states: tuple[str, ...]
    parts: str
    paths: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Process:
    """The worker of one run, from its start until nothing of its process group lives.

    Args:
        spec: what to run.
        run: its generation.
        take: gets every input that the worker causes; settle: called after a batch of them.
    """

    def __init__(
        self,
        spec: Spec,
        run: int,
        take: Callable[[ev.Input], None],
        settle: Callable[[], None],
    ) -> None:
        self.run = run
        self.pid = 0
        self._spec = spec
        self._take = take
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._board: page.Board | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._fds: list[int] = []
        self._up = self._down = self._pidfd = -1
        self._lines: notes.Lines | None = None
        self._unsent = b""
        self._error = ""
        self._seen = 0
        self._record: page.Record | None = None

    def start(self, number: int, seq: int, args: Mapping[str, Scalar]) -> None:
        """Start the process with state ``number`` of event ``seq`` on its board.

        Raises:
            OSError: the system refused; nothing is left behind.
        """
        try:
            self._start(number, seq, args)
        except OSError:
            self.close()
            raise

    def _start(self, number: int, seq: int, args: Mapping[str, Scalar]) -> None:
        board_fd = self._own(page.create())
        down_read, self._down = map(self._own, os.pipe())
        self._up, up_write = map(self._own, os.pipe())
        for fd in (self._down, self._up, up_write):
            os.set_blocking(fd, False)
        self._board = page.Board(board_fd)
        self._board.words[page.STATE] = page.pack_word(number, self.run, seq)
        if args:
            self._send_down(json.dumps(dict(args)).encode() + b"\n")
        theirs = (board_fd, down_read, up_write)
        self._popen = subprocess.Popen(
            self._command(theirs),
            stdin=subprocess.DEVNULL,
            env=dict(self._spec.environment),
            pass_fds=theirs,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        for fd in theirs:
            self._disown(fd)
        self._lines = notes.Lines(self._up)
        self._pidfd = self._own(os.pidfd_open(self.pid))
        self._loop.add_reader(self._up, self._hear)
        self._loop.add_reader(self._pidfd, self._exited)

    def _command(self, fds: Sequence[int]) -> list[str]:
        spec = self._spec
        program = str(Path(launch.__file__).resolve())
        told = launch.Launch.argv(
            fds, os.getpid(), spec.ready, spec.states, spec.parts, spec.function, spec.paths
        )
        return [sys.executable, program, *told]

    # ---- down --------------------------------------------------------------------------------

    def show(self, number: int, seq: int, args: Mapping[str, Scalar] | None) -> None:
        """Put a state on the board and wake the worker; ``args`` are sent before it."""
        if self._board is None:
            return
        if args is not None:
            self._send_down(json.dumps(dict(args)).encode() + b"\n")
        self._board.words[page.STATE] = page.pack_word(number, self.run, seq)
        self._send_down(notes.WAKE)

    def _send_down(self, line: bytes) -> None:
        """Write without waiting: what finds no room is kept, and one wake-up stands for many."""
        if self._down == -1 or (self._unsent and line == notes.WAKE):
            return
        self._unsent += line
        self._flush_down()
        if self._unsent:
            self._loop.add_writer(self._down, self._resume_down)

    def _resume_down(self) -> None:
        self._flush_down()
        if not self._unsent:
            self._loop.remove_writer(self._down)

    def _flush_down(self) -> None:
        try:
            self._unsent = self._unsent[os.write(self._down, self._unsent) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._unsent = b""
        # A pipe without room is full of wake-ups already; only args have to wait for room.
        if self._unsent == notes.WAKE:
            self._unsent = b""

    # ---- up ----------------------------------------------------------------------------------

    def record(self) -> page.Record | None:
        """Return what the worker said of its work last, if anything; also when it is gone."""
        if self._board is not None:
            self._record = self._board.read_record() or self._record
        return self._record

    def _hear(self) -> None:
        self._read_notes()
        self._settle()

    def _read_notes(self) -> bool:
        """Take the notes that are there; False if there were none."""
        assert self._lines is not None
        try:
            lines = self._lines.read()
        except BlockingIOError:
            return False
        if lines is None:
            self._loop.remove_reader(self._up)
            return False
        for line in lines:
            self._take_note(line + b"\n")
        self._look_at_board()
        return True

    def _take_note(self, line: bytes) -> None:
        if line == notes.SEEN:
            return
        if line == notes.READY:
            self._look_at_board()
            self._take(ev.WorkerReady(self.run))
            return
        try:
            note = json.loads(line)
            kind, reason = note["note"], str(note.get("reason", ""))[:500]
            trigger = str(note.get("trigger", ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return  # the pipe is the user's process': anything may be written there
        if kind == "error":
            self._error = reason
        elif kind == "trigger":
            self._look_at_board()
            self._take(ev.WorkerTriggered(self.run, trigger, reason))

    def _look_at_board(self) -> None:
        assert self._board is not None
        seen = page.unpack_word(self._board.words[page.SEEN])
        if seen.seq != self._seen and seen.run == self.run & 0xFFFFFF:
            self._seen = seen.seq
            self._take(ev.WorkerAcknowledged(self.run, seen.seq, seen.state))

    # ---- the end -----------------------------------------------------------------------------

    def stop(self, force: ev.Force) -> bool:
        """Signal the whole process group, also one that is stopped; False if it has exited."""
        if self._popen is None or self._popen.returncode is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.Signals[force.value])
            os.killpg(self.pid, signal.SIGCONT)
        return True

    def _exited(self) -> None:
        assert self._popen is not None
        self._loop.remove_reader(self._pidfd)
        while self._read_notes():
            pass
        # The unreaped process still holds its group's number: nobody else can be hit.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._popen.wait()
        reason = describe_exit(code)
        if self._error:
            reason = f"{reason}: {self._error}"
        self._take(ev.WorkerExited(self.run, code, reason))
        self._look_for_rest(LOOK_S)

    def _look_for_rest(self, wait_s: float) -> None:
        if _group_lives(self.pid):
            self._loop.call_later(wait_s, self._look_for_rest, min(1.0, wait_s * 2))
            return
        self.close()
        self._take(ev.WorkerGone(self.run))
        self._settle()

    def close(self) -> None:
        """Give back the page, the pipes and the descriptors."""
        for fd in (self._up, self._pidfd):
            if fd != -1:
                self._loop.remove_reader(fd)
        if self._down != -1:
            self._loop.remove_writer(self._down)
        while self._fds:
            os.close(self._fds.pop())
        self._up = self._down = self._pidfd = -1
        if self._board is not None:
            self.record()
            self._board.close()
            self._board = None

    def _own(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def _disown(self, fd: int) -> None:
        self._fds.remove(fd)
        os.close(fd)


def _group_lives(pgid: int) -> bool:
    """Tell whether anything of the process group is left; as PID 1, reap what fell to us."""
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_PGID, pgid, os.WEXITED | os.WNOHANG) is not None:
            pass
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # The kernel counts the dead too, and an init that is slow to bury them, or a container without
    # one, would keep us waiting.
    return any(_is_living_member(entry, pgid) for entry in os.scandir("/proc"))


def _is_living_member(entry: os.DirEntry[str], pgid: int) -> bool:
    if not entry.name.isdigit():
        return False
    try:
        with open(f"/proc/{entry.name}/stat", "rb") as file:
            # proc(5): the name stands in parentheses and may hold anything, even a parenthesis.
            state, _, group = file.read().rpartition(b")")[2].split()[:3]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(group) == pgid and state not in (b"Z", b"X")


def describe_exit(code: int) -> str:
    """Return how a process ended, in words: ``exit code 3``, ``killed by SIGSEGV``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}"
