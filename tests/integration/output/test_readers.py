"""What a worker prints, over real pipes: readers that are slow, asleep or gone."""

from __future__ import annotations

import asyncio
import os

import pytest

from statusd.supervision.output import MAX_WAITING, Sink
from tests.integration.output.stories import (
    LATE_S,
    TAG,
    Clock,
    Reader,
    ended,
    fill,
    play,
    python,
    worker,
)
from tests.tools.waiting import until

FLOOD_BYTES = 41 * 2_500_000

FLOOD = f"yes 0123456789012345678901234567890123456789 | head -c {FLOOD_BYTES}"


def check_gaps(lines: list[bytes]) -> int:
    """Return how many of the numbers 1, 2, ... were reported as dropped, each where it was."""
    number = dropped = 0
    for line in lines:
        if line.startswith(b"statusd: "):
            count = int(line.split()[1])
            dropped += count
            number += count
        else:
            number += 1
            assert int(line) == number
    assert number == 1_000_000
    return dropped


def test_a_sleeping_reader_stops_nobody() -> None:
    """Both streams flood a pipe that nobody reads: the worker ends, the loop is on time."""

    async def story() -> None:
        with Reader() as out:
            clock = Clock(lambda: out.sink.waiting)
            script = f"{FLOOD} & {FLOOD} >&2; wait; echo last words >&2"
            async with worker(out.sink, out.sink, script) as (relay, child):
                await ended(child)
                relay.drain()
                clock.stop()
                assert relay.tail()[-1] == "last words"
                assert relay.dropped > FLOOD_BYTES // 41
            assert clock.worst_s < LATE_S
            assert clock.most <= MAX_WAITING

    play(story)


def test_a_slow_reader_loses_nothing() -> None:
    """The worker is slowed down for longer than the patience with a sleeper lasts."""

    async def story() -> None:
        with Reader() as out:
            clock = Clock(lambda: out.sink.waiting)
            async with worker(out.sink, out.sink, "seq 1 400000") as (relay, child):
                out.read_slowly(32768, 0.01)
                await until(lambda: len(out.lines()) == 400_000, "all lines", 40.0)
                await ended(child)
            clock.stop()
            assert out.data == b"".join(b"run 7 | %d\n" % n for n in range(1, 400_001))
            assert relay.dropped == 0
            assert clock.most > MAX_WAITING // 2
            assert clock.worst_s < LATE_S

    play(story)


def test_a_reader_who_wakes_up_is_told_what_he_missed() -> None:
    """The dropped lines are reported where they are missing, and the rest is passed on."""

    async def story() -> None:
        with Reader("out") as out, Reader("err") as err:
            script = "seq 1 1000000; echo flooded >&2; read x; echo back"
            async with worker(out.sink, err.sink, script) as (relay, child):
                await until(lambda: relay.tail() == ("flooded",), "the flood to end")
                assert relay.dropped > 0
                out.read()
                await until(lambda: out.sink.waiting == 0, "what was waiting to be read")
                assert child.stdin is not None
                child.stdin.close()
                await until(lambda: out.data.endswith(b"| back\n"), "what came after")
            lines = [line.removeprefix(TAG) for line in out.lines()]
            assert lines[-1] == b"back"
            assert check_gaps(lines[:-1]) == relay.dropped

    play(story)


def test_after_the_exit_nothing_waits() -> None:
    """What a sink with no room doesn't take then is dropped at once, and counted."""

    async def story() -> None:
        with Reader() as out:
            await fill(out.sink)
            async with worker(out.sink, out.sink, "seq 1 2000; echo why >&2") as (relay, child):
                child.wait(20.0)
                began = asyncio.get_running_loop().time()
                relay.drain()
                relay.close()
                assert asyncio.get_running_loop().time() - began < LATE_S
                assert relay.dropped > 0
                assert relay.tail() == ("why",)

    play(story)


@pytest.mark.parametrize(
    ("path", "flags", "trouble"),
    [
        ("/dev/full", os.O_WRONLY, "No space left on device"),
        ("/dev/null", os.O_RDONLY, "Bad file descriptor"),
    ],
)
def test_a_sink_that_fails_is_nobodys_trouble(path: str, flags: int, trouble: str) -> None:
    """The error is told, what can't be written is gone, the worker and the loop go on."""

    async def story() -> None:
        fd = os.open(path, flags)
        sink = Sink(fd, "failing")
        clock = Clock()
        async with worker(sink, sink, f"{FLOOD}; echo bye >&2") as (relay, child):
            await ended(child)
            relay.drain()
            assert relay.tail() == ("bye",)
            await until(lambda: sink.waiting == 0, "nothing to be left")
        clock.stop()
        sink.close(5.0)
        os.close(fd)
        assert sink.trouble == trouble
        assert clock.worst_s < LATE_S

    play(story)


def test_a_descriptor_that_is_none_is_nobodys_trouble() -> None:
    """The thread lives on, and says why nothing arrives."""

    async def story() -> None:
        sink = Sink(-1, "none")
        assert sink.offer(b"lost\n")
        await until(lambda: sink.lost == 5, "all of it to be lost")
        assert (sink.trouble, sink.written, sink.waiting) == ("Bad file descriptor", 0, 0)
        sink.close(5.0)

    play(story)


def test_room_that_came_too_early_is_told() -> None:
    """Whoever asks after all has been written is called as well."""

    async def story() -> None:
        with Reader() as out:
            await fill(out.sink)
            out.read()
            await until(lambda: out.sink.waiting == 0, "all to be read")
            called = asyncio.Event()
            out.sink.when_room(called.set)
            await asyncio.wait_for(called.wait(), 5.0)

    play(story)


def test_a_slow_reader_of_long_lines_loses_nothing() -> None:
    """Also a part of a line is progress."""
    code = """
import os
for _ in range(30):
    os.write(1, b"x" * 60_000 + bytes([10]))
"""

    async def story() -> None:
        with Reader() as out:
            async with worker(out.sink, out.sink, *python(code)) as (relay, child):
                clock = Clock()
                out.read_slowly(8192, 0.25)
                await until(lambda: clock.ticks > 400, "some seconds to pass")
                clock.stop()
                out.read()
                await until(lambda: out.data.count(b"x") == 30 * 60_000, "all of it")
                await ended(child)
            assert relay.dropped == 0

    play(story)


def test_a_sleeping_reader_is_not_waited_for_again() -> None:
    """A line that happens to fit into what room is left doesn't begin another wait."""
    code = """
import os, random, sys, time
rng = random.Random(1)
waits = 0
for _ in range(2000):
    began = time.monotonic()
    os.write(1, b"x" * rng.randint(1, 60_000) + bytes([10]))
    waits += time.monotonic() - began > 0.4
    time.sleep(0.001)
sys.stderr.write(str(waits))
"""

    async def story() -> None:
        with Reader("out") as out, Reader("err") as err:
            async with worker(out.sink, err.sink, *python(code)) as (relay, child):
                await ended(child)
                relay.drain()
                assert relay.tail() == ("1",)
            assert relay.dropped > 1000

    play(story)


def test_a_reader_who_hangs_up_stops_nobody() -> None:
    """Also one who does it in the middle of a write that waits for him."""

    async def story() -> None:
        with Reader() as out:
            async with worker(out.sink, out.sink, f"{FLOOD}; echo bye >&2") as (relay, child):
                await until(lambda: out.sink.waiting > MAX_WAITING // 2, "a full pipe")
                out.hang_up()
                await ended(child)
                relay.drain()
                assert relay.tail() == ("bye",)
            await until(lambda: out.sink.waiting == 0, "nothing to be left")
            assert out.sink.trouble == "Broken pipe"

    play(story)


def test_a_sink_may_be_non_blocking() -> None:
    """Somebody who shares our standard output may have made it so; nothing is lost by it."""

    async def story() -> None:
        with Reader() as out:
            os.set_blocking(out.theirs, False)
            out.read_slowly(65536, 0.005)
            async with worker(out.sink, out.sink, "seq 1 100000") as (relay, _child):
                await until(lambda: len(out.lines()) == 100_000, "all lines")
            assert relay.dropped == 0
            assert out.sink.trouble == ""

    play(story)
