"""Signals that we hold back to learn who has sent them, and those that we start must not.

Which signals are blocked is inherited, also through execve(2): a worker that blocks SIGTERM could
not be ended. But what a batch system sends to all processes of a job, for a word of ours
(`PROMPTS`), must not kill those that help us. Rule of this file: whatever the loop starts is
started by `popen`.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from statusd.core.signals import PROMPTS

HARMLESS = frozenset(signal.Signals[name] for name in PROMPTS)
"""What our helpers never hear."""

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


def popen(
    command: Sequence[str], *, deaf_to: Iterable[int] = (), **how: Any
) -> subprocess.Popen[bytes]:
    """Start a process that holds nothing back; as `subprocess.Popen`.

    Args:
        deaf_to: signals that it holds back all the same, from its first moment on.

    Raises:
        OSError: the system refused.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.pthread_sigmask(signal.SIG_SETMASK, {*before - _held, *deaf_to})
    try:
        return subprocess.Popen(command, **how)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def deaf_helpers() -> Iterator[None]:
    """Let whatever this thread starts in the block be deaf to `HARMLESS`; else as it is."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HARMLESS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
