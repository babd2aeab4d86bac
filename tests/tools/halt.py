"""A disk that hangs: the one thread of a daemon that writes is halted, see ptrace(2).

It takes the right to trace; where that is missing, the test is skipped.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tools.waiting import wait_until

IDLE_S = 0.3
_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


@contextmanager
def writing_halted(daemon: int) -> Iterator[None]:
    """Let nothing come to the disk of a daemon (its pid) until the context ends.

    A process that ends meanwhile is a zombie until then: its last thread is ours to bury.
    """
    thread = threads(daemon)[1]  # the first that it has started
    _wait_idle(daemon, thread)
    try:
        _ptrace(_SEIZE, thread)
    except PermissionError as error:
        pytest.skip(f"no thread can be halted here: {error}")
    _ptrace(_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    try:
        yield
    finally:
        try:
            _ptrace(_DETACH, thread)
        except ProcessLookupError:  # killed with all the others
            os.waitpid(thread, _WALL)


def threads(pid: int) -> list[int]:
    """Return the threads of a process, in the order in which they began."""
    return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))


def _wait_idle(pid: int, thread: int) -> None:
    """Return when it has done nothing for a while: halted at work, it may hold what others need."""
    file = Path(f"/proc/{pid}/task/{thread}/status")
    seen, since = "", time.monotonic()

    def is_idle() -> bool:
        nonlocal seen, since
        rows = file.read_text(encoding="utf-8").splitlines()
        switches = "".join(row for row in rows if "ctxt_switches" in row or row.startswith("State"))
        if switches != seen or "S (sleeping)" not in switches:
            seen, since = switches, time.monotonic()
        return time.monotonic() - since > IDLE_S

    wait_until(is_idle, 15, "a thread to be idle")


def _ptrace(request: int, thread: int) -> None:
    if _libc.ptrace(request, thread, None, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
