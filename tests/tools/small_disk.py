"""A disk so small that it can be filled: a tmpfs(5) of the test's own.

It takes the rights of root; where those are missing, tests are skipped.
"""

from __future__ import annotations

import contextlib
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
        size_bytes: how much it holds; inodes: how many files and folders, itself among them, 0 for
            no limit.
    """

    def __init__(self, size_bytes: int = 1024 * 1024, inodes: int = 0) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="small-disk-"))
        self._size_bytes, self._inodes = size_bytes, inodes

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

    def use_up_inodes(self) -> None:
        """Make files until there can be no more."""
        folder = self.path / "files"
        folder.mkdir()
        with contextlib.suppress(OSError):  # ENOSPC, as the test finds out by itself
            for number in range(self._inodes):
                (folder / str(number)).touch()

    def give_inodes_back(self) -> None:
        """Take away what `use_up_inodes` has made."""
        shutil.rmtree(self.path / "files")

    def let_nothing_be_written(self, *, writable: bool = False) -> None:
        """Have it read-only, or, if ``writable``, as it was again.

        What is open for writing keeps a mount from becoming so; the one that this puts over it has
        nothing open. The kernel itself, after an error, asks nobody.
        """
        if writable:
            _run("umount", "--lazy", self.path)
        else:
            _run("mount", "--bind", self.path, self.path)
            _run("mount", "-o", "remount,bind,ro", self.path)

    def close(self) -> None:
        """Take it away, with all that is on it; a second call does nothing."""
        while os.path.ismount(self.path):
            _run("umount", "--lazy", self.path)
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Self:
        options = f"size={self._size_bytes},mode=700"
        if self._inodes:
            options += f",nr_inodes={self._inodes}"
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


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, timeout=10)


def _write_until_full(fd: int, data: bytes) -> None:
    try:
        while True:
            os.write(fd, data)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
