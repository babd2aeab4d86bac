"""What a worker prints, over real pipes: lines."""

from __future__ import annotations

import json

import pytest

from statusd.supervision.lines import BAR_S, LONGEST_LINE
from statusd.supervision.output import Sink, pieces
from tests.integration.output.stories import (
    TAG,
    Clock,
    Reader,
    Timed,
    ended,
    fill,
    play,
    python,
    worker,
)
from tests.tools.waiting import until


def tagged(data: bytes) -> bytes:
    """Return whole lines as they are to arrive."""
    return b"".join(TAG + line + b"\n" for line in data.removesuffix(b"\n").split(b"\n"))


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


def test_among_json_lines_are_json() -> None:
    """Each stream as itself, in order, also what has no newline."""

    async def story() -> None:
        with Reader(is_json=True) as out, Reader(is_json=True) as err:
            out.read()
            err.read()
            script = "seq 1 2000; printf end; seq -f e%g 1 2000 >&2"
            async with worker(out.sink, err.sink, script) as (relay, child):
                await until(lambda: len(err.lines()) == 2000, "all of stderr")
                await ended(child)
                relay.drain()
            await until(lambda: len(out.lines()) == 2001, "all of stdout")
            told = [json.loads(line) for line in (*out.lines(), *err.lines())]
            keys = ("event", "run", "stream", "line")
            assert [tuple(line[key] for key in keys) for line in told] == [
                *(("worker.output", 7, "stdout", str(n)) for n in range(1, 2001)),
                ("worker.output", 7, "stdout", "end"),
                *(("worker.output", 7, "stderr", f"e{n}") for n in range(1, 2001)),
            ]

    play(story)


def test_bytes_arrive_as_they_are() -> None:
    """Newline and carriage return alone mean something, colours stay, an end is finished."""
    data = bytes(set(range(256)) - {13}) * 300 + b"\n\n\x1b[31mred\x1b[0m\nno newline"
    code = """
import os
data = bytes(set(range(256)) - {13}) * 300 + b"\\n\\n\\x1b[31mred\\x1b[0m\\r\\nno newline"
while data:
    data = data[os.write(1, data[:1000]):]
"""

    async def story() -> None:
        with Reader() as out:
            out.read()
            async with worker(out.sink, out.sink, *python(code)) as (relay, child):
                await ended(child)
                relay.drain()
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


STANDING = [
    (r"a\nb? ", b"a\nb? "),
    (r"\r1%%\r2%%", b"\n2%"),
    (r"\r3%%", b""),  # it is soon after the other
    (r"\nc? ", b"\n3%\nc? "),
    (r"\r1%%\r4%%", b"\n4%"),
    (r"\r5%%'; exec >/dev/null 2>&1; printf '", b"\n5%"),
]
"""What is printed, one after the other -> what is passed on of it after a moment."""


@pytest.mark.fault("J14")
def test_what_stands_comes_after_a_moment_and_then_nothing_is_awaited() -> None:
    """A prompt, a bar, a prompt soon after it, a bar in a pipe that is closed; no timer is left."""
    script = "exec >&2;" + "".join(f"printf '{what}'; read x;" for what, _ in STANDING)

    async def story() -> None:
        with Reader() as out:
            out.read()
            loop, said = Timed(), b""
            async with worker(out.sink, out.sink, script, loop=loop) as (relay, child):
                assert child.stdin is not None
                for _, more in STANDING:
                    began, said, told = loop.time(), said + more, relay.tail()
                    await until(lambda told=told: relay.tail() != told, "it")  # type: ignore[misc]
                    await until(lambda said=said: out.data == tagged(said), "it")  # type: ignore[misc]
                    assert loop.time() - began < BAR_S - 1
                    assert not more or loop.is_idle()
                    child.stdin.write(b"\n")
                    child.stdin.flush()

    play(story)


@pytest.mark.fault("J14")
def test_what_stands_waits_for_whoever_reads() -> None:
    """While he is behind it overtakes nothing, and nothing of it is lost."""

    async def story() -> None:
        with Reader() as out:
            await fill(out.sink)
            script = r"printf 'a\nb? ' >&2; read x"
            async with worker(out.sink, out.sink, script) as (relay, _child):
                await until(lambda: relay.tail() == ("a", "b? "), "it to be read")
                out.read_slowly(4096, 0.1)
                clock = Clock()
                await until(lambda: clock.ticks > 120, "more than a moment to pass")
                clock.stop()
                out.read()
                await until(lambda: out.data.endswith(tagged(b"a\nb? ")), "all that stood")
                assert relay.dropped == 0

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
