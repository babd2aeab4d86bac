"""What the worker prints: read from its pipes, passed on line by line, and the last of it kept.

What a line is, `lines` decides. Rules of this file: a reader who is slow slows the worker down, one
who sleeps loses lines, which are counted; the worker is never blocked for good.
"""

from __future__ import annotations

import asyncio
import os
from typing import NamedTuple

from statusd.scheduler import Scheduler
from statusd.supervision.labels import Label
from statusd.supervision.lines import MOMENT_S, Lines
from statusd.supervision.output import MAX_WAITING, STUCK_S, Sink
from statusd.supervision.ring import STREAMS, Ring, RingStream
from statusd.supervision.tail import Tail


class Outlet(NamedTuple):
    """Where what a unit's worker prints goes, run after run.

    Args:
        out, err: where its standard output and error are passed on to; ring: keeps the last of it.
    """

    out: Sink
    err: Sink
    ring: Ring

    def relay(self, run: int, loop: Scheduler, unit: str) -> Relay:
        """Return what passes on the output of one run."""
        return Relay(run, self.out, self.err, loop, unit, self.ring)


class Relay:
    """What one run prints.

    Args:
        run: the generation; every line says it. unit: whose it is; empty if there is no other.
        out, err: where its standard output and error go.
        ring: keeps the last of it, for whoever asks; None for nobody.
    """

    def __init__(
        self,
        run: int,
        out: Sink,
        err: Sink,
        loop: Scheduler,
        unit: str = "",
        ring: Ring | None = None,
    ) -> None:
        self._tail = Tail()
        kept = [ring.stream(run, name) for name in STREAMS] if ring is not None else [None, None]
        self._out = _Stream(out.label(run, "stdout", unit), out, loop, kept[0])
        self._err = _Stream(err.label(run, "stderr", unit), err, loop, kept[1], self._tail)
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
        return self._tail.shown()

    def last_words(self) -> list[str]:
        """Return more of its last lines, whole and as they are."""
        return self._tail.lines()

    def close(self) -> None:
        """Pass on what has no newline yet, and close the pipes."""
        self._close_theirs()
        self._out.close()
        self._err.close()

    def _close_theirs(self) -> None:
        while self._theirs:
            os.close(self._theirs.pop())


class _Stream:
    def __init__(
        self,
        label: Label,
        sink: Sink,
        loop: Scheduler,
        kept: RingStream | None,
        tail: Tail | None = None,
    ) -> None:
        self.dropped = 0
        self._label = label
        self._sink = sink
        self._loop = loop
        self._tail = tail
        self._kept = kept
        self._fd = -1
        self._lines = Lines()
        self._moment: asyncio.TimerHandle | None = None
        """Runs only while something stands without its newline."""
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
            data = os.read(self._fd, self._label.read_bytes)
        except BlockingIOError:
            return 0
        if data:
            self._take(data)
        else:
            self._loop.remove_reader(self._fd)
            self._end_lines()
        return len(data)

    def _take(self, data: bytes) -> None:
        if self._tail is not None:
            self._tail.take(data)
        if self._kept is not None:
            self._kept.take(data)
        whole = self._lines.take(data, self._loop.time())
        if whole:
            self._pass_on(whole)
        self._set_moment()

    def _set_moment(self) -> None:
        """Wait for what stands to be due; if nothing does, for nothing."""
        due = self._lines.due() if self._lines.stands else None
        if self._moment is not None and (due is None or due < self._moment.when()):
            self._forget_moment()
        if due is not None and self._moment is None:
            self._moment = self._loop.call_at(due, self._pass_on_what_stands)

    def _forget_moment(self) -> None:
        if self._moment is not None:
            self._moment.cancel()
            self._moment = None

    def _pass_on_what_stands(self) -> None:
        self._moment = None
        if self._held:  # whoever reads is behind: what stands comes behind what waits for him
            self._moment = self._loop.call_later(MOMENT_S, self._pass_on_what_stands)
            return
        whole = self._lines.overdue(self._loop.time())
        if whole:
            self._pass_on(whole)
        self._set_moment()

    def _end_lines(self) -> None:
        """Pass on what has no newline, and never will."""
        self._forget_moment()
        if self._kept is not None:
            self._kept.end()
        whole = self._lines.end()
        if whole:
            self._pass_on(whole)

    def _pass_on(self, whole: bytes) -> None:
        tagged = self._label.put_on(whole)
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
        return self._label.regret(self.dropped - self._told)

    # ---- waiting for the reader --------------------------------------------------------------

    def _hold(self, tagged: bytes) -> None:
        """Let the worker wait, as long as the reader goes on."""
        self._held = tagged
        self._loop.remove_reader(self._fd)
        self._wait_for_room()
        self._patience = self._loop.call_later(STUCK_S, self._give_up, self._sink.written)

    def _wait_for_room(self) -> None:
        self._sink.when_room(self._there_is_room)

    def _there_is_room(self) -> None:
        # The sink is everybody's: what is raised there would be nobody's.
        self._loop.call_later(0, self._go_on)

    def _go_on(self) -> None:
        if not self._held:
            self._discards = False
            return
        if not self._sink.offer(self._held):
            self._wait_for_room()
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
        self._end_lines()
        if self.dropped != self._told:
            self._sink.offer(self._regret())
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
