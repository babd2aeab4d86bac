"""What a worker prints, over real pipes: files, and the end."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

from statusd.supervision.output import Sink
from statusd.supervision.relay import Relay
from tests.integration.output.stories import (
    LATE_S,
    TAG,
    Clock,
    Reader,
    Timed,
    descriptors,
    ended,
    play,
    worker,
)
from tests.tools.waiting import until


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """Two runs into one file, both streams; closing waits until all is written."""
    path = tmp_path / "output.log"
    path.write_bytes(b"old\n")

    async def story() -> None:
        for _ in range(2):
            sink = Sink.open(path)
            async with worker(sink, sink, "seq 1 1000; echo e >&2") as (relay, child):
                await ended(child)
                relay.drain()
            sink.close(5.0)
            assert sink.waiting == 0

    play(story)
    lines = path.read_bytes().splitlines()
    assert lines[0] == b"old"
    assert sorted(lines[1:]) == sorted([*(TAG + b"%d" % n for n in range(1, 1001)), TAG + b"e"] * 2)


def test_closing_a_sink_waits_only_so_long() -> None:
    """What a sleeping reader doesn't take is given up."""

    async def story() -> None:
        with Reader() as out:
            out.sink.offer(b"line\n" * 100_000)
            loop = asyncio.get_running_loop()
            began = loop.time()
            out.sink.close(0.2)
            assert 0.1 < loop.time() - began < 0.2 + LATE_S
            assert out.sink.waiting > 0

    play(story)


def test_a_grandchild_may_keep_the_pipe() -> None:
    """The worker is gone, its child isn't: closing waits for nobody."""

    async def story() -> None:
        with Reader() as out:
            out.read()
            loop, script = Timed(), "sleep 60 & printf bye"
            async with worker(out.sink, out.sink, script, loop=loop) as (relay, child):
                await ended(child)
                began = asyncio.get_running_loop().time()
                relay.drain()
                relay.close()
                assert asyncio.get_running_loop().time() - began < LATE_S
                assert loop.is_idle()
                await until(lambda: out.data == TAG + b"bye\n", "its last word")

    play(story)


def test_nothing_is_left_open() -> None:
    """Neither after an exit, nor after a start that failed, nor without any; twice is fine."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        with Reader() as out:
            out.read()
            before = descriptors()
            for number in range(20):
                relay = Relay(number, out.sink, out.sink, loop)
                if number % 3:
                    stdout, stderr = relay.pipes()
                if number % 3 == 2:
                    child = subprocess.Popen(["echo", "x"], stdout=stdout, stderr=stderr)
                    relay.started()
                    await ended(child)
                relay.close()
                relay.close()
            assert descriptors() == before

    play(story)


def test_a_closed_stream_is_read_no_more() -> None:
    """A worker that closes its output and works on doesn't keep the loop busy."""

    async def story() -> None:
        with Reader() as out:
            out.read()
            script = "echo bye; exec >/dev/null 2>&1; read x"
            async with worker(out.sink, out.sink, script) as (_relay, child):
                await until(lambda: out.data == TAG + b"bye\n", "its last word")
                clock = Clock()
                used_s = time.process_time()
                await until(lambda: clock.ticks == 50, "half a second to pass")
                clock.stop()
                assert time.process_time() - used_s < 0.25
                assert child.poll() is None

    play(story)
