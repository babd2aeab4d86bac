"""A disk so small that it can be filled: a tmpfs(5) of the test's own.

It takes the rights of root; where those are missing, tests are skipped.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self


class SmallDisk:
    """A file system in memory; as a context manager it is mounted, and taken away again.

    Args:
        size_bytes: how much it holds.
    """

    def __init__(self, size_bytes: int = 1024 * 1024) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="small-disk-"))
        self._size_bytes = size_bytes

    @staticmethod
    def why_not() -> str:
        """Return why there can't be one here; empty if there can."""
        if shutil.which("mount") is None:
            return "mount(8) isn't installed"
        try:
            with SmallDisk():
                return ""
        except PermissionError as error:
            return f"no file system of our own: {error}"

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.path / "filler").open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                _write_until_full(file.fileno(), b"\0" * size)

    def empty(self) -> None:
        """Take away what `fill` has written."""
        (self.path / "filler").unlink()

    def close(self) -> None:
        """Take it away, with all that is on it; a second call does nothing."""
        if os.path.ismount(self.path):
            subprocess.run(["umount", "--lazy", self.path], check=True, timeout=10)
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Self:
        options = f"size={self._size_bytes},mode=700"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", self.path],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
        if done.returncode:
            self.close()
            raise PermissionError(done.stderr.strip())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_until_full(fd: int, data: bytes) -> None:
    try:
        while True:
            os.write(fd, data)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
