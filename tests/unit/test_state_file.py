"""What survives a daemon is always whole, and belongs to one daemon."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from statusd.core.errors import Unavailable
from statusd.core.messages import Command
from statusd.core.unit import Memory
from statusd.unit.kept import NOTHING, Kept
from statusd.unit.outages import Deaf
from statusd.unit.state_file import StateFile

EVENT = '{"event":"5-9","name":"unit"}'
FULL = Kept(
    Memory(
        goal="PAUSED",
        args={"run": 3, "dark": True},
        run=7,
        last_event="5-9",
        open=(Command("pause", "redis:c", 0.25, id="a", by="me", reply_to="statusd:reply:x"),),
    ),
    unsent=(
        ("PUBLISH", "statusd:events", EVENT),
        ("XADD", "statusd:history:{unit}", "MAXLEN", "~", 10_000, "5-9", "event", EVENT),
        ("PUBLISH", "statusd:reply:x", EVENT),
    ),
    deaf=Deaf(1795400000.25, "closed by the broker"),
)


def saved(directory: Path, *memories: Kept) -> None:
    """Save one after the other, as fast as it goes, and close."""

    async def live() -> None:
        file = StateFile(directory, "unit")
        for memory in memories:
            file.save(memory, 5)
        await file.close()
        assert file.trouble == ""

    asyncio.run(live())


def loaded(directory: Path) -> tuple[Kept, int]:
    """Return what is there, giving the lock back."""

    async def live() -> tuple[Kept, int]:
        file = StateFile(directory, "unit")
        found = file.load()
        await file.close()
        return found

    return asyncio.run(live())


@pytest.mark.fault("X12")
def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    """An empty memory, and boot 0; the directory is made for this user alone."""
    assert loaded(tmp_path / "new" / "state") == (NOTHING, 0)
    assert stat.S_IMODE((tmp_path / "new" / "state").stat().st_mode) == 0o700


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    """Also when a command was received: as long as the machine runs, that clock does."""
    saved(tmp_path, FULL)

    assert loaded(tmp_path) == (FULL, 5)
    assert stat.S_IMODE((tmp_path / "unit.json").stat().st_mode) == 0o600


@pytest.mark.fault("J09")
@pytest.mark.parametrize(
    ("key", "value"),
    [("clock", "another start of the machine"), ("clock", ""), ("received", 1e12), ("received", 0)],
)
def test_by_another_clock_a_command_is_as_new_as_its_daemon(
    key: str, value: object, tmp_path: Path
) -> None:
    """Nobody knows when it was heard; also of a file that says nothing about it, or nonsense."""
    saved(tmp_path, FULL)
    content = json.loads((tmp_path / "unit.json").read_bytes())
    (content if key == "clock" else content["open"][0])[key] = value
    (tmp_path / "unit.json").write_text(json.dumps(content))
    before = time.monotonic()

    (command,) = loaded(tmp_path)[0].memory.open

    assert before <= command.received <= time.monotonic()


def test_the_newest_wins(tmp_path: Path) -> None:
    """Many changes in one instant are one write or two."""
    saved(tmp_path, *(Kept(Memory(run=run)) for run in range(50)))

    assert loaded(tmp_path)[0].memory.run == 49


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """The trouble is told, not raised."""
    saved(tmp_path, FULL)
    (tmp_path / "unit.new").mkdir()  # nobody can write there, not even root

    async def live() -> str:
        file = StateFile(tmp_path, "unit")
        file.save(Kept(Memory(run=99)), 6)
        await file.close()
        return file.trouble

    assert "unit.json: Is a directory" in asyncio.run(live())
    assert loaded(tmp_path) == (FULL, 5)


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"format": 2, "boot": 1}',
        b'{"format": 1}',
        b'{"format": 1, "boot": 1, "goal": "", "args": 3, "run": 1, "last_event": "", "open": []}',
        b'{"format":1, "boot":1, "goal":"", "args":{}, "run":1, "last_event":"", "open":[{}]}',
    ],
)
def test_what_is_no_state_file_is_left_alone(content: bytes, tmp_path: Path) -> None:
    """The user is told what to do; nothing is overwritten."""
    file = tmp_path / "unit.json"
    file.write_bytes(content)

    with pytest.raises(Unavailable, match="--fresh"):
        loaded(tmp_path)

    assert file.read_bytes() == content


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """With the pid of the first; as soon as that is gone, the name is free."""
    program = (
        "import sys, pathlib; from statusd.unit.state_file import StateFile\n"
        "import asyncio\n"
        "async def live():\n"
        "    file = StateFile(pathlib.Path(sys.argv[1]), 'unit')\n"
        "    print('mine', flush=True); sys.stdin.read()\n"
        "asyncio.run(live())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()

        with pytest.raises(Unavailable, match=rf"runs here already \(pid {first.pid}\)"):
            loaded(tmp_path)

        first.communicate(timeout=10)
    assert loaded(tmp_path) == (NOTHING, 0)
