"""Signals that ask to end: caught before the heavy imports, told to the loop as inputs.

A handler only takes note: no logging, no lock, nothing raised (faults.md, group G).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

ENDING = (signal.SIGTERM, signal.SIGINT)

_caught: list[int] = []


def catch_early() -> None:
    """Take note of signals from now on, so that none is lost or fatal while we start."""
    for number in ENDING:
        signal.signal(number, lambda signum, _: _caught.append(signum))


def hand_over(loop: asyncio.AbstractEventLoop, signalled: Callable[[str], None]) -> None:
    """Have ``signalled`` called with the name of each signal, also of those that came early."""
    for number in ENDING:
        loop.add_signal_handler(number, signalled, signal.Signals(number).name)
    while _caught:
        signalled(signal.Signals(_caught.pop(0)).name)
