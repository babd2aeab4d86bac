"""Signals: caught before the heavy imports, told to the loop as inputs.

A handler only takes note: no logging, no lock, nothing raised (faults.md, group G).
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from statusd.supervision.reaper import has_orphans

if TYPE_CHECKING:
    import asyncio

    from statusd.daemon.senders import Told

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_caught: list[int] = []
_terminal = False


def catch_early() -> None:
    """Take note of signals from now on, so that none is lost or fatal while we start."""
    global _terminal
    _terminal = os.isatty(0)
    for number in HEARD:
        signal.signal(number, lambda signum, _: _caught.append(signum))


def is_hangup() -> bool:
    """Tell whether a SIGHUP means that the terminal we were started in is gone (termios(3))."""
    return _terminal and not os.isatty(0)


def block() -> None:
    """Let no signal change how we leave: it is decided."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)


def open_missing() -> None:
    """Open what should be open: else our own descriptors would get the numbers 0, 1, 2."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def hand_over(loop: asyncio.AbstractEventLoop, signalled: Told) -> None:
    """Have ``signalled`` called with the name of each signal, also of those that came early.

    And with who has sent it, where that is known: of the first one that asks us to end, and of each
    SIGHUP that came before that.
    """
    from statusd.daemon.senders import Senders

    for number in (*HEARD, signal.SIGCHLD) if has_orphans() else HEARD:
        loop.add_signal_handler(number, signalled, signal.Signals(number).name, "")
    Senders(loop, HEARD, signalled, lambda name: name != "SIGHUP" or is_hangup())
    while _caught:
        signalled(signal.Signals(_caught.pop(0)).name, "")
