"""What a worker prints, into a file that somebody moves, empties, or takes away meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest

from statusd.supervision.output import Sink
from tests.integration.output.stories import LATE_S, TAG, ended, play, worker
from tests.tools.waiting import until


class Teller:
    """Keeps what a sink has told of its openings."""

    def __init__(self, sink: Sink) -> None:
        self.told: list[str] = []
        self._sink = sink

    async def reopen(self) -> str:
        """Have the file opened again, and return what is told of it."""
        before = len(self.told)
        self._sink.reopen(self.told.append)
        await until(lambda: len(self.told) > before, "what is told of it")
        return self.told[-1]


@pytest.mark.fault("J11")
def test_a_file_that_was_moved_is_followed_without_a_loss(tmp_path: Path) -> None:
    """In the middle of a flood, again and again: each line once, whole, in order; none stays open.

    `play` looks at the descriptors.
    """
    path, stop = tmp_path / "worker.log", tmp_path / "stop"
    script = 'n=0; while [ ! -e "$0" ]; do seq $((n + 1)) $((n += 10000)); done'

    async def story() -> None:
        sink = Sink.open(path)
        teller = Teller(sink)
        async with worker(sink, sink, script, str(stop)) as (relay, child):
            for number in range(5):
                await until(lambda: path.stat().st_size > 0, "some lines")
                path.rename(tmp_path / f"old.{number}")
                assert await teller.reopen() == ""
            stop.touch()
            await ended(child)
            relay.drain()
        sink.close(5.0)
        assert relay.dropped == 0

    play(story)
    files = [*(tmp_path / f"old.{number}" for number in range(5)), path]
    assert all(file.read_bytes().endswith(b"\n") for file in files if file.stat().st_size)
    lines = b"".join(map(Path.read_bytes, files)).splitlines()
    assert len(lines) > 10_000
    assert lines == [TAG + b"%d" % n for n in range(1, len(lines) + 1)]


@pytest.mark.fault("J11")
@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [
        ("nothing", "No such file or directory"),
        ("a file", "Not a directory"),
        ("a directory", "Is a directory"),
        ("a pipe", "it is a pipe or a socket, and nobody reads it"),
    ],
)
def test_what_cannot_be_opened_again_is_told_and_the_old_goes_on(
    obstacle: str, reason: str, tmp_path: Path
) -> None:
    """Not a line is lost by it, and the next time it may work."""
    folder = tmp_path / "logs"
    path = folder / "worker.log"
    folder.mkdir()

    async def story() -> None:
        sink = Sink.open(path)
        sink.offer(b"before\n")
        folder.rename(tmp_path / "moved")
        put_in_the_way(folder, obstacle)

        assert await Teller(sink).reopen() == reason

        sink.offer(b"after\n")
        await until(lambda: sink.waiting == 0, "all to be written")
        assert (tmp_path / "moved" / "worker.log").read_bytes() == b"before\nafter\n"
        clear(folder)
        folder.mkdir()
        assert await Teller(sink).reopen() == ""
        sink.offer(b"new\n")
        sink.close(5.0)
        assert path.read_bytes() == b"new\n"

    play(story)


def put_in_the_way(folder: Path, obstacle: str) -> None:
    """Put something in the place of a folder, or of ``worker.log`` in it."""
    if obstacle == "a file":
        folder.touch()
    elif obstacle != "nothing":
        folder.mkdir()
        path = folder / "worker.log"
        path.mkdir() if obstacle == "a directory" else os.mkfifo(path)


def clear(folder: Path) -> None:
    """Take it away."""
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


@pytest.mark.fault("J11")
def test_nobody_waits_for_the_opening(tmp_path: Path) -> None:
    """Behind a write that hangs the loop goes on; what was offered before that is not in the new.

    However often it is asked for meanwhile, it is done once.
    """
    path = tmp_path / "worker.log"
    os.mkfifo(path)

    async def story() -> None:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        sink = Sink.open(path)
        loop = asyncio.get_running_loop()
        before = b"before\n" * 50_000
        sink.offer(before)
        await until(lambda: sink.written >= 65000, "a full pipe")
        path.unlink()
        told: list[str] = []
        began = loop.time()
        for _ in range(100):
            sink.reopen(told.append)
        sink.offer(b"after\n")
        assert loop.time() - began < LATE_S
        assert told == []

        read = bytearray()
        loop.add_reader(reader, lambda: read.extend(os.read(reader, 65536)))
        await until(lambda: len(read) == len(before), "all of it to be read")
        loop.remove_reader(reader)
        os.close(reader)
        await until(lambda: sink.waiting == 0, "the rest")
        sink.close(5.0)
        assert (bytes(read), told, path.read_bytes()) == (before, [""], b"after\n")

    play(story)


@pytest.mark.fault("J11")
def test_a_file_that_was_emptied_is_written_from_its_beginning(tmp_path: Path) -> None:
    """As `copytruncate` does it: no hole of zeros, and no line that is torn."""
    path = tmp_path / "worker.log"

    async def story() -> None:
        sink = Sink.open(path)
        sink.offer(b"before\n" * 1000)
        await until(lambda: sink.waiting == 0, "all to be written")
        shutil.copy(path, tmp_path / "worker.log.1")
        os.truncate(path, 0)
        sink.offer(b"after\n")
        sink.close(5.0)

    play(story)
    assert path.read_bytes() == b"after\n"


def test_an_output_of_ours_is_not_opened_again() -> None:
    """Standard output belongs to whoever has started us; no thread is started for it, either."""

    async def story() -> None:
        threads = threading.active_count()
        ours, theirs = os.pipe()
        sink = Sink(theirs, "stdout")
        told: list[str] = []
        sink.reopen(told.append)
        assert threading.active_count() == threads
        sink.offer(b"a line\n")
        await until(lambda: sink.waiting == 0, "it to be written")
        assert told == []
        sink.close(5.0)
        assert os.read(ours, 100) == b"a line\n"
        os.close(ours)
        os.close(theirs)

    play(story)
