"""How far the work is, as the user's code says it: from any thread, at any moment, anything."""

from __future__ import annotations

from _thread import allocate_lock
from math import isnan

from statusd.worker.board import Board, in_range
from statusd.worker.notes import text_of

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from typing import Any


class Progress:
    """What was said last, and the writer of it; nothing here ever raises, or waits.

    Args:
        board: where it is written.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self.tracks: list[Any] = []
        """Weak references to the tracks that are open, the first one first (see `Track`)."""
        self._step: float | None = None
        self._total: float | None = None
        self._text = ""
        self._unit = self._told_unit = ""
        self.begin_alone()

    def begin_alone(self) -> None:
        """Forget who was writing: in a forked child nobody is."""
        self._writing = allocate_lock()
        self._unwritten = False

    def say(self, step: object, total: object, text: object, unit: object) -> None:
        """Write all of it; None for a text leaves the last one."""
        self._step, self._total = _known(step), _known(total)
        self._unit = "" if unit is None else text_of(unit)
        if text is not None:
            self._text = text_of(text)
        self._write()

    def say_text(self, text: object) -> None:
        """Write another text, with the same numbers."""
        self._text = text_of(text)
        self._write()

    def _write(self) -> None:
        """Write the record; of threads and signal handlers that meet here one writes for all."""
        self._unwritten = True
        while self._unwritten and self._writing.acquire(False):
            try:
                self._unwritten = False
                if self._unit != self._told_unit:
                    self._told_unit = self._unit
                    self._board.write_unit(self._told_unit)
                self._board.write_record(self._step, self._total, self._text)
            finally:
                self._writing.release()


def _known(value: object) -> float | None:
    number = as_float(value)
    return None if number is None else in_range(number)


def as_float(value: object) -> float | None:
    """Return a number as a float, None for everything else and for NaN; never raises."""
    try:
        number = float(value)  # type: ignore[arg-type]  # that is the question
    except Exception:  # the user's own type decides what
        return None
    return None if isnan(number) else number
