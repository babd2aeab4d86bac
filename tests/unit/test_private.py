"""Tests of `statusd.private`: what somebody else has made, or may change, is not believed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from statusd.core.errors import Unavailable
from statusd.private import (
    Untrusted,
    believed,
    check_private_directory,
    make_private_directory,
    opened_directory,
    read_own,
    write_own,
    writing,
)
from tests.tools import SmallDisk

STRANGER = 54321
"""A user who isn't us, and needn't exist."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def test_a_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    """Also below others that are missing; a second time it is the same."""
    place = tmp_path / "a" / "b"

    make_private_directory(place)
    make_private_directory(place)

    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_link_of_our_own_is_followed(tmp_path: Path) -> None:
    """A service manager makes such ones (DynamicUser=)."""
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")

    check_private_directory(tmp_path / "link")


def _given_away(place: Path) -> None:
    place.mkdir(0o700)
    os.chown(place, STRANGER, STRANGER)


def _linked_by_a_stranger(place: Path) -> None:
    place.symlink_to(place.parent / "ours")
    os.chown(place, STRANGER, STRANGER, follow_symlinks=False)


def _of_a_group(place: Path) -> None:
    place.mkdir()
    place.chmod(0o770)


def _of_everybody(place: Path) -> None:
    place.mkdir()
    place.chmod(0o1777)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        pytest.param(_given_away, "user 54321", marks=needs_root),
        pytest.param(_linked_by_a_stranger, "link of user 54321", marks=needs_root),
        (_of_a_group, "chmod go-w"),
        (_of_everybody, "chmod go-w"),
    ],
)
def test_what_others_made_or_may_change_is_refused(
    made: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    """With whose it is and what to do, and before anything in it is touched."""
    (tmp_path / "ours").mkdir(0o700)
    tmp_path.chmod(0o1777)  # as /tmp is
    place = tmp_path / "place"
    made(place)

    with pytest.raises(Untrusted, match=says):
        make_private_directory(place)


def test_a_shared_directory_may_be_written_by_others(tmp_path: Path) -> None:
    """Whoever says so checks its files one by one."""
    _of_everybody(tmp_path / "volume")

    check_private_directory(tmp_path / "volume", is_shared=True)


@needs_root
def test_root_believes_the_owner_of_a_directory_that_only_root_can_have_given_him(
    tmp_path: Path,
) -> None:
    """Not one in a place where everybody may make names."""
    given, common = tmp_path / "given", tmp_path / "common"
    _given_away(given)
    common.mkdir()
    common.chmod(0o1777)
    _given_away(common / "taken")
    home = Path(os.path.realpath(tmp_path))
    if any(place.stat().st_mode & 0o022 for place in home.parents):
        assert STRANGER not in believed(given)  # /tmp is above it
    else:
        assert STRANGER in believed(given)
    assert STRANGER not in believed(common / "taken")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.with_name("elsewhere").write_text("secret")
    path.symlink_to("elsewhere")


def _strangers(path: Path) -> None:
    path.write_text("his")
    os.chown(path, STRANGER, STRANGER)


def _endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    "made", [_pipe, _link, _endless, pytest.param(_strangers, marks=needs_root)]
)
def test_only_a_short_regular_file_of_ours_is_read(
    made: Callable[[Path], None], tmp_path: Path
) -> None:
    """Nothing is waited for, and no link is followed."""
    made(tmp_path / "file")

    with pytest.raises((Untrusted, OSError)):
        read_own(tmp_path / "file")


def test_a_file_takes_the_place_of_a_link_and_leaves_what_that_led_to(tmp_path: Path) -> None:
    """It is for this user alone."""
    victim = tmp_path / "victim"
    victim.write_text("dear")
    (tmp_path / "name").symlink_to(victim)

    with opened_directory(tmp_path) as fd:
        write_own("name", b"new", dir_fd=fd)
        assert read_own("name", dir_fd=fd) == b"new"

    assert victim.read_text() == "dear"
    assert stat.S_IMODE((tmp_path / "name").stat().st_mode) == 0o600


@pytest.mark.fault("J20")
@pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not())
def test_half_a_file_is_not_left_on_a_full_disk() -> None:
    """Who reads it would believe it; and its name is free again (J20)."""
    with SmallDisk() as disk, opened_directory(disk.path) as fd:
        disk.fill()

        with pytest.raises(OSError, match="No space left"):
            write_own("file", b"content", dir_fd=fd)

        assert [path.name for path in disk.path.iterdir()] == ["filler"]


@pytest.mark.fault("J20")
@pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not())
def test_a_temporary_file_that_can_not_be_written_is_named() -> None:
    """write(2) knows no names (J20)."""
    with SmallDisk() as disk:
        disk.fill()
        file = disk.path / "file"

        told = pytest.raises(Unavailable, match=f"^{file}: No space left on device: make room")
        with told, writing(file):
            file.write_bytes(b"content")
