"""Talking with a Python function: one page of memory and two pipes (see `statusd.worker`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from statusd import logs
from statusd.core import events as ev
from statusd.core.messages import Scalar
from statusd.scheduler import Scheduler
from statusd.supervision.down_pipe import DownPipe
from statusd.supervision.worker_channel import Pulse, Spawn, Spec, Submit, WorkerChannel
from statusd.worker import board as page
from statusd.worker import function, launch, notes

AT_ONCE = 1024
"""So many bytes of notes are read at a time, a dozen or so: each may cost as much as a command, and
others, whose daemon this is too, are not to wait for a worker that babbles."""
DYING_S = 0.2
"""The pipes of a process that dies are closed a little before it is dead."""
SEVERED = "it has closed the descriptors that statusd gave it: it acknowledges nothing any more"


class FunctionChannel(WorkerChannel):
    """The daemon's end of board and pipes, for one run."""

    def __init__(
        self, spec: Spec, run: int, submit: Submit, flush: Callable[[], None], loop: Scheduler
    ) -> None:
        super().__init__(spec, run, submit, flush, loop)
        self._board: page.Board | None = None
        self._fds: list[int] = []
        self._theirs: tuple[int, ...] = ()
        self._up = -1
        self._down: DownPipe | None = None
        self._lines: notes.Lines | None = None
        self._woken = self._owes_wake = False
        self._seen = 0
        self._record: page.Record | None = None
        self._pulse = Pulse()

    def prepare(self, number: int, seq: int, args: Mapping[str, Scalar]) -> Spawn:
        """Make board and pipes, with the first state on the board."""
        board_fd = self._own(page.create())
        down_read, down_write = map(self._own, os.pipe())
        self._up, up_write = map(self._own, os.pipe())
        for fd in (down_write, self._up, up_write):
            os.set_blocking(fd, False)
        self._board = page.Board(board_fd)
        self._board.words[page.STATE] = page.pack_word(number, self._run, seq)
        self._board.words[page.DEADLINE] = int(self._spec.deadline * 1e9)
        self._down = DownPipe(down_write, self._loop)
        if args:
            self._down.send_args(args)
        self._theirs = (board_fd, down_read, up_write)
        return Spawn(self._argv(), subprocess.DEVNULL, self._theirs)

    def _argv(self) -> list[str]:
        spec = self._spec
        program = str(Path(launch.__file__).resolve())
        told = function.Launch.argv(
            self._theirs,
            os.getpid(),
            spec.ready,
            spec.states,
            spec.parts,
            spec.function,
            spec.worker_states,
            spec.paths,
        )
        return [spec.python or sys.executable, program, *told]

    def started(self, pid: int) -> None:
        """Close the worker's ends and listen to ours."""
        for fd in self._theirs:
            self._fds.remove(fd)
            os.close(fd)
        self._lines = notes.Lines(self._up, at_once=AT_ONCE)
        self._loop.add_reader(self._up, self._hear)

    # ---- down --------------------------------------------------------------------------------

    def show(self, number: int, seq: int, args: Mapping[str, Scalar] | None) -> None:
        """Put a state on the board and wake the worker; ``args`` are sent before it.

        Of many states that come together the first wakes it, and the last by `flush`.
        """
        if self._board is None or self._down is None:
            return
        if args is not None:
            self._down.send_args(args)
        self._board.words[page.STATE] = page.pack_word(number, self._run, seq)
        if self._woken:
            self._owes_wake = True
        else:
            self._woken = True
            self._down.wake()

    def flush(self) -> ev.Input | None:
        """Wake the worker for what was shown since it was woken; return its arrival, if any.

        A worker on another core is often faster than what there was to write meanwhile: then its
        arrival is told in the same write.
        """
        woken, self._woken = self._woken, False
        if self._down is None:
            return None
        if self._owes_wake:
            self._owes_wake = False
            self._down.wake()
        elif woken:
            return self._arrival()
        return None

    # ---- up ----------------------------------------------------------------------------------

    def record(self) -> page.Record | None:
        """Return what the worker said of its work last, if anything; also when it is gone."""
        if self._board is not None:
            self._record = self._board.read_record() or self._record
        return self._record

    def pulse(self) -> Pulse:
        """Return what it left on the board; also when it is gone."""
        if self._board is not None:
            words = self._board.words
            self._pulse = Pulse(words[page.BEATS], words[page.SEEN], words[page.PATIENCE] / 1e9)
        return self._pulse

    def drain(self) -> None:
        """Take the notes that it left."""
        while self._lines is not None and self._read_notes():
            pass

    def _hear(self) -> None:
        self._read_notes()
        self._flush()

    def _read_notes(self) -> bool:
        """Take the notes that are there; False if there were none."""
        assert self._lines is not None
        try:
            lines = self._lines.read()
        except BlockingIOError:
            return False
        if lines is None:
            self._loop.remove_reader(self._up)
            self._closed()
            return False
        for line in lines:
            self._take_note(line + b"\n")
        self._look_at_board()
        return True

    def _closed(self) -> None:
        """The worker's end is closed: it is just dying, or can't be heard any more."""
        self._loop.call_later(DYING_S, self._look_if_it_lives)

    def _look_if_it_lives(self) -> None:
        if self._up != -1:
            self.severed = "it had closed the descriptors that statusd gave it"
            logs.of(self._spec.unit).warning("worker.severed", run=self._run, reason=SEVERED)

    def _take_note(self, line: bytes) -> None:
        if line == notes.SEEN:
            return
        if line == notes.READY:
            self._look_at_board()
            self._submit(ev.WorkerReady(self._run))
            return
        if line == notes.RETURNED:
            self.has_returned = True
            return
        try:
            note = json.loads(line)
            kind, reason = note["note"], text_of(note.get("reason", ""))[: notes.MAX_REASON]
            trigger = text_of(note.get("trigger", ""))[: notes.MAX_TRIGGER]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return  # the pipe is the user's process': anything may be written there
        if kind == "error":
            self.error = reason
        elif kind == "trigger":
            self._look_at_board()
            self._submit(ev.WorkerTriggered(self._run, trigger, reason))

    def _look_at_board(self) -> None:
        arrival = self._arrival()
        if arrival is not None:
            self._submit(arrival)

    def _arrival(self) -> ev.WorkerAcknowledged | None:
        """Return what it has taken in since the last look; None if that is nothing new."""
        assert self._board is not None
        seen = page.unpack_word(self._board.words[page.SEEN])
        if seen.seq == self._seen or seen.run != self._run & 0xFFFFFF:
            return None
        self._seen = seen.seq
        return ev.WorkerAcknowledged(self._run, seen.seq, seen.state)

    # ---- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Give back the page, the pipes and the descriptors."""
        if self._up != -1:
            self._loop.remove_reader(self._up)
        if self._down is not None:
            self._down.close()
            self._down = None
        while self._fds:
            os.close(self._fds.pop())
        self._up = -1
        if self._board is not None:
            self.record()
            self.pulse()
            self._board.close()
            self._board = None

    def _own(self, fd: int) -> int:
        self._fds.append(fd)
        return fd


def text_of(value: object) -> str:
    """Return ``value`` as text that can be written: half of a surrogate pair can't."""
    return str(value).encode("utf-8", "replace").decode()
