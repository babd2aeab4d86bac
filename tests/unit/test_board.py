"""The page of memory that daemon and worker share."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.worker import board as page
from statusd.worker.board import Board

WRITER = """
import sys
from statusd.worker.board import Board, STATE, pack_word
board = Board(int(sys.argv[1]))
words = [pack_word(1, 1, 1), pack_word(250, 0xFFFFFF, 0xFFFFFFFF)]
print("writing", flush=True)
for turn in range(400_000):
    board.words[STATE] = words[turn & 1]
"""


@pytest.fixture
def fd() -> Iterator[int]:
    """The descriptor of a new page."""
    made = page.create()
    yield made
    os.close(made)


@pytest.fixture
def board(fd: int) -> Iterator[Board]:
    """A new page, mapped."""
    mapped = Board(fd)
    yield mapped
    mapped.close()


@given(st.integers(0, 255), st.integers(0, 2**24 - 1), st.integers(0, 2**32 - 1))
def test_a_word_is_what_went_into_it(state: int, run: int, seq: int) -> None:
    """Packed and taken apart again, in 64 bits."""
    word = page.pack_word(state, run, seq)

    assert word < 2**64
    assert page.unpack_word(word) == (state, run, seq)


def test_the_layout_is_the_documented_one(fd: int, board: Board) -> None:
    """Whoever wrote the other side by hand must find things where the module says."""
    board.words[page.STATE] = page.pack_word(3, 2, 1)
    board.words[page.SEEN] = 7
    board.words[page.BEATS] = 9
    board.write_record(1.5, None, "text")
    board.write_unit("images")

    raw = os.pread(fd, page.SIZE, 0)

    assert raw[:8] == b"STATUSD1"
    assert struct.unpack_from("=QQQ", raw, 8) == (page.pack_word(3, 2, 1), 7, 9)
    assert raw[page.STATE_BYTE] == 3
    assert struct.unpack_from("=d", raw, 40)[0] == 1.5
    assert raw[60:64] == b"text"
    assert struct.unpack_from("=I6s", raw, 1036) == (6, b"images")


@pytest.mark.parametrize(
    ("step", "total", "text"),
    [(1, 10, "a"), (0.5, None, ""), (None, None, "only text"), (3, 0, "é")],
)
def test_a_record_is_read_as_it_was_written(
    board: Board, fd: int, step: float | None, total: float | None, text: str
) -> None:
    """Also through another mapping of the page."""
    other = Board(fd)

    board.write_record(step, total, text)

    assert other.read_record() == page.Record(step, total, text)
    other.close()


def test_nothing_said_is_none(board: Board) -> None:
    """A new page has no record."""
    assert board.read_record() is None


def test_a_long_text_is_cut_between_characters(board: Board) -> None:
    """At most 900 bytes, and still UTF-8."""
    board.write_record(1, 2, "é" * 1000)

    record = board.read_record()

    assert record is not None
    assert record.text == "é" * 450


@pytest.mark.fault("W05")
@pytest.mark.parametrize("offset", [32, 36, 41, 50, 57, 61])
def test_a_half_written_record_is_not_believed(fd: int, board: Board, offset: int) -> None:
    """A writer that was killed in the middle leaves an odd counter or a wrong sum."""
    board.write_record(1, 2, "whole")
    byte = os.pread(fd, 1, offset)[0]

    os.pwrite(fd, bytes([byte ^ 1]), offset)

    assert board.read_record() is None


@pytest.mark.fault("W05")
def test_a_reader_never_sees_a_torn_word(fd: int, board: Board) -> None:
    """One process writes two words in turn, the other sees no third one."""
    whole = {0, page.pack_word(1, 1, 1), page.pack_word(250, 0xFFFFFF, 0xFFFFFFFF)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(fd)], pass_fds=(fd,), stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()

        seen = {board.words[page.STATE] for _ in range(400_000)}

        assert writer.wait(30) == 0
    assert seen <= whole
    assert len(seen) > 1
