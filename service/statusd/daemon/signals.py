"""Signals: caught before the heavy imports, told to the loop as inputs.

A handler only takes note: no logging, no lock, nothing raised (faults.md, group G).
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from statusd.core.signals import PROMPTS
from statusd.supervision.reaper import has_orphans

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Container, Iterable

    from statusd.daemon.senders import Told

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
MAYBE = tuple(signal.Signals[name] for name in PROMPTS)
"""Those that stand for a word if the settings say so, which nobody has read when they may come."""

_caught: list[int] = []
_before: dict[int, Any] = {}
"""What became of the others of these before we were here."""
_terminal = False


def catch_early() -> None:
    """Take note of signals from now on, so that none is lost or fatal while we start."""
    global _terminal
    _terminal = os.isatty(0)
    for number in (*HEARD, *MAYBE):
        _before[number] = signal.signal(number, lambda signum, _: _caught.append(signum))


def is_hangup() -> bool:
    """Tell whether a SIGHUP means that the terminal we were started in is gone (termios(3))."""
    return _terminal and not os.isatty(0)


def block() -> None:
    """Let no signal change how we leave: it is decided."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (*HEARD, *MAYBE))


def open_missing() -> None:
    """Open what should be open: else our own descriptors would get the numbers 0, 1, 2."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def hand_over(
    loop: asyncio.AbstractEventLoop, signalled: Told, prompts: Container[str] = ()
) -> None:
    """Have ``signalled`` called with the name of each signal, also of those that came early.

    And with who has sent it, where that is known: of the first one that asks us to end, and of each
    that came before that and doesn't.

    Args:
        prompts: the names of those that stand for a word; others that might have done are as they
            were before `catch_early`, and deadly if they were.
    """
    from statusd.daemon.senders import Senders

    _give_back(number for number in MAYBE if number.name not in prompts)
    heard = (*HEARD, *(number for number in MAYBE if number.name in prompts))

    def ends(name: str) -> bool:
        return is_hangup() if name == "SIGHUP" else name not in prompts

    for number in (*heard, signal.SIGCHLD) if has_orphans() else heard:
        loop.add_signal_handler(number, signalled, signal.Signals(number).name, "")
    Senders(loop, heard, signalled, ends)
    while _caught:
        signalled(signal.Signals(_caught.pop(0)).name, "")


def _give_back(numbers: Iterable[int]) -> None:
    """Let signals do what they did before us, also those that came meanwhile."""
    for number in numbers:
        if number not in _before:
            continue
        before = _before.pop(number)
        signal.signal(number, signal.SIG_DFL if before is None else before)
        if number in _caught:
            _caught[:] = [one for one in _caught if one != number]
            os.kill(os.getpid(), number)
