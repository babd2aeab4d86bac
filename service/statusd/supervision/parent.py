"""The program that we are attached to, in the place of a worker that we would have started.

It is our parent. Rules of this file: it is told its state and listened to; it is never signalled,
killed, waited for or started again, and neither is anything that it has started.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from statusd.core import events as ev
from statusd.core.messages import Scalar
from statusd.scheduler import Scheduler
from statusd.supervision import oom
from statusd.supervision.down_pipe import DownPipe
from statusd.supervision.function_channel import DYING_S, FunctionChannel, text_of
from statusd.supervision.guard import Guard
from statusd.supervision.process import Process
from statusd.supervision.worker_channel import Spec, Submit
from statusd.worker import board as page
from statusd.worker import child, notes

LAST_WORDS_S = 2.0
"""So long after its program this daemon may live."""

Left = Callable[[int, str], None]


class Inherited:
    """What the program gave us: its page, the two pipes, and who it is.

    Args:
        board, down, up: inherited descriptors.
        pid: of the program.

    Raises:
        ProcessLookupError: it is gone already.
    """

    def __init__(self, board: int, down: int, up: int, pid: int) -> None:
        self.board, self.down, self.up, self.pid = board, down, up, pid
        for fd in (board, down, up):
            os.set_inheritable(fd, False)
        for fd in (down, up):
            os.set_blocking(fd, False)
        self.pidfd = os.pidfd_open(pid)
        if os.getppid() != pid:  # somebody else may have the number by now
            raise ProcessLookupError

    @property
    def is_sound(self) -> bool:
        """Tell whether the page can be mapped: nobody can make it shorter under our hands."""
        return page.is_sound(self.board)

    def send(self, what: str, *fields: str) -> None:
        """Say something to `attach`; a program that is gone needn't hear it."""
        text = "\t".join((what, *(" ".join(field.split()) for field in fields)))
        notes.send(self.down, child.MARK + text.encode() + b"\n")


class ParentChannel(FunctionChannel):
    """The daemon's end of a board and pipes that the program has made."""

    def __init__(
        self,
        inherited: Inherited,
        left: Left,
        spec: Spec,
        run: int,
        submit: Submit,
        flush: Callable[[], None],
        loop: Scheduler,
    ) -> None:
        super().__init__(spec, run, submit, flush, loop)
        self._inherited = inherited
        self._left = left

    def take_over(self, number: int, seq: int, args: Mapping[str, Scalar]) -> None:
        """Put the first state on the board and listen."""
        self._board = page.Board(self._inherited.board)
        self._board.words[page.DEADLINE] = int(self._spec.deadline * 1e9)
        self._down, self._up = DownPipe(self._inherited.down, self._loop), self._inherited.up
        self._lines = notes.Lines(self._up)
        self._loop.add_reader(self._up, self._hear)
        self.show(number, seq, args or None)

    def _take_note(self, line: bytes) -> None:
        note: Any = {}
        if line.startswith(b'{"note": "left"'):
            try:
                note = json.loads(line)
                self._left(int(bool(note["failed"])), text_of(note["reason"])[: notes.MAX_REASON])
                return
            except (ValueError, KeyError, RecursionError):
                pass  # as any other nonsense
        super()._take_note(line)

    def _closed(self) -> None:
        """It has become another program by execve(2), or is just dying."""
        self._loop.call_later(DYING_S, self._let_go)

    def _let_go(self) -> None:
        self._left(0, "the program has let go of its worker")
        self._flush()


class Parent(Process):
    """The program, for one run: the only one that there is.

    Args:
        line: to it; the others as for any `Process`.
    """

    def __init__(
        self,
        inherited: Inherited,
        spec: Spec,
        run: int,
        submit: Submit,
        flush: Callable[[], None],
        guard: Guard,
        _: object,
        loop: Scheduler,
    ) -> None:
        super().__init__(spec, run, submit, flush, guard, None, loop)
        self.pid = inherited.pid
        self._parent = ParentChannel(inherited, self._left, spec, run, submit, flush, loop)
        self._channel = self._parent
        self.flush = self._parent.flush
        self._inherited = inherited
        self._is_over = False

    def start(self, number: int, seq: int, args: Mapping[str, Scalar]) -> None:
        """Take it over as it is: it runs already, and is ready."""
        self._parent.take_over(number, seq, args)
        self._pidfd = self._inherited.pidfd
        self._loop.add_reader(self._pidfd, self._died)
        self._submit(ev.WorkerReady(self.run))

    def show(self, show: ev.Show) -> None:
        """Tell it its state; who has stopped it may let it go on."""
        _, number, seq, args = show
        self._channel.show(number, seq, args)

    def stop(self, force: ev.Force) -> bool:
        """Do nothing, and say so."""
        return False

    def _died(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self._channel.drain()  # it may have said goodbye
        killed = oom.kills() > self._oom_kills
        why = ": killed by the kernel, probably out of memory" if killed else ""
        self._left(1, f"process died{why}")
        self._flush()

    def _left(self, code: int, reason: str) -> None:
        """The unit is over, whatever becomes of the program."""
        if self._is_over:
            return
        self._is_over = True
        self._loop.call_later(LAST_WORDS_S, os._exit, 0)  # it is all of this daemon
        self._parent.show(self._spec.states.index("END"), 0, None)  # for its forked children
        self._submit(ev.WorkerExited(self.run, code, reason))
        self._submit(ev.WorkerGone(self.run))
