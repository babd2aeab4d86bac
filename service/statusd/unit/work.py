"""How far a unit's work is, and how fast it goes: what its worker says, and what is made of that.

It is looked at whenever the document is, and when the state changes: nobody is woken for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from statusd.core.lifecycle import Part
from statusd.core.pace import Estimate, Pace
from statusd.core.status import Status
from statusd.supervision.process import Process
from statusd.supervision.worker_channel import Record


class Work:
    """The work of one unit.

    Args:
        status: what is decided.
        process: returns the present worker.
        time: returns the time on the monotonic clock.
    """

    def __init__(
        self, status: Status, process: Callable[[], Process | None], time: Callable[[], float]
    ) -> None:
        self._status = status
        self._process = process
        self._time = time
        self._pace = Pace()

    def changed(self) -> None:
        """The state is another one, or was seen: whether there is work to do may be, too."""
        status = self._status
        part = status.lifecycle.parts[status.state]
        # Who was told to wait works on until the end of his step.
        works = part is Part.WORKS or (part is Part.WAITS and status.is_unseen)
        self._pace.works(self._time(), works)

    def look(self) -> Record | None:
        """See how far it is; return what the worker says of it."""
        self.changed()
        process = self._process()
        record = process.record() if process is not None else None
        unit, step = (record.unit, record.step) if record is not None else ("", None)
        self._pace.look((self._status.worker.run, unit), step)
        return record

    def estimate(self, record: Record | None) -> Estimate:
        """Return how it goes on, of what was just seen; nothing of work that ends, or is over."""
        status = self._status
        if record is None or status.lifecycle.parts[status.state] is Part.ENDS:
            return Estimate()
        return self._pace.estimate(record.total)

    def fields(self) -> dict[str, Any] | None:
        """Return what the document says of it; None if the worker says nothing."""
        record = self.look()
        if record is None:
            return None
        rate, left_s = self.estimate(record)
        return {
            "step": record.step,
            "total": record.total,
            "unit": record.unit,
            "rate": None if rate is None else float(f"{rate:.4g}"),
            "left_s": None if left_s is None else round(left_s, 1),
        }
