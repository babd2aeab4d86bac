"""What the worker prints: read from its pipes, passed on line by line, and the last of it kept.

Rules of this file: a reader who is slow slows the worker down, one who sleeps loses lines, which
are counted; the worker is never blocked for good.
"""

from __future__ import annotations

import asyncio
import os

from statusd.scheduler import Scheduler
from statusd.supervision.output import MAX_WAITING, READ_BYTES, STUCK_S, Sink

LONGEST_LINE = 8192
"""A line without an end is passed on in pieces of this length, in bytes."""
TAIL_LINES, TAIL_BYTES, TAIL_WIDTH = 20, 16384, 300
"""What is kept of standard error: so many lines, of so many bytes, each cut to a width."""


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
