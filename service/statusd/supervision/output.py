"""Where output goes: one descriptor, written to by a thread of its own.

Rules of this file: the loop never waits for whoever reads our output; what doesn't fit is refused,
and whoever offered it is told when there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from statusd import threads
from statusd.supervision.labels import READ_BYTES, JsonLabel, Label, Tag

MAX_WAITING = 1 << 20
"""So many bytes wait for a slow reader before the worker has to wait, too."""
STUCK_S = 1.0
"""A reader who has taken nothing for so long is taken to sleep."""
LOOK_S = 0.005
"""How often it is looked, at the end, whether all is written."""
_PIPE_BUF = 4096

Told = Callable[[str], object]
"""Gets the reason why something could not be done; empty if it was."""


class Sink:
    """Writes to a descriptor from a thread of its own; no error of it ever gets out.

    Args:
        fd: where to.
        name: of it, for the log.
        path: of the file that it has opened for this, and closes; None for a descriptor of ours.
        is_json: it is read together with a log of JSON lines, so all lines are to be JSON.
    """

    def __init__(
        self, fd: int, name: str, path: Path | None = None, *, is_json: bool = False
    ) -> None:
        self.name = name
        self._is_json = is_json
        self.waiting = 0
        self.written = 0
        self.lost = 0
        self.trouble = ""
        self._fd = fd
        self._path = path
        self._chunks: deque[bytes | Told] = deque()
        """What waits; whom to tell stands where the file is to be opened again."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._starting: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: list[Callable[[], None]] = []

    @classmethod
    def open(cls, path: Path) -> Sink:
        """Return one that appends to the file ``path``.

        A device is written to like a file, and a pipe if somebody reads it: nobody is waited for.

        Raises:
            OSError: it can't be written.
        """
        return cls(_opened(path), str(path), path)

    @property
    def is_file(self) -> bool:
        """Tell whether it has opened a file for this."""
        return self._path is not None

    def label(self, run: int, stream: str, unit: str = "") -> Label:
        """Return what makes lines known as those of a run's stream, in the way of this output.

        Args:
            unit: whose run it is; empty if no other unit prints.
        """
        return JsonLabel(run, stream, unit) if self._is_json else Tag(run, unit)

    def reopen(self, told: Told) -> None:
        """Have the file opened again: by its name it may be another one now.

        What was offered before goes to the old file, what comes after to the new one; if that can't
        be opened, to the old one still. Nothing waits for the disk but the thread that writes.

        Args:
            told: called on the loop, with the reason if it can't be opened; empty if it was.
        """
        if self._path is None:
            return
        with self._changed:
            if self._chunks and not isinstance(self._chunks[-1], bytes):
                self._chunks.pop()  # asked twice: once will do, or a stuck disk would fill memory
            self._chunks.append(told)
            self._changed.notify()
        self._see_to_thread()

    def offer(self, data: bytes) -> bool:
        """Take ``data`` (whole lines) if there is room for it; tell whether it was taken.

        If nothing waits, there is: else what is more than that could never be taken.
        """
        with self._changed:
            if self.waiting and self.waiting + len(data) > MAX_WAITING:
                return False
            self.waiting += len(data)
            self._chunks.append(data)
            self._changed.notify()
        self._see_to_thread()
        return True

    def _see_to_thread(self) -> None:
        if self._thread is None and self._starting is None:
            self._start()

    def _start(self) -> None:
        """Start the thread; if there is none to be had, try again later, and let things wait."""
        self._loop, self._starting = asyncio.get_running_loop(), None
        self.trouble = ""  # before it starts: from then on it tells its own
        try:
            self._thread = threads.start(self._write_on, self.name)
        except OSError as error:
            self.trouble = str(error.strerror)
            self._starting = self._loop.call_later(STUCK_S, self._start)

    def when_room(self, waiter: Callable[[], None]) -> None:
        """Have ``waiter`` called on the loop, once, when there is room again."""
        with self._changed:
            self._waiters.append(waiter)
            if self.waiting == 0:  # the thread was quicker, and has nothing more to tell it by
                self._wake_waiters()

    def close(self, timeout_s: float) -> None:
        """Wait at most so long for what is waiting, then give up."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
        # A thread that is stuck in a write needs the descriptor still.
        if self._path and (self._thread is None or not self._thread.is_alive()):
            self._path = None
            os.close(self._fd)

    async def finish(self, timeout_s: float) -> None:
        """Wait like `close`, and let the loop go on meanwhile; it takes no thread to wait in."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        until = time.monotonic() + timeout_s
        while self._thread is not None and self._thread.is_alive() and time.monotonic() < until:
            await asyncio.sleep(LOOK_S)
        if self._starting is not None:
            self._starting.cancel()
        self.close(0.0)

    # ---- the thread --------------------------------------------------------------------------

    def _write_on(self) -> None:
        most = self._most_at_once()
        while (task := self._next()) is not None:
            if isinstance(task, bytes):
                for piece in pieces(task, most):
                    self._write(piece, most)
            else:
                self._tell(task, self._open_again())
                most = self._most_at_once()

    def _next(self) -> bytes | Told | None:
        """Wait for what is to be done: written, or opened and told; None if that was all."""
        with self._changed:
            while not self._chunks and not self._closed:
                self._changed.wait()
            data: list[bytes] = []
            while self._chunks:
                first = self._chunks.popleft()
                if isinstance(first, bytes):
                    data.append(first)
                elif data:
                    self._chunks.appendleft(first)
                    break
                else:
                    return first
            return b"".join(data) or None

    def _open_again(self) -> str:
        """Open the file by its name, and return why not, if it can't be."""
        assert self._path is not None
        try:
            fd = _opened(self._path)
        except OSError as error:
            return error.strerror or type(error).__name__
        before, self._fd = self._fd, fd
        self.trouble = ""  # it was that of the old one
        with contextlib.suppress(OSError):  # of what was written to it long ago (NFS, quota)
            os.close(before)
        return ""

    def _tell(self, told: Told, reason: str) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is over: nobody waits any more
            self._loop.call_soon_threadsafe(told, reason)

    def _most_at_once(self) -> int:
        """Only a file may get more: all others may block, and a long write shows no progress."""
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.fstat(self._fd).st_mode):
                return READ_BYTES
        return _PIPE_BUF

    def _write(self, piece: bytes, most: int) -> None:
        rest = memoryview(piece)
        while rest:
            try:
                count = os.write(self._fd, rest[:most])
            except BlockingIOError:  # somebody gave us a descriptor that doesn't wait by itself
                self._wait_writable()
            except OSError as error:
                self.trouble = error.strerror or type(error).__name__
                self._make_room(0, len(rest))
                return
            else:
                rest = rest[count:]
                self._make_room(count, 0)

    def _wait_writable(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll()

    def _make_room(self, written: int, lost: int) -> None:
        with self._changed:
            self.waiting -= written + lost
            self.written += written
            self.lost += lost
            if self._waiters and self.waiting <= MAX_WAITING // 2:
                self._wake_waiters()

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is over: nobody waits any more
            for waiter in waiters:
                self._loop.call_soon_threadsafe(waiter)


def _opened(path: Path) -> int:
    """Return a descriptor that appends to the file ``path``, which is made if it isn't there.

    Raises:
        OSError: it can't be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o640)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OSError(error.errno, "it is a pipe or a socket, and nobody reads it") from None


def pieces(data: bytes, most: int) -> Iterator[bytes]:
    """Cut whole lines into pieces of at most ``most`` bytes, or of one line that is longer.

    A write of up to PIPE_BUF bytes into a pipe is never mixed with another one's (pipe(7)).
    """
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + most) + 1
        if end <= at:
            end = data.find(b"\n", at) + 1 or len(data)
        yield data[at:end]
        at = end
