"""What a worker prints, from real processes over real pipes to readers of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Self

import pytest

from statusd.supervision.output import MAX_WAITING, Sink, pieces
from statusd.supervision.relay import LONGEST_LINE, Relay
from tests.tools.waiting import until

RUN = 7
TAG = b"run 7 | "
FLOOD_BYTES = 41 * 2_500_000
FLOOD = f"yes 0123456789012345678901234567890123456789 | head -c {FLOOD_BYTES}"
LATE_S = 2.0
"""A loop that waits for who reads would be later; one that wants for a processor isn't."""


class Reader:
    """A sink into a pipe, and whoever reads that: nobody, until it is asked to."""

    def __init__(self, name: str = "test") -> None:
        self.data = bytearray()
        self._ours, self.theirs = os.pipe()
        os.set_blocking(self._ours, False)
        self._loop = asyncio.get_running_loop()
        self._slowly: asyncio.TimerHandle | None = None
        self.sink = Sink(self.theirs, name)

    def read(self) -> None:
        """Read whatever comes, from now on."""
        self._loop.add_reader(self._ours, self._take, 65536)

    def read_slowly(self, count: int, every_s: float) -> None:
        """Read ``count`` bytes at a time, from now on."""
        self._take(count)
        self._slowly = self._loop.call_later(every_s, self.read_slowly, count, every_s)

    def _take(self, count: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self.data += os.read(self._ours, count)

    def lines(self) -> list[bytes]:
        """Return the whole lines that came so far."""
        return bytes(self.data).split(b"\n")[:-1]

    def hang_up(self) -> None:
        """Close the reading end; a second call does nothing."""
        if self._slowly is not None:
            self._slowly.cancel()
        if self._ours != -1:
            self._loop.remove_reader(self._ours)
            os.close(self._ours)
            self._ours = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up, which lets a writing thread go, and close the rest."""
        self.hang_up()
        self.sink.close(5.0)
        os.close(self.theirs)


class Clock:
    """Ticks every 10 ms on the loop, notes how late it was at worst, and what it is to look at."""

    def __init__(self, look: Callable[[], int] = lambda: 0) -> None:
        self.worst_s = 0.0
        self.most = 0
        self.ticks = 0
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._set()

    def _set(self) -> None:
        self._due = self._loop.time() + 0.01
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self.ticks += 1
        self.worst_s = max(self.worst_s, self._loop.time() - self._due)
        self.most = max(self.most, self._look())
        self._set()

    def stop(self) -> None:
        """Tick no more."""
        self._handle.cancel()


@contextlib.asynccontextmanager
async def worker(
    out: Sink, err: Sink, *command: str
) -> AsyncIterator[tuple[Relay, subprocess.Popen[bytes]]]:
    """Run a shell script with its output relayed; kill what is left of it in the end."""
    relay = Relay(RUN, out, err, asyncio.get_running_loop())
    stdout, stderr = relay.pipes()
    with subprocess.Popen(
        ["sh", "-c", *command],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    ) as child:
        relay.started()
        try:
            yield relay, child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            relay.close()


async def ended(child: subprocess.Popen[bytes]) -> None:
    """Wait until the worker has exited."""
    await until(lambda: child.poll() is not None, "the worker to exit")


def play(story: Callable[[], Awaitable[None]]) -> None:
    """Run a story on a loop of its own; it leaves no descriptor behind."""

    async def live() -> None:
        before = descriptors()
        await story()
        assert descriptors() == before

    asyncio.run(live())


def descriptors() -> int:
    """Return how many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def tagged(data: bytes) -> bytes:
    """Return whole lines as they are to arrive."""
    return b"".join(TAG + line + b"\n" for line in data.removesuffix(b"\n").split(b"\n"))


def python(code: str) -> tuple[str, str, str]:
    """Return the command of a worker in Python."""
    return 'exec "$0" -c "$1"', sys.executable, code


async def fill(sink: Sink) -> None:
    """Offer lines until there is no room, and no more is written: nobody reads."""
    assert sink.offer(b"first\n" * 100_000)
    await until(lambda: sink.written >= 65000, "a full pipe")
    while sink.offer(b"x\n"):
        pass


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


# ---- lines -----------------------------------------------------------------------------------


def test_lines_are_tagged_and_in_order() -> None:
    """Each stream arrives at its own sink, every line with its run before it."""

    async def story() -> None:
        with Reader("out") as out, Reader("err") as err:
            out.read()
            err.read()
            script = "seq 1 20000; seq -f e%g 1 20000 >&2"
            async with worker(out.sink, err.sink, script) as (relay, child):
                await until(lambda: len(out.lines()) == 20000, "all of stdout")
                await until(lambda: len(err.lines()) == 20000, "all of stderr")
                await ended(child)
            assert out.data == b"".join(b"run 7 | %d\n" % n for n in range(1, 20001))
            assert err.data == b"".join(b"run 7 | e%d\n" % n for n in range(1, 20001))
            assert relay.dropped == 0

    play(story)


def test_bytes_arrive_as_they_are() -> None:
    """Any byte but the newline means nothing, colours stay, and an unfinished end is finished."""
    data = bytes(range(256)) * 300 + b"\n\n\x1b[31mred\x1b[0m\r\nno newline"
    code = """
import os
data = bytes(range(256)) * 300 + b"\\n\\n\\x1b[31mred\\x1b[0m\\r\\nno newline"
while data:
    data = data[os.write(1, data[:1000]):]
"""

    async def story() -> None:
        with Reader() as out:
            out.read()
            async with worker(out.sink, out.sink, *python(code)) as (relay, child):
                await ended(child)
                relay.drain()
                await until(lambda: b"red" in out.data, "all but the end")
                assert b"no newline" not in out.data
                relay.close()
                await until(lambda: b"no newline\n" in out.data, "the end")
            assert out.data == tagged(data)

    play(story)


def test_an_endless_line_is_passed_on_in_pieces() -> None:
    """Nobody waits for its newline, and nothing of it is lost."""
    code = """
import sys
sys.stdout.write("0123456789" * 20_000)
sys.stdout.flush()
sys.stdin.read()
print("its end")
"""

    async def story() -> None:
        with Reader() as out:
            out.read()
            async with worker(out.sink, out.sink, *python(code)) as (_relay, child):
                sent = b"0123456789" * 20_000
                await until(lambda: len(out.data) > len(sent) - LONGEST_LINE, "most of the line")
                assert child.stdin is not None
                child.stdin.close()
                await until(lambda: out.data.endswith(b"its end\n"), "its end")
            assert all(line.startswith(TAG) for line in out.lines())
            assert b"".join(line[len(TAG) :] for line in out.lines()) == sent + b"its end"
            assert max(len(line) for line in out.lines()) == len(TAG) + LONGEST_LINE

    play(story)


def test_lines_of_two_writers_are_never_mixed() -> None:
    """Two sinks on one pipe, as after ``2>&1``: each line arrives whole."""

    async def story() -> None:
        with Reader("out") as out:
            err = Sink(out.theirs, "err")
            out.read()
            script = f"yes {'o' * 200} | head -n 20000 & yes {'e' * 150} | head -n 20000 >&2; wait"
            async with worker(out.sink, err, script):
                await until(lambda: len(out.lines()) == 40000, "all lines")
            err.close(5.0)
            assert set(out.lines()) == {TAG + b"o" * 200, TAG + b"e" * 150}

    play(story)


def test_pieces_are_whole_lines() -> None:
    """They fit into one write that can't be cut, but for a line that is longer itself."""
    lines = [b"x" * n + b"\n" for n in (0, 10, 4095, 4096, 9000, 1, 2000, 2094)]

    cut = list(pieces(b"".join(lines) + b"no end", 4096))

    assert b"".join(cut) == b"".join(lines) + b"no end"
    assert all(piece.endswith(b"\n") for piece in cut[:-1])
    assert [len(piece) for piece in cut if len(piece) > 4096] == [4097, 9001]


# ---- the last words --------------------------------------------------------------------------


def test_the_tail_is_the_last_20_lines_of_stderr() -> None:
    """It is there when the worker has exited, cut to a width, and harmless to a terminal."""
    code = r"""
import os
os.write(1, b"not this\n")
os.write(2, b"".join(b"line %d\n" % n for n in range(30)))
os.write(2, b"\x1b[31mred\x07\n" + b"\xff caf\xc3\xa9\r\n" + b"w" * 1000 + b"\n" + b"unfinished")
"""

    async def story() -> None:
        with Reader() as out:
            async with worker(out.sink, out.sink, *python(code)) as (relay, child):
                child.wait(20.0)  # the loop reads nothing: all of it is left for drain()
                relay.drain()
                tail = relay.tail()
            assert tail[:16] == tuple(f"line {n}" for n in range(14, 30))
            assert tail[16:] == (r"\x1b[31mred\x07", r"\xff café", "w" * 300, "unfinished")

    play(story)


def test_a_tail_of_nothing_is_empty() -> None:
    """A worker that says nothing has no last words."""

    async def story() -> None:
        with Reader() as out:
            async with worker(out.sink, out.sink, "echo out") as (relay, child):
                await ended(child)
                relay.drain()
                assert relay.tail() == ()

    play(story)


# ---- readers that are slow, asleep or gone ---------------------------------------------------


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


# ---- files, and the end ----------------------------------------------------------------------


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
            async with worker(out.sink, out.sink, "sleep 60 & printf bye") as (relay, child):
                await ended(child)
                began = asyncio.get_running_loop().time()
                relay.drain()
                relay.close()
                assert asyncio.get_running_loop().time() - began < LATE_S
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
