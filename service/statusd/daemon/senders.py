"""Who has sent a signal, as the kernel knows it (signalfd(2)), where the loop's handlers don't.

Rules of this file: without `ctypes`, or where the system refuses, signals come as they always did,
from nobody; so they do from the first one on that asks us to end: of several that come before they
are read, the kernel keeps one, and the second and the third are to count.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable

from statusd.core.text import shown
from statusd.supervision import held_signals

_SIGSET_BYTES = 128
_RECORD_BYTES = 128
"""Of a ``signalfd_siginfo``."""
_MOST_COMM = 32

Told = Callable[[str, str], object]
"""Gets the name of a signal, and who has sent it; empty if nobody knows."""


class Senders:
    """Takes signals from a descriptor, with who has sent them.

    Args:
        loop: what reads; numbers: of the signals.
        told: gets each; ends: tells of a signal's name whether it asks us to end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        numbers: Iterable[int],
        told: Told,
        ends: Callable[[str], bool],
    ) -> None:
        self._loop, self._told, self._ends = loop, told, ends
        numbers = tuple(numbers)
        self._fd = _signalfd(numbers)
        if self._fd != -1:
            loop.add_reader(self._fd, self._read)
            held_signals.hold(numbers)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 16 * _RECORD_BYTES)
        except BlockingIOError:
            return
        records = [data[at : at + _RECORD_BYTES] for at in range(0, len(data), _RECORD_BYTES)]
        signals = [(signal.Signals(_number(record, 0)).name, sender(record)) for record in records]
        if any(self._ends(name) for name, _ in signals):
            self._close()
        for name, who in signals:
            self._told(name, who)

    def _close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        held_signals.release()


def sender(record: bytes) -> str:
    """Return who has sent a signal: ``of pid 7 (bash), uid 1000``; empty for the kernel.

    Args:
        record: a ``signalfd_siginfo``.
    """
    code, pid, uid = _number(record, 8, is_signed=True), _number(record, 12), _number(record, 16)
    if code > 0:  # a terminal's Ctrl-C, say
        return ""
    if pid == 0:
        return f"of uid {uid}, from outside of this container"
    name = ""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:
        name = f" ({shown(file.read(_MOST_COMM).rstrip(), ascii_only=True)})"  # kill(1) has ended
    return f"of pid {pid}{name}, uid {uid}"


def _number(record: bytes, at: int, *, is_signed: bool = False) -> int:
    return int.from_bytes(record[at : at + 4], sys.byteorder, signed=is_signed)


def _signalfd(numbers: Iterable[int]) -> int:
    """Return a descriptor of those signals; -1 if there is none to be had."""
    try:
        import ctypes
    except ImportError:
        return -1
    mask = sum(1 << number - 1 for number in numbers)  # an array of longs
    words = [mask, *[0] * (_SIGSET_BYTES // 8 - 1)]
    mask_bytes = b"".join(word.to_bytes(8, sys.byteorder) for word in words)
    try:
        return int(ctypes.CDLL(None).signalfd(-1, mask_bytes, os.O_CLOEXEC | os.O_NONBLOCK))
    except AttributeError:
        return -1
