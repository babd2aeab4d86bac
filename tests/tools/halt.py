"""A disk that hangs: the one thread of a daemon that writes is halted, see ptrace(2).

It takes the right to trace; where that is missing, the test is skipped.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

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


def _ptrace(request: int, thread: int) -> None:
    if _libc.ptrace(request, thread, None, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
