"""Looking at processes through /proc (proc(5)), and killing only those that are meant.

A pid alone is never trusted: it may be another process by now. The start time tells them apart.
"""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import suppress
from dataclasses import dataclass

MARKER = "TEST_MARKER_OF_STATUSD"
"""The environment variable by which a process, and all that it starts, is known to be a test's."""

SESSION = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
"""The marker of this test session; what one test starts carries ``<SESSION>/<its own name>``."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process, not merely its number.

    Args:
        started: clock ticks between the boot of the machine and the start of the process.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process that has ``pid`` now, or None."""
        fields = _stat(pid)
        return cls(pid, int(fields[19])) if fields else None

    @property
    def state(self) -> str:
        """Its letter in proc(5): R, S, T (stopped), Z (zombie) ...; X once it is gone."""
        fields = self._stat()
        return fields[0] if fields else "X"

    def is_alive(self) -> bool:
        """Tell whether it still runs, or could; a zombie doesn't."""
        return self.state not in ("Z", "X")

    @property
    def parent(self) -> int:
        """The pid of its parent; 0 for none, and once it is gone."""
        fields = self._stat()
        return int(fields[1]) if fields else 0

    @property
    def group(self) -> int:
        """The id of its process group; 0 once it is gone."""
        fields = self._stat()
        return int(fields[2]) if fields else 0

    def is_marked(self, value: str) -> bool:
        """Tell whether it was started with the marker ``value``, or one below it (``value/...``).

        It shows what the process was executed with: a change made since then is not seen.
        """
        try:
            with open(f"/proc/{self.pid}/environ", "rb") as file:
                entries = file.read().split(b"\0")
        except OSError:
            return False
        wanted = f"{MARKER}={value}".encode()
        return any(entry == wanted or entry.startswith(wanted + b"/") for entry in entries)

    def kill(self) -> None:
        """Send SIGKILL to this process, and never to a later one of the same pid."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                if self.is_alive():
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)

    def _stat(self) -> list[str]:
        fields = _stat(self.pid)
        return fields if fields and int(fields[19]) == self.started else []


def all_processes() -> list[Process]:
    """Return every process that lives; zombies don't."""
    found = (Process.of(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process is not None and process.is_alive()]


def descendants(pid: int) -> list[int]:
    """Return the pids of the living children of ``pid``, their children, and so on."""
    parents = {process.pid: process.parent for process in all_processes()}
    found = [pid]
    for ancestor in found:
        found += [child for child, its_parent in parents.items() if its_parent == ancestor]
    return found[1:]


def processes_with_marker(value: str = SESSION) -> list[int]:
    """Return the pids of all living processes that carry the marker ``value``, or one below it."""
    return [process.pid for process in all_processes() if process.is_marked(value)]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (state), or nothing."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
