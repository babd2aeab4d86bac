"""Waiting for something to become true: the one place in the tests that sleeps.

Nothing here may wait without a limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.003
"""How long to pause between two looks at first, in seconds."""
MOST_POLL_S = 0.02
"""And at most: who has waited for a while is not in a hurry, and others need the processor."""


def wait_until(predicate: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """Return the first truthy value of ``predicate``.

    It is called at least once, and once more when the time is over. What it raises is passed on.

    Args:
        predicate: a quick look at the world; it must not block.
        timeout_s: how long to go on looking, in seconds on the monotonic clock.
        what: the thing waited for, as it reads after "waited for": ``"the worker to be gone"``.

    Raises:
        AssertionError: it stayed falsy; names ``what``, the last value and the time waited.
    """
    began = time.monotonic()
    while True:
        now = time.monotonic()
        value = predicate()
        if value:
            return value
        if now - began >= timeout_s:
            waited = time.monotonic() - began
            raise AssertionError(f"waited {waited:.2f} s for {what}; the last value was {value!r}")
        time.sleep(min(max(POLL_S, (now - began) / 20), MOST_POLL_S))


async def until(predicate: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Wait on the loop, which goes on meanwhile, until ``predicate`` holds.

    Raises:
        AssertionError: it hasn't within ``timeout_s`` seconds; says ``what`` was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(POLL_S)
