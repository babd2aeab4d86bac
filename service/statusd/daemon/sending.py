"""When what units say goes out: at once, or with what their workers are about to answer.

A worker that was just told a state has mostly seen it before the first line about that could be
sent; then all is said in one piece, and the worker has a processor to itself meanwhile. Rule of
this file: nothing waits longer than `SEEN_S`, and nothing for its own sake.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from statusd.scheduler import Scheduler

SEEN_S = 0.001
"""So long a worker that was just told may take until what was said of it goes out without its
answer, in seconds; epoll_wait(2) counts in milliseconds."""


class Sending:
    """Sends what waits in the outboxes of one link.

    Args:
        loop: whose time it is.
        send: sends all that waits, if the link is up.
    """

    def __init__(self, loop: Scheduler, send: Callable[[], None]) -> None:
        self._loop, self._send = loop, send
        self._soon: asyncio.TimerHandle | None = None
        self._is_held = self._is_wanted = False

    def flush(self) -> None:
        """Send it now; what is said `together`, when all of it was said."""
        if self._is_held:
            self._is_wanted = True
            return
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._send()

    def flush_soon(self) -> None:
        """Send it with what comes next, or in `SEEN_S`."""
        if self._soon is None:
            self._soon = self._loop.call_later(SEEN_S, self.flush)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Send what is said meanwhile afterwards, in one piece: for many units to say it in."""
        self._is_held, self._is_wanted = True, False
        try:
            yield
        finally:
            self._is_held = False
            if self._is_wanted:
                self.flush()
