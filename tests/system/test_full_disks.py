"""A disk that takes nothing where files of ours are to be written: it is named, and the cure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.commands import statusd
from tests.tools import SmallDisk
from tests.tools.variants import some

pytestmark = [
    pytest.mark.fault("J20"),
    pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not()),
]

SETTINGS = 'name = "unit"\n[worker]\ncommand = ["true"]\n'
KINDS: dict[str, tuple[Callable[[SmallDisk], object], str]] = {
    "full": (SmallDisk.fill, "No space left on device"),
    "without inodes": (SmallDisk.use_up_inodes, "No space left on device"),
    "read-only": (SmallDisk.let_nothing_be_written, "Read-only file system"),
}
STATE = b'{"what a daemon has left": "here"}'


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """A disk with a folder, a state file and room for little."""
    with SmallDisk(inodes=16) as small:
        (small.path / "state").mkdir(mode=0o700)
        (small.path / "state" / "unit.json").write_bytes(STATE)
        yield small
        while os.path.ismount(small.path):
            small.close()


PLACES = {
    "the state directory": (("run",), "STATUSD_STATE_DIRECTORY", "new", "set state_directory"),
    "the lock": (("run",), "STATUSD_STATE_DIRECTORY", "state", "set state_directory"),
    "the address of a broker": (("run", "--embedded"), "XDG_RUNTIME_DIR", "new", "XDG_RUNTIME_DIR"),
    "an output": (("run",), "STATUSD_WORKER__OUTPUT", "state/log", "name another file"),
    "a drawing": (("graph", "-o", "{}/x.mmd"), "UNUSED", "", ""),
}


NEEDS_NO_ROOM = ("the state directory", "the lock", "an output")
"""They are names without content, or made without any: tests/faults/attacks_disk fills their disk.
"""
CASES = [
    (kind, place)
    for kind in reversed(KINDS)
    for place in PLACES
    if kind != "full" or place not in NEEDS_NO_ROOM
]


@pytest.mark.parametrize("case", some(CASES, len(PLACES)), ids="-".join)
def test_the_file_and_the_cure_are_named(
    case: tuple[str, str], disk: SmallDisk, tmp_path: Path
) -> None:
    """In a line; nothing is left there, and what was there is what it was (J20)."""
    kind, place = case
    begin, reason = KINDS[kind]
    words, variable, name, cure = PLACES[place]
    (tmp_path / "statusd.toml").write_text(SETTINGS)
    begin(disk)
    env = {"STATUSD_STATE_DIRECTORY": str(tmp_path / "state"), variable: f"{disk.path}/{name}"}

    done = statusd(*(word.format(disk.path) for word in words), cwd=tmp_path, env=env)

    assert done.returncode in (73, 78)
    (line,) = done.stderr.splitlines()
    assert f"{disk.path}/" in line
    assert reason in line
    assert cure in line
    assert ("make room there" in line) == (kind != "read-only")
    left = sorted(path.name for path in (disk.path / "state").iterdir())
    assert left == ["unit.json"]
    assert (disk.path / "state" / "unit.json").read_bytes() == STATE


def test_the_folder_of_an_embedded_broker_is_named(disk: SmallDisk, tmp_path: Path) -> None:
    """There is room for the folder, and for none of its files; it is gone again (J20)."""
    (tmp_path / "statusd.toml").write_text(SETTINGS)
    disk.fill()
    leave_a_page(disk)  # `tempfile` tries with a few bytes whether a place can be had
    env = {"STATUSD_STATE_DIRECTORY": str(tmp_path / "state"), "TMPDIR": str(disk.path)}

    done = statusd("run", "--embedded", cwd=tmp_path, env=env)

    assert done.returncode == 78
    assert done.stderr.startswith(f"statusd: {disk.path}/statusd-broker-")
    assert "No space left on device: make room there, or name another directory" in done.stderr
    assert sorted(path.name for path in disk.path.iterdir()) == ["filler", "state"]


def leave_a_page(disk: SmallDisk) -> None:
    """Leave room for one small file."""
    with (disk.path / "filler").open("r+b") as filler:
        filler.truncate((disk.path / "filler").stat().st_size - 4096)
