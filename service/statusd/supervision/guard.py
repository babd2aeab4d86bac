"""The guard: a shell that outlives a killed daemon just long enough to kill its workers' groups.

It is told which groups to watch, a line whenever they are others, and does its work at the end of
file, which the kernel brings about however the daemon ends. Rules of this file: a group is
forgotten as soon as nothing of it lives, for its number may be somebody else's then; a guard that
dies is replaced; the groups are in its pipe before it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess

from statusd import logs
from statusd.supervision import reaper
from statusd.supervision.held_signals import popen

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
        self._pipe = -1

    def watch(self, group: int) -> None:
        """Let it kill the process group ``group`` too if we die."""
        self._groups[group] = None
        self._update()

    def forget(self, group: int) -> None:
        """Nothing of the group lives any more."""
        self._groups.pop(group, None)
        self._update()

    def close(self) -> None:
        """End it."""
        self._drop()
        if self._shell is not None:
            self._bury()

    def _update(self) -> None:
        if self._shell is None:
            self._start()
        else:
            self._write()

    def _write(self) -> None:
        # It is dead, and `_died` will see to that; or somebody has stopped it: no waiting here.
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._pipe, f"{' '.join(map(str, self._groups))}\n".encode())

    def _start(self) -> None:
        try:
            reading, self._pipe = os.pipe()
        except OSError as error:
            log.warning("guard.not_started", reason=error.strerror)
            return
        os.set_blocking(self._pipe, False)
        self._write()
        try:
            self._shell = popen(
                ["sh", "-c", _SCRIPT, "statusd-guard"],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._pidfd = os.pidfd_open(self._shell.pid)
        except OSError as error:
            log.warning("guard.not_started", reason=error.strerror)
            self._bury()
            return
        finally:
            os.close(reading)
        reaper.ours.add(self._shell.pid)
        self._loop.add_reader(self._pidfd, self._died)

    def _bury(self) -> None:
        """Close the pipe, and wait for the shell that read it, if one did."""
        os.close(self._pipe)
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.wait()
            reaper.reaped(shell.pid)

    def _died(self) -> None:
        """Somebody killed it: another one takes its place."""
        self._drop()
        self._bury()
        log.warning("guard.died")
        self._update()

    def _drop(self) -> None:
        if self._pidfd != -1:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
