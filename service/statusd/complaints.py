"""Troubles for the log: each is told when it is new, then more and more seldom, with its number.

What goes wrong a thousand times an hour is one trouble: a log of hundreds of megabytes hides the
next one, and fills the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EVERY_S = 10.0
"""The first wait before the same trouble is logged again, in seconds; then it doubles."""
MOST_S = 600.0
"""The longest one."""


@dataclass(slots=True)
class _Trouble:
    due: float
    wait_s: float
    untold: int = 0


class Complaints:
    """Keeps book of what was told when.

    Args:
        clock: a clock in seconds that nobody sets.
        log: where they are told.
    """

    def __init__(self, clock: Callable[[], float], log: Any) -> None:
        self._clock = clock
        self._log = log
        self._known: dict[str, _Trouble] = {}

    def report(self, what: str, event: str, every_s: float = EVERY_S, **fields: Any) -> None:
        """Log the trouble ``what`` if it is new, or if the time has come to tell it again.

        Args:
            event: the name of the line; fields: what it says.
            every_s: the first wait. One that was quiet for a whole wait is new again.
        """
        now, trouble = self._clock(), self._known.get(what)
        if trouble is not None and now < trouble.due:
            trouble.untold += 1
            return
        wait_s, more = every_s, {}
        if trouble is not None:
            wait_s = min(2 * trouble.wait_s, MOST_S) if trouble.untold else every_s
            more = {"count": trouble.untold + 1} if trouble.untold else {}
        self._known[what] = _Trouble(now + wait_s, wait_s)
        self._log.warning(event, **{**more, **fields})

    def forget(self, what: str) -> bool:
        """The trouble is over: the next one of its kind is new; tell whether there was any."""
        return self._known.pop(what, None) is not None
