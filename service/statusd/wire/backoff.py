"""How long a link waits before it tries again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

BACKOFF_S = (0.05, 1.0)
"""The first and the longest mean wait before another connection, in seconds."""


def backoff_s(failures: int, draw: float) -> float:
    """Return the wait before the next connection, in seconds: doubling, capped, fully jittered.

    Args:
        failures: how many have failed since the link was up last.
        draw: a number in [0, 1); 0.5 gives the mean.
    """
    first_s, longest_s = BACKOFF_S
    return min(longest_s, first_s * 2.0 ** min(failures, 16)) * 2 * draw


class Backoff:
    """The waits of one link.

    Args:
        draw: returns a number in [0, 1), for the jitter.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self.failures = 0
        """How many connections were lost or failed since one was up for a while."""
        self._draw = draw
        self._hurry = asyncio.Event()

    def next_s(self) -> float:
        """Count another failure, and return the wait after it, in seconds."""
        wait_s = backoff_s(self.failures, self._draw())
        self.failures += 1
        return wait_s

    async def wait(self, wait_s: float) -> None:
        """Wait so long, or until somebody is in a hurry."""
        # Not wait_for: before Python 3.12 it may lose a cancellation (cpython issue 86296).
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._hurry.wait()
        self._hurry.clear()

    def hurry(self) -> None:
        """Let the present wait be over, and the next ones be short."""
        self.failures = 0
        self._hurry.set()
