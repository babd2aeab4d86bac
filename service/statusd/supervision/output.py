"""What the worker prints: read from its pipes, passed on line by line, and the last of it kept.

Rules of this file: the loop never waits for whoever reads our output, so a thread writes; a reader
who is slow slows the worker down, one who sleeps loses lines, which are counted; the worker is
never blocked for good.
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
from statusd.scheduler import Scheduler

MAX_WAITING = 1 << 20
"""So many bytes wait for a slow reader before the worker has to wait, too."""
STUCK_S = 1.0
"""A reader who has taken nothing for so long is taken to sleep."""
LOOK_S = 0.005
"""How often it is looked, at the end, whether all is written."""
READ_BYTES = 65536
LONGEST_LINE = 8192
"""A line without an end is passed on in pieces of this length, in bytes."""
TAIL_LINES, TAIL_BYTES, TAIL_WIDTH = 20, 16384, 300
"""What is kept of standard error: so many lines, of so many bytes, each cut to a width."""
_PIPE_BUF = 4096


class Sink:
    """Writes to a descriptor from a thread of its own; no error of it ever gets out.

    Args:
        fd: where to.
        name: of it, for the log.
        own: `close` closes it.
    """

    def __init__(self, fd: int, name: str, *, own: bool = False) -> None:
        self.name = name
        self.waiting = 0
        self.written = 0
        self.lost = 0
        self.trouble = ""
        self._fd = fd
        self._own = own
        self._chunks: deque[bytes] = deque()
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
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o640)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            raise OSError(error.errno, "it is a pipe or a socket, and nobody reads it") from None
        return cls(fd, str(path), own=True)

    def offer(self, data: bytes) -> bool:
        """Take ``data`` (whole lines) if there is room for it; tell whether it was taken."""
        with self._changed:
            if self.waiting + len(data) > MAX_WAITING:
                return False
            self.waiting += len(data)
            self._chunks.append(data)
            self._changed.notify()
        if self._thread is None and self._starting is None:
            self._start()
        return True

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
                self._tell_waiters()

    def close(self, timeout_s: float) -> None:
        """Wait at most so long for what is waiting, then give up."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
        # A thread that is stuck in a write needs the descriptor still.
        if self._own and (self._thread is None or not self._thread.is_alive()):
            self._own = False
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
        while True:
            with self._changed:
                while not self._chunks and not self._closed:
                    self._changed.wait()
                if not self._chunks:
                    return
                data = b"".join(self._chunks)
                self._chunks.clear()
            for piece in pieces(data, most):
                self._write(piece, most)

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
                self._tell_waiters()

    def _tell_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is over: nobody waits any more
            for waiter in waiters:
                self._loop.call_soon_threadsafe(waiter)


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


class Relay:
    """What one run prints.

    Args:
        run: the generation; it stands before every line.
        out, err: where its standard output and error go.
    """

    def __init__(self, run: int, out: Sink, err: Sink, loop: Scheduler) -> None:
        self._out = _Stream(run, out, loop)
        self._err = _Stream(run, err, loop, keeps_tail=True)
        self._theirs: list[int] = []

    @property
    def dropped(self) -> int:
        """The number of lines that nobody took."""
        return self._out.dropped + self._err.dropped

    def pipes(self) -> tuple[int, int]:
        """Make the pipes and return the ends that the worker writes to.

        Raises:
            OSError: the system has none left.
        """
        for stream in (self._out, self._err):
            self._theirs.append(stream.open())
        return self._theirs[0], self._theirs[1]

    def started(self) -> None:
        """Close the worker's ends, and listen."""
        self._close_theirs()
        self._out.listen()
        self._err.listen()

    def drain(self) -> None:
        """Take what is there now: the worker has ended. From now on nothing waits for a reader."""
        self._out.drain()
        self._err.drain()

    def tail(self) -> tuple[str, ...]:
        """Return the last lines of standard error, fit for a human's eyes."""
        lines = self._err.tail.split(b"\n")
        if not lines[-1]:
            del lines[-1]
        return tuple(_shown(line) for line in lines[-TAIL_LINES:])

    def close(self) -> None:
        """Pass on what has no newline yet, and close the pipes."""
        self._close_theirs()
        self._out.close()
        self._err.close()

    def _close_theirs(self) -> None:
        while self._theirs:
            os.close(self._theirs.pop())


class _Stream:
    def __init__(self, run: int, sink: Sink, loop: Scheduler, *, keeps_tail: bool = False) -> None:
        self.dropped = 0
        self.tail = b""
        self._tag = b"run %d | " % run
        self._sink = sink
        self._loop = loop
        self._keeps_tail = keeps_tail
        self._fd = -1
        self._rest = b""
        self._held = b""
        self._told = 0
        self._discards = self._never_waits = False
        self._patience: asyncio.TimerHandle | None = None

    def open(self) -> int:
        """Make the pipe and return its writing end."""
        self._fd, theirs = os.pipe()
        os.set_blocking(self._fd, False)
        return theirs

    def listen(self) -> None:
        self._loop.add_reader(self._fd, self._read)

    def _read(self) -> int:
        """Read once; 0 if nothing was there."""
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return 0
        if data:
            self._take(data)
        else:
            self._loop.remove_reader(self._fd)
        return len(data)

    def _take(self, data: bytes) -> None:
        if self._keeps_tail:
            self.tail = (self.tail + data)[-TAIL_BYTES:]
        data = self._rest + data
        cut = data.rfind(b"\n") + 1
        whole, self._rest = data[:cut], data[cut:]
        while len(self._rest) > LONGEST_LINE:
            whole += self._rest[:LONGEST_LINE] + b"\n"
            self._rest = self._rest[LONGEST_LINE:]
        if whole:
            self._pass_on(whole)

    def _pass_on(self, whole: bytes) -> None:
        tagged = self._tag + whole[:-1].replace(b"\n", b"\n" + self._tag) + b"\n"
        # One that sleeps is left alone until it has read on: each small gap that a line happens to
        # fit into would else begin another wait.
        is_asked = self._never_waits or not self._discards
        if is_asked and self._sink.offer(self._regret() + tagged):
            self._told = self.dropped
        elif self._discards or self._never_waits:
            self.dropped += tagged.count(b"\n")
        else:
            self._hold(tagged)

    def _regret(self) -> bytes:
        """Return a line about what was dropped since the last one; empty if nothing was."""
        if self.dropped == self._told:
            return b""
        count = self.dropped - self._told
        return self._tag + b"statusd: %d lines of output were dropped\n" % count

    # ---- waiting for the reader --------------------------------------------------------------

    def _hold(self, tagged: bytes) -> None:
        """Let the worker wait, as long as the reader goes on."""
        self._held = tagged
        self._loop.remove_reader(self._fd)
        self._sink.when_room(self._go_on)
        self._patience = self._loop.call_later(STUCK_S, self._give_up, self._sink.written)

    def _go_on(self) -> None:
        if not self._held:
            self._discards = False
            return
        if not self._sink.offer(self._held):
            self._sink.when_room(self._go_on)
            return
        self._held = b""
        self._stop_waiting()

    def _give_up(self, written: int) -> None:
        if self._sink.written != written:
            self._patience = self._loop.call_later(STUCK_S, self._give_up, self._sink.written)
            return
        self._discards = True
        self._drop_held()
        self._stop_waiting()

    def _drop_held(self) -> None:
        self.dropped += self._held.count(b"\n")
        self._held = b""

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._fd != -1:
            self._loop.add_reader(self._fd, self._read)

    # ---- the end -----------------------------------------------------------------------------

    def drain(self) -> None:
        self._never_waits = True
        if self._held:
            if not self._sink.offer(self._held):
                self._drop_held()
            self._held = b""
            self._stop_waiting()
        total = 0
        while self._fd != -1 and total < MAX_WAITING:
            count = self._read()
            if not count:
                break
            total += count

    def close(self) -> None:
        if self._fd == -1:
            return
        self.drain()
        if self._rest:
            self._pass_on(self._rest + b"\n")
            self._rest = b""
        if self.dropped != self._told:
            self._sink.offer(self._regret())
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1


def _shown(line: bytes) -> str:
    """Return ``line`` as text that can't do anything to a terminal."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r")[:TAIL_WIDTH]
    return "".join(
        c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text
    )
