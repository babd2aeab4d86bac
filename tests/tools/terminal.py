"""A terminal with a program in it: what is typed, and what stands on its screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pyte

from tests.tools.waiting import wait_until


class Terminal:
    """A pseudo-terminal whose foreground job is ``command``; it is its controlling terminal.

    Args:
        command: the program and its arguments.
        env: the whole environment but for the terminal's own variables.
        columns, rows: its size.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: Path | None = None,
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        """All that came, as it came."""
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        unwanted = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={k: v for k, v in env.items() if k not in unwanted} | {"TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - two system calls, and no thread is here
        )
        os.close(slave)

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._process.pid

    def text(self) -> str:
        """Return what stands on the screen now, a line a row."""
        self._read()
        return "\n".join(row.rstrip() for row in self._screen.display)

    def wait(self, text: str, timeout_s: float = 10.0) -> str:
        """Return the screen once ``text`` stands on it.

        Raises:
            AssertionError: it doesn't come; shows the screen.
        """
        try:
            wait_until(lambda: text in self.text(), timeout_s, f"{text!r} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.text()}") from None
        return self.text()

    def type(self, keys: str) -> None:
        """Type ``keys``; Ctrl-C is ``\\x03``."""
        os.write(self._master, keys.encode())

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        self._process.send_signal(number)

    def hang_up(self) -> None:
        """Close the terminal, as somebody who closes its window does."""
        os.close(self._master)
        self._master = -1

    def wait_exit(self, timeout_s: float = 10.0) -> int:
        """Return the exit code, minus the number of a signal that killed it."""
        wait_until(self._has_ended, timeout_s, f"the end of {self._process.args!r}")
        return self._process.wait()

    def _has_ended(self) -> bool:
        self._read()  # or it would block in writing
        return self._process.poll() is not None

    def _read(self) -> None:
        while self._master >= 0 and select.select([self._master], [], [], 0)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # its last user has gone
                return
            if not data:
                return
            self.raw += data
            self._stream.feed(data)

    def close(self) -> None:
        """End what still lives of it."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._master >= 0:
            os.close(self._master)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _take_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job has it ignored
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
