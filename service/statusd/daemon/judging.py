"""Has settings judged by another process, so that the daemon needn't import what that takes.

That is a tenth of a second and a dozen MiB, for something that is done once. Rules of this file: it
imports next to nothing, for it is there before all else is; whatever the other process can't do, or
doesn't in time, is done in this one; nobody waits for that process but us, and it can't outlive us,
for it ends with its input.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from statusd.supervision import reaper
from statusd.supervision.held_signals import deaf_helpers

if TYPE_CHECKING:
    from statusd.settings.verdict import Judge, Verdict

T = TypeVar("T")

ANSWER_S = 10.0
"""So long a verdict may take: a busy machine has imported by then, and a stopped process never."""
_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(__file__)), "settings", "judge_program.py")


def elsewhere(load: Callable[[Judge], T]) -> T:
    """Return what ``load`` does with a process for the occasion; may be called in any thread."""
    with Judging() as judge:
        return load(judge)


class Judging:
    """A process that judges; a `Judge`, and a context manager that ends it.

    It begins at once, and imports what it needs while nobody waits for it.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):  # then there is nobody but us
            self._start()

    @property
    def pid(self) -> int:
        """Return that of the process; 0 if there is none."""
        return 0 if self._process is None else self._process.pid

    def __call__(self, content: Mapping[str, Any]) -> Verdict:
        """Return what ``content`` comes to, as `statusd.settings.judge.judge` does."""
        if self._process is not None:
            try:
                return self._asked(self._process, content)
            except (OSError, EOFError, ValueError, RecursionError):
                self.close()
        from statusd.settings.load import here

        return here(content)

    def close(self) -> None:
        """End it, and wait for that; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it has nothing to lose, and may be stopped
        process.wait()
        reaper.ours.discard(process.pid)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> Judging:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        # Without `site`: where modules are found it is told, as we have it. In a session of its
        # own: a Ctrl-C is for us. What we hold back it lets come by itself: not even for a moment
        # may a signal come to this thread, for then nobody would know who has sent it.
        with deaf_helpers():
            self._process = subprocess.Popen(
                [sys.executable or "python3", "-P", "-S", _PROGRAM],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        reaper.ours.add(self._process.pid)
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        places = [place for place in sys.path if isinstance(place, str)]  # the others don't count
        _write(self._process, json.dumps(places).encode() + b"\n", time.monotonic() + ANSWER_S)

    def _asked(self, process: subprocess.Popen[bytes], content: Mapping[str, Any]) -> Verdict:
        """Return its answer.

        Raises:
            OSError, EOFError: there is none, or none in time.
            ValueError, RecursionError: it can't be asked that.
        """
        from statusd.settings.plain import heard, line, read

        deadline = time.monotonic() + ANSWER_S
        _write(process, line(content), deadline)
        return heard(read(_read(process, deadline)))


def _write(process: subprocess.Popen[bytes], data: bytes, deadline: float) -> None:
    assert process.stdin is not None
    fd = process.stdin.fileno()
    while data:
        _wait(fd, select.POLLOUT, deadline)
        data = data[os.write(fd, data) :]


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return the next line."""
    assert process.stdout is not None
    fd, data = process.stdout.fileno(), bytearray()
    while not data.endswith(b"\n"):
        _wait(fd, select.POLLIN, deadline)
        more = os.read(fd, 65536)
        if not more:
            raise EOFError
        data += more
    return bytes(data)


def _wait(fd: int, event: int, deadline: float) -> None:
    poller = select.poll()
    poller.register(fd, event)
    if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError
