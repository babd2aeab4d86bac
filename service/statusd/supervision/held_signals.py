"""Signals that we hold back to learn who has sent them, and those that we start must not.

Which signals are blocked is inherited, also through execve(2): a worker that blocks SIGTERM could
not be ended. Rule of this file: whatever the loop starts is started by `popen`.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

_held: set[int] = set()


def hold(numbers: Iterable[int]) -> None:
    """Block signals from now on, and have it that those started by us don't."""
    wanted = set(numbers)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    _held.update(wanted - before)


def release() -> None:
    """Let all come as they did before."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _held)
    _held.clear()


def popen(command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
    """Start a process that holds nothing back; as `subprocess.Popen`.

    Raises:
        OSError: the system refused.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _held)
    try:
        return subprocess.Popen(command, **how)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _held)
