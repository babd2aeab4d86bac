"""The last that a worker has printed, whatever its run: kept as it was read, for whoever asks.

Rules of this file: nobody is waited for; what is kept is bounded in bytes and in lines; no line is
looked at by itself before somebody asks for it, but where there are carriage returns.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from statusd.supervision.lines import LONGEST_LINE, last_states, squeezed, whole_signs

MOST_BYTES = 256 * 1024
MOST_LINES = 2000
"""So much of a unit's output is kept, all runs together; the oldest goes first."""
STREAMS = ("stdout", "stderr")


class Place(NamedTuple):
    """How far somebody has come: how many lines of each stream are behind him."""

    stdout: int = 0
    stderr: int = 0


class Line(NamedTuple):
    """One line.

    Args:
        at: when its end was read, by the wall clock in seconds.
        run: who printed it; stream: ``stdout`` or ``stderr``.
        text: it, without its end; at most `LONGEST_LINE` bytes of it.
        cut: so many bytes more it had.
    """

    at: float
    run: int
    stream: str
    text: bytes
    cut: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """Whole lines that were read together."""

    at: float
    run: int
    stream: int
    count: int
    data: bytes


class Ring:
    """Keeps the last lines of one unit's worker, over all its runs.

    Args:
        wall: the wall clock in seconds.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.heard: Callable[[], None] | None = None
        """Called when something new is there, while somebody wants to know."""
        self._wall = wall
        self._pieces: deque[_Piece] = deque()
        self._bytes = self._lines = 0
        self._totals = [0, 0]
        self._standing = [b"", b""]
        self._stands: tuple[int, int] | None = None
        """Run and stream of what has grown last without an end."""

    @property
    def place(self) -> Place:
        """The place behind the newest line."""
        return Place(*self._totals)

    @property
    def size(self) -> tuple[int, int]:
        """How many bytes and how many lines are kept."""
        return self._bytes, self._lines

    def stream(self, run: int, name: str) -> RingStream:
        """Return what takes one stream of one run."""
        return RingStream(self, run, STREAMS.index(name))

    # ---- what is printed ---------------------------------------------------------------------

    def take(self, run: int, stream: int, data: bytes) -> None:
        """Take what was read; it is one append, if it has no carriage return in it."""
        end = data.rfind(b"\n") + 1
        if end:
            self._add(run, stream, self._standing[stream] + data[:end])
            self._standing[stream], data = b"", data[end:]
        if data:
            self._stand(run, stream, data)
        elif self._stands == (run, stream):
            self._stands = None
        if self.heard is not None:
            self.heard()

    def end(self, run: int, stream: int) -> None:
        """Take what stands as its last line: the run is over."""
        if self._standing[stream].strip(b"\r"):
            self.take(run, stream, b"\n")

    def _add(self, run: int, stream: int, whole: bytes) -> None:
        if b"\r" in whole:
            whole = last_states(whole)
        count = whole.count(b"\n")
        if not count:
            return
        pieces = self._pieces
        pieces.append(_Piece(self._wall(), run, stream, count, whole))
        self._totals[stream] += count
        self._lines += count
        self._bytes += len(whole)
        while len(pieces) > 1 and (
            self._bytes > MOST_BYTES or self._lines - pieces[0].count >= MOST_LINES
        ):
            oldest = pieces.popleft()
            self._lines -= oldest.count
            self._bytes -= len(oldest.data)

    def _stand(self, run: int, stream: int, data: bytes) -> None:
        standing = self._standing[stream] + data
        if len(standing) > LONGEST_LINE:
            standing = squeezed(standing)
        while len(standing) > LONGEST_LINE:
            line = whole_signs(standing[:LONGEST_LINE])
            standing = standing[len(line) :]
            self._add(run, stream, line.strip(b"\r") + b"\n")
        self._standing[stream] = standing
        self._stands = (run, stream)

    # ---- what is asked -----------------------------------------------------------------------

    def between(
        self, start: Place, until: Place, most: int, stream: str = ""
    ) -> tuple[list[Line], int]:
        """Return the newest lines between two places, the oldest first.

        Args:
            most: so many at most, and never more than `MOST_LINES`.
            stream: only of this one; empty for both.

        Returns:
            Them, and how many between the places come before them, kept or not.
        """
        wanted = [not stream or name == stream for name in STREAMS]
        left = [max(0, until[s] - start[s]) if wanted[s] else 0 for s in (0, 1)]
        after = [self._totals[s] - until[s] for s in (0, 1)]
        found: list[Line] = []
        room = min(most, MOST_LINES)
        for piece in reversed(self._pieces):
            if not room or not any(left):
                break
            s = piece.stream
            skip = min(piece.count, after[s])
            after[s] -= skip
            count = min(piece.count - skip, left[s], room)
            if count:
                lines = piece.data[:-1].rsplit(b"\n", count + skip)[-count - skip :][:count]
                found += [_line(piece, text) for text in reversed(lines)]
                left[s] -= count
                room -= count
        found.reverse()
        return found, sum(left)

    def standing(self, stream: str = "") -> Line | None:
        """Return what has grown last and has no end yet, as a terminal would show it."""
        if self._stands is None:
            return None
        run, s = self._stands
        text = squeezed(self._standing[s]).strip(b"\r")
        if not text.strip() or stream not in ("", STREAMS[s]):
            return None
        return Line(self._wall(), run, STREAMS[s], whole_signs(text))


@dataclass(frozen=True, slots=True)
class RingStream:
    """One stream of one run, on its way into the ring."""

    ring: Ring
    run: int
    index: int

    def take(self, data: bytes) -> None:
        """Take what was read."""
        self.ring.take(self.run, self.index, data)

    def end(self) -> None:
        """Nothing more comes."""
        self.ring.end(self.run, self.index)


def _line(piece: _Piece, text: bytes) -> Line:
    cut = 0
    if len(text) > LONGEST_LINE:
        whole = whole_signs(text[:LONGEST_LINE])
        text, cut = whole, len(text) - len(whole)
    return Line(piece.at, piece.run, STREAMS[piece.stream], text, cut)
