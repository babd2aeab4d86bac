"""What the parts of a unit need of the loop, so that what they raise there is known as that unit's.

The loop's own exception handler can't tell whose callback has failed. Rule of this file: whatever a
unit's part lets the loop call later, it lets it call through here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

Failed = Callable[[Exception], None]


class Scheduler(Protocol):
    """A loop, as far as a unit has to do with it."""

    def time(self) -> float:
        """Return the time, in seconds on the monotonic clock."""

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call ``callback`` in ``delay`` seconds."""

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call ``callback`` at ``when``."""

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback`` whenever ``fd`` has something to read."""

    def remove_reader(self, fd: int) -> bool:
        """Stop that."""

    def add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback`` whenever ``fd`` has room to write."""

    def remove_writer(self, fd: int) -> bool:
        """Stop that."""


class UnitLoop(Scheduler, Protocol):
    """The loop, for one unit."""

    def run(self, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback`` now; what it raises is known as the unit's."""


class Attributed:
    """The loop, for one unit: an error in what it calls is told, and ends nothing else.

    Args:
        loop: the daemon's.
        failed: gets what was raised.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, failed: Failed) -> None:
        self._loop = loop
        self._failed = failed
        self.time = loop.time
        self.remove_reader, self.remove_writer = loop.remove_reader, loop.remove_writer

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call ``callback`` in ``delay`` seconds."""
        return self._loop.call_later(delay, self.run, callback, *args)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call ``callback`` at ``when``."""
        return self._loop.call_at(when, self.run, callback, *args)

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback`` whenever ``fd`` has something to read."""
        self._loop.add_reader(fd, self.run, callback, *args)

    def add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback`` whenever ``fd`` has room to write."""
        self._loop.add_writer(fd, self.run, callback, *args)

    def run(self, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback`` now."""
        try:
            callback(*args)
        except Exception as error:  # the safety net: a bug in one unit is no other unit's
            self._failed(error)
