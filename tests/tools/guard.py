"""Sees to it that nothing outlives a test session, however that ends: a process beside it.

``python -m tests.tools.guard OWNER PARENT...`` waits for the end of OWNER, a process by its name,
or for a word from it on standard input, and clears what OWNER has left. If a PARENT dies, OWNER is
killed: a `make` that is killed takes the tests with it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.tools.leftovers import clear
from tests.tools.processes import MARKER, Process, ancestors, owner_name

CLOSE_S = 30.0
_KEEP = b"keep\n"
_ROOT = Path(__file__).parents[2]


class Guard:
    """The guard of this process and of all that carries its name as a marker; it is started."""

    def __init__(self) -> None:
        makes = [process.name for process in ancestors() if _is_make(process)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.tools.guard", owner_name(os.getpid()), *makes],
            cwd=_ROOT,
            env={key: value for key, value in os.environ.items() if key != MARKER},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.pid

    def close(self, *, keep_files: bool = False) -> None:
        """Let it clear what is left, and wait for its end.

        Raises:
            RuntimeError: something is left all the same.
        """
        self._process.communicate(_KEEP if keep_files else b"", CLOSE_S)
        if self._process.returncode:
            raise RuntimeError(f"not all could be cleared: guard {self._process.returncode}")


def _is_make(process: Process) -> bool:
    try:
        return Path(f"/proc/{process.pid}/comm").read_bytes().strip() == b"make"
    except OSError:  # it has died meanwhile
        return False


def watch(name: str) -> int | None:
    """Return a descriptor that is readable once the process of that name has died; None: it has."""
    pid = int(name.split("-")[1], 16)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if owner_name(pid) == name:
        return handle
    os.close(handle)
    return None


def main(owner: str, *parents: str) -> None:
    """Wait for the end of ``owner``, and clear what it has left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever means the tests doesn't mean us
    handle = watch(owner)
    told = _outlived(handle, parents) if handle is not None else b""
    clear(owner, keep_files=told == _KEEP)


def _outlived(owner: int, parents: Sequence[str]) -> bytes:
    """Wait for the end of the owner, by its descriptor, and return its last word, if it has one."""
    above = [watch(parent) for parent in parents]
    if None not in above:
        handles = [owner, 0, *(handle for handle in above if handle is not None)]
        ready = select.select(handles, [], [])[0]
        if 0 in ready:
            return sys.stdin.buffer.readline()
        if owner in ready:
            return b""
    signal.pidfd_send_signal(owner, signal.SIGKILL)
    select.select([owner], [], [])
    return b""


if __name__ == "__main__":
    main(*sys.argv[1:])
