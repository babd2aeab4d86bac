"""Tests of `tests.tools.small_disk`: a disk that can be filled."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.tools import SmallDisk

pytestmark = [
    pytest.mark.nightly,  # it tests what tests are made with
    pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not()),
]


def test_a_full_disk_takes_nothing_more_until_it_is_emptied() -> None:
    """Not a byte; and then as much as before."""
    with SmallDisk(256 * 1024) as disk:
        disk.fill()

        assert shutil.disk_usage(disk.path).free == 0
        with pytest.raises(OSError, match="No space left"):
            (disk.path / "more").write_bytes(b"x" * 4096)
        disk.empty()
        assert (disk.path / "more").write_bytes(b"x" * 4096) == 4096


def test_nothing_of_it_is_left() -> None:
    """Neither the mount nor its folder."""
    with SmallDisk() as disk:
        assert os.path.ismount(disk.path)

    assert not disk.path.exists()


def test_a_disk_runs_out_of_inodes() -> None:
    """There is room, and no file can be made any more; then again."""
    with SmallDisk(inodes=8) as disk:
        disk.use_up_inodes()

        assert shutil.disk_usage(disk.path).free > 0
        with pytest.raises(OSError, match="No space left"):
            (disk.path / "more").touch()
        disk.give_inodes_back()
        (disk.path / "more").touch()


def test_a_disk_that_may_not_be_written() -> None:
    """What is on it can be read; then it can be written again."""
    with SmallDisk() as disk:
        (disk.path / "file").write_text("x")
        disk.let_nothing_be_written()

        with pytest.raises(OSError, match="Read-only"):
            (disk.path / "more").touch()
        assert (disk.path / "file").read_text() == "x"
        disk.let_nothing_be_written(writable=True)
        (disk.path / "more").touch()
