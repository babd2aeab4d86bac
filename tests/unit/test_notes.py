"""The pipes between daemon and worker: whole lines, and nobody ever waits."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.worker import notes
from statusd.worker.notes import MAX_LINE, SEEN, WAKE, Lines, send

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A reading and a writing end, neither of which blocks."""
    ends = os.pipe()
    for fd in ends:
        os.set_blocking(fd, False)
    yield ends
    for fd in ends:
        with contextlib.suppress(OSError):  # the test may have closed it
            os.close(fd)


@pytest.mark.fault("W04")
def test_lines_are_cut_where_they_end(pipe: Pipe) -> None:
    """Over several reads; what has no end yet is kept."""
    reading, writing = pipe
    lines = Lines(reading)

    os.write(writing, b"one\n\ntw")
    first = lines.read()
    os.write(writing, b"o\n")

    assert (first, lines.read()) == ([b"one", b""], [b"two"])


@pytest.mark.fault("W04")
def test_a_line_without_end_is_dropped(pipe: Pipe) -> None:
    """The other side may write anything; our memory is not his to fill."""
    reading, writing = pipe
    lines = Lines(reading, most=10)

    os.write(writing, b"x" * 11)
    first = lines.read()
    os.write(writing, b"\nnext\n")

    assert (first, lines.read()) == ([], [b"", b"next"])


def test_the_end_of_the_pipe_is_none(pipe: Pipe) -> None:
    """The other side is gone."""
    reading, writing = pipe
    os.close(writing)

    assert Lines(reading).read() is None


@pytest.mark.fault("W22", "W03")
def test_a_full_pipe_is_no_place_to_wait(pipe: Pipe) -> None:
    """A note that finds no room is not written, not even by half."""
    reading, writing = pipe
    note = b"x" * (MAX_LINE - 1) + b"\n"

    written = 0
    while send(writing, note):
        written += 1

    assert written > 0
    assert os.read(reading, 10**7) == note * written


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    """The note is not written, and that is all."""
    reading, writing = pipe
    os.close(reading)

    assert not send(writing, SEEN)
    assert not send(writing, WAKE)


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"run": 1234, "bias": -1.5e-300, "dark": True, "light": False, "film": None},
        {"text": 'half "way"\n\t\\ ½ \U0001f600 \x00', "": "]}"},
        {"huge": 10**300, "inf": float("inf"), "minus": float("-inf")},
    ],
)
def test_args_come_as_they_were_sent(args: dict[str, Any]) -> None:
    """Read without `json`, which the user's folders may have another one of."""
    assert notes.decode(json.dumps(args).encode()) == args
    assert notes.decode(json.dumps(args, ensure_ascii=False).encode()) == args


@given(st.text(max_size=60), st.text(max_size=600))
def test_a_note_is_json(trigger: str, reason: str) -> None:
    """Whatever the texts are; cut to what fits."""
    told = json.loads(notes.encode("trigger", trigger=trigger, reason=reason))

    assert told == {"note": "trigger", "trigger": trigger, "reason": reason[: notes.MAX_REASON]}
