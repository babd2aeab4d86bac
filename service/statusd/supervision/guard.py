"""The guard: a shell that outlives a killed daemon just long enough to kill its workers' groups.

It is told which groups to watch, a line for each that comes or goes, and does its work at the end
of file, which the kernel brings about however the daemon ends. Rules of this file: a group is
forgotten as soon as nothing of it lives, for its number may be somebody else's then; a guard that
dies is replaced; the groups are in its pipe before it lives; no line is ever torn, for half of a
number is somebody else's, and what finds no room in the pipe waits for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from itertools import islice

from statusd import logs
from statusd.supervision import reaper
from statusd.supervision.held_signals import HARMLESS, popen

_SCRIPT = """\
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
    case $groups in *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;; esac
    case $sign in +) groups="$groups$group " ;; esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
"""

MOST_LINES = 256
"""So many are written at once: up to PIPE_BUF bytes go in whole or not at all (pipe(7)), and the
longest line is ten bytes."""

log = logs.get()


class Guard:
    """One shell process (0.3 MiB) beside the daemon."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._groups: dict[int, None] = {}
        self._unsaid: dict[int, str] = {}
        """What it is yet to be told of a group: that it came, or went."""
        self._waits = False
        """For room in the pipe."""
        self._shell: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._pipe = -1

    def watch(self, group: int) -> None:
        """Let it kill the process group ``group`` too if we die."""
        self._groups[group] = None
        self._say(group, "+")

    def forget(self, group: int) -> None:
        """Nothing of the group lives any more."""
        if group in self._groups:
            del self._groups[group]
            self._say(group, "-")

    def watches(self, group: int) -> bool:
        """Tell whether it would kill that group."""
        return group in self._groups

    def close(self) -> None:
        """End it."""
        self._drop()
        if self._shell is not None:
            if self._unsaid:  # it may know groups that are somebody else's by now
                self._shell.kill()
            self._bury()

    def _say(self, group: int, sign: str) -> None:
        if self._shell is None:
            self._start()
            return
        self._unsaid[group] = sign
        if not self._waits:
            self._write()

    def _write(self) -> None:
        """Say what there is to say, as far as there is room; the rest when there is some."""
        try:
            while self._unsaid:
                some = list(islice(self._unsaid, MOST_LINES))
                lines = "".join(f"{self._unsaid[group]} {group}\n" for group in some)
                os.write(self._pipe, lines.encode())
                for group in some:
                    del self._unsaid[group]
        except BlockingIOError:  # many at once, or somebody has stopped it: no waiting here
            self._wait(for_room=True)
            return
        except BrokenPipeError:  # it is dead: `_died` starts another one, and tells it all
            pass
        self._wait(for_room=False)

    def _wait(self, *, for_room: bool) -> None:
        if for_room is not self._waits:
            self._waits = for_room
            if for_room:
                self._loop.add_writer(self._pipe, self._write)
            else:
                self._loop.remove_writer(self._pipe)

    def _start(self) -> None:
        try:
            reading, self._pipe = os.pipe()
        except OSError as error:
            log.warning("guard.not_started", reason=error.strerror)
            return
        os.set_blocking(self._pipe, False)
        self._unsaid = dict.fromkeys(self._groups, "+")
        self._write()
        try:
            self._shell = popen(
                ["sh", "-c", _SCRIPT, "statusd-guard"],
                deaf_to=HARMLESS,
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
        self._wait(for_room=False)
        os.close(self._pipe)
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.send_signal(signal.SIGCONT)  # one that somebody has stopped would never end
            shell.wait()
            reaper.reaped(shell.pid)

    def _died(self) -> None:
        """Somebody killed it: another one takes its place."""
        self._drop()
        self._bury()
        log.warning("guard.died")
        self._start()

    def _drop(self) -> None:
        if self._pidfd != -1:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
