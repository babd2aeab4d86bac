"""`Spectator`: a worker as another process sees it, forked off or given it by pickle.

Rules of this file: it sees every state and wakes for each, and writes nothing on the page; nothing
is read from its parent's pipe, for what one process reads the other will never see.
"""

from __future__ import annotations

import copyreg
import os
import time
from select import POLLIN, poll

from statusd.worker.api import LOOK_S, Worker, workers
from statusd.worker.board import Board, create
from statusd.worker.descriptor import Descriptor
from statusd.worker.states import StateT_co

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from typing import Any


class Spectator(Worker[StateT_co]):
    """What a child process has of a worker: the states to see, and to wait for.

    It looks at the page `LOOK_S` apart, for only one process can be woken by a pipe. When the
    worker's own process is gone, its state is ENDING.
    """

    _watch: Descriptor | None = None

    @property
    def connected(self) -> bool:
        """Whether the worker's own process is there."""
        self._check_daemon()
        return self._daemon_pid != -1

    def ready(self) -> None:
        """Do nothing: it is for the worker's own process to say."""

    def expect(self, seconds: float) -> None:
        """Do nothing: the page is the worker's to write on."""

    def progress(
        self, step: float, total: float | None = None, text: str | None = None, unit: str = ""
    ) -> None:
        """Do nothing: the page is the worker's to write on."""

    def text(self, text: str) -> None:
        """Do nothing: the page is the worker's to write on."""

    def _beat(self, thread: int) -> None:
        pass

    def _acknowledge_if_all(self, word: int) -> None:
        self._seen = word

    def _drain(self) -> None:
        pass

    def _sleep(self, deadline: float | None) -> bool:
        if self._daemon_pid == -1:
            return False
        left_s = LOOK_S if deadline is None else max(0.0, deadline - time.monotonic())
        if self._is_over(min(left_s, LOOK_S)):
            self._lose_daemon()
        return left_s > 0

    def _check_daemon(self) -> None:
        if self._daemon_pid != -1 and self._is_over(0):
            self._lose_daemon()

    def _is_over(self, timeout_s: float) -> bool:
        """Wait until the worker's process is gone, at most ``timeout_s`` seconds."""
        if self._watch is None or not self._watch.is_ours():
            try:
                self._watch = Descriptor(os.pidfd_open(self._pid))
            except OSError:
                return True
        poller = poll()
        poller.register(self._watch.fd, POLLIN)
        return bool(poller.poll(timeout_s * 1000))

    def _forked(self, kind: type[Worker[Any]]) -> None:
        self._begin_alone()


class Seat:
    """Where to look from: all that another process needs to know of a worker.

    Its page is a descriptor of the worker's process; its args are as they are now.
    """

    def __init__(self, worker: Worker[Any]) -> None:
        file, known = worker._board.file, worker._known
        self.pid, self.fd, self.page = worker._pid, file.fd, file.identity
        self.states, self.parts, self.own = known.names, known.parts, known.own
        self.args = worker._args


def give_seat(worker: Worker[Any]) -> Any:
    """Reduce a worker for pickle: whoever unpickles it gets a spectator."""
    return spectate, (Seat(worker),)


def spectate(seat: Seat) -> Spectator:
    """Return a spectator of a worker on this machine, or of one that has ended.

    Raises:
        RuntimeError: its page can't be looked at from here.
    """
    try:
        fd = os.open(f"/proc/{seat.pid}/fd/{seat.fd}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        fd = -1
    except OSError as error:
        raise RuntimeError(f"{_NOT_HERE}: {error.strerror}") from None
    found = Descriptor(fd)
    if fd != -1 and found.identity != seat.page:
        found.close()
        raise RuntimeError(_NOT_HERE)
    return _seated(seat, fd)


def _seated(seat: Seat, fd: int) -> Spectator:
    is_over = fd == -1
    fd = create() if is_over else fd
    watcher = Spectator(
        Board(fd, is_written=False),
        -1,
        -1,
        states=seat.states,
        parts=seat.parts,
        daemon_pid=seat.pid,
        own=seat.own,
    )
    os.close(fd)
    watcher._pid, watcher._args = seat.pid, seat.args
    if is_over:
        watcher._lose_daemon()
    return watcher


_NOT_HERE = (
    "a worker can be looked at by processes of its own machine and user, while it keeps worker.fds "
    "open"
)


def _after_fork() -> None:
    for worker in workers():
        worker._forked(Spectator)


for kind in (Worker, Spectator):
    copyreg.pickle(kind, give_seat)
os.register_at_fork(after_in_child=_after_fork)
