"""What is written to a program's standard input: the newest, by whole lines, until ENDING."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from statusd.supervision.standard_input import PIPE_BYTES, StandardInput


def told(story: Callable[[StandardInput], None]) -> bytes:
    """Return all that a program reads that begins to when ``story`` is over, until it can't be."""

    async def live() -> bytes:
        stdin = StandardInput(asyncio.get_running_loop())
        theirs = os.dup(stdin.open())
        stdin.started()
        try:
            story(stdin)
            first = os.read(theirs, 2 * PIPE_BYTES)
            for _ in range(
                2
            ):  # the loop looks at its descriptors, and calls whom it found room for
                await asyncio.sleep(0)
            stdin.close()
            return first + os.read(theirs, 2 * PIPE_BYTES)
        finally:
            stdin.close()
            os.close(theirs)

    return asyncio.run(live())


def test_args_come_before_their_state() -> None:
    """A line each."""
    lines = told(lambda stdin: stdin.say("RUNNING", {"run": 3}))

    assert lines == b'ARGS {"run": 3}\nRUNNING\n'


def test_a_program_that_reads_late_finds_the_newest_state_last() -> None:
    """What had no room is one line of each kind, beside the one that was to be written first."""

    def story(stdin: StandardInput) -> None:
        for number in range(PIPE_BYTES):
            stdin.say("RUNNING" if number % 2 else "PAUSED", {"run": number})

    lines = told(story).splitlines()

    assert lines[-2:] == [b'ARGS {"run": %d}' % (PIPE_BYTES - 1), b"RUNNING"]
    assert len(lines) < PIPE_BYTES
    assert {line.split()[0] for line in lines} == {b"ARGS", b"RUNNING", b"PAUSED"}


def test_nothing_follows_ending() -> None:
    """A program that reads to the end of its standard input sees that end."""

    def story(stdin: StandardInput) -> None:
        stdin.say("ENDING", None)
        stdin.say("RUNNING", None)

    assert told(story) == b"ENDING\n"


def test_a_program_that_was_given_no_pipe_is_told_nothing() -> None:
    """Nor is anything raised."""

    async def live() -> None:
        stdin = StandardInput(asyncio.get_running_loop())
        stdin.say("RUNNING", {"run": 3})
        stdin.close()

    asyncio.run(live())
