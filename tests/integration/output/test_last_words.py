"""What a worker prints, over real pipes: the last words."""

from __future__ import annotations

from tests.integration.output.stories import Reader, ended, play, python, worker


def test_the_tail_is_the_last_20_lines_of_stderr() -> None:
    """It is there when the worker has exited, cut to a width, and harmless to a terminal."""
    code = r"""
import os
os.write(1, b"not this\n")
os.write(2, b"".join(b"line %d\n" % n for n in range(30)))
os.write(2, b"\x1b[31mred\x07\n" + b"\xff caf\xc3\xa9\r\n")
os.write(2, b"b" * 500 + b"e" * 500 + b"\n" + b"unfinished")
"""

    async def story() -> None:
        with Reader() as out:
            async with worker(out.sink, out.sink, *python(code)) as (relay, child):
                child.wait(20.0)  # the loop reads nothing: all of it is left for drain()
                relay.drain()
                tail = relay.tail()
            assert tail[:16] == tuple(f"line {n}" for n in range(14, 30))
            long = "b" * 149 + " … " + "e" * 148
            assert tail[16:] == (r"\x1b[31mred\x07", r"\xff café", long, "unfinished")

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
