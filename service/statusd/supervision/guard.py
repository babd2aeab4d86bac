"""The guard: a shell that outlives a killed daemon just long enough to kill its workers' groups.

It is told which groups to watch, a line whenever they are others, and does its work at the end of
file, which the kernel brings about however the daemon ends. Rules of this file: a group is
forgotten as soon as nothing of it lives, for its number may be somebody else's then; a guard that
dies is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess

from statusd import logs
from statusd.supervision import children

_SCRIPT = """\
trap '' HUP INT TERM
groups=
while read -r line; do groups=$line; done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
"""

log = logs.get()


class Guard:
    """One shell process (0.3 MiB) beside the daemon."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._groups: dict[int, None] = {}
        self._shell: subprocess.Popen[bytes] | None = None
        self._pidfd = -1

    def watch(self, group: int) -> None:
        """Let it kill the process group ``group`` too if we die."""
        self._groups[group] = None
        self._tell()

    def forget(self, group: int) -> None:
        """Nothing of the group lives any more."""
        self._groups.pop(group, None)
        self._tell()

    def close(self) -> None:
        """End it."""
        self._drop()
        if self._shell is not None:
            assert self._shell.stdin is not None
            self._shell.stdin.close()
            self._shell.wait()
            self._shell = None

    def _tell(self) -> None:
        if self._shell is None:
            self._start()
        shell = self._shell
        if shell is not None and shell.stdin is not None:
            # It is dead, and `_died` will see to that; or somebody has stopped it: no waiting here.
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                os.write(shell.stdin.fileno(), f"{' '.join(map(str, self._groups))}\n".encode())

    def _start(self) -> None:
        try:
            self._shell = subprocess.Popen(
                ["sh", "-c", _SCRIPT, "statusd-guard"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._pidfd = os.pidfd_open(self._shell.pid)
        except OSError as error:
            log.warning("guard.not_started", reason=error.strerror)
            self._take_back()
            return
        assert self._shell.stdin is not None
        os.set_blocking(self._shell.stdin.fileno(), False)
        children.ours.add(self._shell.pid)
        self._loop.add_reader(self._pidfd, self._died)

    def _take_back(self) -> None:
        """There was no descriptor to watch it by: the next group brings another one."""
        shell, self._shell = self._shell, None
        if shell is not None and shell.stdin is not None:
            shell.stdin.close()
            shell.wait()

    def _died(self) -> None:
        """Somebody killed it: another one takes its place."""
        assert self._shell is not None
        self._drop()
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait()
        children.buried(self._shell.pid)
        self._shell = None
        log.warning("guard.died")
        self._tell()

    def _drop(self) -> None:
        if self._pidfd != -1:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
