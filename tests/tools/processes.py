"""Looking at processes through /proc (proc(5)), and killing only those that are meant.

A pid alone is never trusted: it may be another process by now. The start time tells them apart.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

MARKER = "TEST_MARKER_OF_STATUSD"
"""The environment variable by which a process, and all that it starts, is known to be a test's."""

_DEAD = ("Z", "X")

OWNER = re.compile(r"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+")
"""What an owner's name looks like, see `owner_name`."""


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
    def name(self) -> str:
        """What no other process is ever called, as an owner: PID namespace, pid, start."""
        return f"{_pid_namespace():x}-{self.pid:x}-{self.started:x}"

    @property
    def state(self) -> str:
        """Its letter in proc(5): R, S, T (stopped), Z (zombie) ...; X once it is gone."""
        fields = self._stat()
        return fields[0] if fields else "X"

    def is_alive(self) -> bool:
        """Tell whether it still runs, or could; a zombie doesn't."""
        return self.state not in _DEAD

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

    def command_line(self) -> str:
        """Return what it was called with; empty once it is gone."""
        return self._read("cmdline").replace(b"\0", b" ").decode(errors="replace").rstrip()

    def is_marked(self, value: str) -> bool:
        """Tell whether it was started with the marker ``value``, or one below it (``value/...``).

        It shows what the process was executed with: a change made since then is not seen.
        """
        mark = self.mark()
        return mark == value or mark.startswith(f"{value}/")

    def mark(self) -> str:
        """Return the marker that it was started with; empty without one, and once it is gone."""
        wanted = f"{MARKER}=".encode()
        entries = self._read("environ").split(b"\0")
        found = next((entry for entry in entries if entry.startswith(wanted)), wanted)
        return found.removeprefix(wanted).decode(errors="replace")

    def is_wiped(self) -> bool:
        """Tell whether it has written over its environment, as Redis does to set its title."""
        return not self._read("environ").strip(b"\0")

    def works_in(self, folder: str) -> bool:
        """Tell whether its working directory is ``folder``, or below it."""
        try:
            there = os.readlink(f"/proc/{self.pid}/cwd")
        except OSError:
            return False
        return there == folder or there.startswith(f"{folder}/")

    def kill(self) -> None:
        """Send SIGKILL to this process, and never to a later one of the same pid."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                if self.is_alive():
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)

    def _read(self, file: str) -> bytes:
        try:
            with open(f"/proc/{self.pid}/{file}", "rb") as opened:
                return opened.read()
        except OSError:
            return b""

    def _stat(self) -> list[str]:
        fields = _stat(self.pid)
        return fields if fields and int(fields[19]) == self.started else []


def all_processes() -> list[Process]:
    """Return every process that lives; zombies don't."""
    found = ((int(name), _stat(int(name))) for name in os.listdir("/proc") if name.isdigit())
    return [
        Process(pid, int(fields[19])) for pid, fields in found if fields and fields[0] not in _DEAD
    ]


def descendants(pid: int) -> list[int]:
    """Return the pids of the living children of ``pid``, their children, and so on."""
    parents = {process.pid: process.parent for process in all_processes()}
    found = [pid]
    for ancestor in found:
        found += [child for child, its_parent in parents.items() if its_parent == ancestor]
    return found[1:]


def ancestors() -> list[Process]:
    """Return our parent, its parent, and so on."""
    found: list[Process] = []
    above = Process.of(os.getppid())
    while above is not None:
        found.append(above)
        above = Process.of(above.parent)
    return found


def owner_name(pid: int) -> str:
    """Return the name of the process ``pid``, see `Process.name`; empty if there is none."""
    process = Process.of(pid)
    return process.name if process is not None else ""


def is_abandoned(owner: str) -> bool:
    """Tell whether the process of that name has died; of another PID namespace, nobody knows."""
    namespace, pid, started = (int(part, 16) for part in owner.split("-"))
    return namespace == _pid_namespace() and not Process(pid, started).is_alive()


def dying_with_us(command: Sequence[str]) -> list[str]:
    """Return the words that start ``command`` so that the kernel kills it when we die.

    What it starts itself is its own affair. The kernel means the thread that starts it, so that
    only the main thread, which lives as long as we do, can ask for that; setpriv(1) is needed, too.
    """
    tool = shutil.which("setpriv")
    if tool is None or threading.current_thread() is not threading.main_thread():
        return list(command)
    return [tool, "--pdeathsig", "KILL", *command]


@contextmanager
def killing(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Kill a child at the end of the block: whoever waits for it then doesn't wait for long."""
    try:
        yield
    finally:
        process.kill()


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (state), or nothing."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read()
    except OSError:
        return []
    return text.rpartition(b")")[2].decode("ascii").split()


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _session() -> str:
    """Return our own name, as an owner; a worker of pytest-xdist is a part of its controller."""
    above, worker = os.environ.get(MARKER), os.environ.get("PYTEST_XDIST_WORKER")
    if worker and above == owner_name(os.getppid()):
        return f"{above}/{worker}"
    return owner_name(os.getpid())


SESSION = _session()
"""The marker of this test session; what one test starts carries ``<SESSION>/<its own name>``."""


def processes_with_marker(value: str = SESSION) -> list[int]:
    """Return the pids of all living processes that carry the marker ``value``, or one below it."""
    return [process.pid for process in all_processes() if process.is_marked(value)]
