"""The daemon as a child of the user's program: started, listened to, waited for, not in the way.

Rules of this file: nothing here waits without a limit but `Child.wait`; no thread, no signal
handler, and any number of the program's own may come here at once; whoever else waits for our child
(``os.wait()``, SIGCHLD ignored) takes nothing from us.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock
from contextlib import suppress
from select import POLLIN, poll

from statusd.worker.board import create
from statusd.worker.descriptor import Descriptor
from statusd.worker.notes import Lines
from statusd.worker.standard import WithLibraryFirst

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MARK = b"!"
"""Begins a line that is for `attach`, not for the worker: ``!what<TAB>field<TAB>field``."""
HELLO, READY, ERROR = "hello", "ready", "error"
"""What such a line tells: the lifecycle; that the unit stands and hears; why it never will."""
LAST_WORDS_S = 3.0
"""So long the end of a daemon is waited for; it needs 2 s at most."""

_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(__file__)), "daemon", "attached.py")
_FOR_OTHERS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID")
"""What a service manager says to the program, and not to its children."""
_leaving: list[tuple[int, Descriptor]] = []
"""Daemons that were let go and not waited for yet: pid and pidfd."""
_burying = allocate_lock()
"""Held by the thread that waits for them: each is taken out of the list once."""


class _Lines(Lines):
    """Lines out of a pipe that doesn't block, some of which were read before their time."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.kept: list[bytes] = []

    def read(self) -> list[bytes] | None:
        if self.kept:
            kept, self.kept = self.kept, []
            return kept
        try:
            return super().read()
        except BlockingIOError:
            return []
        except OSError:  # another thread has just let the daemon go
            return None


class Child:
    """A running daemon with the two pipes to it.

    Args:
        board: descriptor of the page; it stays the caller's.
        told: the settings, as `repr` of plain values. They go through memory: neither the command
            line nor the environment shows them.
        python: the interpreter; name: for whoever looks at the list of processes.

    Raises:
        OSError: it can't be started; nothing is left behind.
    """

    def __init__(self, board: int, told: bytes, python: str, name: str) -> None:
        self.down, down_write = os.pipe()
        up_read, self.up = os.pipe()
        memory = os.memfd_create("statusd-settings", os.MFD_CLOEXEC)
        theirs = (board, down_write, up_read, memory)
        self.started = time.monotonic()
        try:
            os.write(memory, told)
            for fd in (self.down, self.up):
                os.set_blocking(fd, False)
            self.pid = _spawn(python, theirs, name)
            self.pidfd = os.pidfd_open(self.pid)
        except BaseException:
            os.close(self.down)
            os.close(self.up)
            raise
        finally:
            for fd in theirs[1:]:
                os.close(fd)
        self._own = tuple(Descriptor(fd) for fd in (self.down, self.up, self.pidfd))
        self.lines = _Lines(self.down)

    def is_reached(self) -> bool:
        """Tell whether this program has left open what it needs to talk with the daemon."""
        return all(own.is_ours() for own in self._own)

    def is_alive(self) -> bool:
        """Tell whether the daemon still runs, as far as this program can tell."""
        return self._own[2].is_ours() and not is_readable((self.pidfd,), 0)

    def wait(self, timeout_s: float | None) -> bool:
        """Block until it has said something or ended; False after ``timeout_s`` seconds.

        It returns at once if it isn't `is_reached`.
        """
        return not self.is_reached() or is_readable((self.down, self.pidfd), timeout_s)

    def told(self, deadline: float) -> list[str]:
        """Return the fields of its next word to `attach`; nothing when it has ended without one.

        Raises:
            TimeoutError: ``deadline`` (monotonic seconds) has passed.
        """
        kept: list[bytes] = []
        while self.lines.kept or self.wait(deadline - time.monotonic()):
            lines = self.lines.read()
            for number, line in enumerate(lines or ()):
                if line.startswith(MARK):
                    self.lines.kept = [*kept, *(lines or ())[number + 1 :]]
                    return line[1:].decode("utf-8", "replace").split("\t")
            if lines is None:
                return []
            kept += lines
        raise TimeoutError("the daemon takes too long to start")

    def let_go(self) -> None:
        """Close the pipes, which ends it, and remember to wait for it later; never blocks."""
        if self._own[2].is_ours():
            _leaving.append((self.pid, Descriptor(os.dup(self.pidfd))))
        self.close()

    def close(self) -> None:
        """Give the descriptors back; a second call does nothing."""
        for own in self._own:
            own.close()


class Starter:
    """All that is needed to start a daemon, also another time.

    Args:
        told: its settings, as plain values.
        python, name: see `Child`.
    """

    def __init__(self, told: dict[str, Any], python: str, name: str) -> None:
        self.python = python
        self.board = Descriptor(create())
        self.names = told["settings"].get("NAME", ""), told["config"]
        self._told, self._name = told, name

    def child(self) -> Child:
        """Start one. What is wanted of the first one (``first``) isn't of those after it.

        Raises:
            OSError: it can't be started; nothing of it is left behind.
        """
        child = Child(self.board.fd, repr(self._told).encode(), self.python, self._name)
        self._told["first"] = {}
        return child


def bury(timeout_s: float = 0.0) -> None:
    """Wait for the daemons that were let go, but no longer than ``timeout_s`` seconds.

    Of several threads one waits for all of them, and the others for that one.
    """
    deadline = time.monotonic() + timeout_s
    if not _burying.acquire(timeout_s > 0, timeout_s if timeout_s > 0 else -1):
        return
    try:
        for dead in _leaving[:]:
            pid, pidfd = dead
            if not pidfd.is_ours() or is_readable((pidfd.fd,), deadline - time.monotonic()):
                _leaving.remove(dead)
                pidfd.close()
                with suppress(ChildProcessError):  # somebody else has waited for it
                    os.waitpid(pid, os.WNOHANG)
    finally:
        _burying.release()


def _forked() -> None:
    """In a forked child: they are its parent's, and so is the thread that waits for them."""
    global _burying
    _leaving.clear()
    _burying = allocate_lock()


os.register_at_fork(after_in_child=_forked)


def is_readable(fds: Sequence[int], timeout_s: float | None) -> bool:
    """Wait until something can be read from one of ``fds``; False after ``timeout_s`` seconds."""
    poller = poll()
    for fd in fds:
        poller.register(fd, POLLIN)
    return bool(poller.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000))


def _spawn(python: str, fds: Sequence[int], name: str) -> int:
    """Start the daemon in a session of its own, with ``fds`` and standard error, and no more."""
    with WithLibraryFirst():
        import signal

    first = max(*fds, 2) + 1  # numbers of its own: nothing that it still needs is overwritten
    numbers = range(first, first + len(fds))
    null = os.devnull
    actions = [
        *((os.POSIX_SPAWN_DUP2, fd, number) for fd, number in zip(fds, numbers, strict=True)),
        (os.POSIX_SPAWN_OPEN, 0, null, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, null, os.O_WRONLY, 0),
    ]
    argv = [python, "-P", _PROGRAM, *map(str, (*numbers, os.getpid())), name]
    kept = {key: value for key, value in os.environ.items() if key not in _FOR_OTHERS}
    plain = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE
    return os.posix_spawnp(
        python,
        argv,
        kept,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=plain,
    )
