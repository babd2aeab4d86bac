"""The board: one page of memory that daemon and worker of one run share.

Truth is here; pipes only wake. One writer per field and no lock, ever: either side may be killed
at any instant, and the other must still read whole values.

    offset  size  writer  content (native byte order, 8-byte aligned)
         0     8  daemon  format: b"STATUSD1"
         8     8  daemon  state word: state 8 bits | run 24 bits | sequence 32 bits
        16     8  worker  the state word that it took in last
        24     8  worker  beats: turns of the work loop
        32   928  worker  record: u32 counter, u32 CRC-32 of what follows, f64 step, f64 total
                          (NaN: not said), u32 length, text in UTF-8
      1024     8  worker  patience: until when a step may last, CLOCK_MONOTONIC in ns; 0: not said
      1032    36  worker  unit: u32 CRC-32 of what follows, u32 length, text in UTF-8: what the
                          steps are, "images"; all zeros: not said, or by an older writer
      1072     8  daemon  deadline of the job, Unix time in ns; 0: none, or by an older writer

What is new stands behind what there was, where older readers never look. The state word
is one 64-bit store; an unaligned or byte-wise one tears. The record is written between an odd and
an even counter, and its CRC tells of a writer that was killed half-way.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections import namedtuple
from math import isfinite
from sys import byteorder
from time import time
from zlib import crc32

from statusd.worker.descriptor import Descriptor

SIZE = 4096
FORMAT = b"STATUSD1"
STATE, SEEN, BEATS, PATIENCE, DEADLINE = 1, 2, 3, 128, 134
"""Where the words are, in units of 8 bytes."""
STATE_BYTE = STATE * 8 + (0 if byteorder == "little" else 7)
"""Where the state itself is, the lowest byte of its word."""
MAX_TEXT = 900
"""The longest text, in bytes of UTF-8; what is longer is cut."""

MAX_UNIT = 28
"""The longest name of what is counted, in bytes of UTF-8."""

MAX_NUMBER = 2.0**53
"""The largest number of a record: up to it each whole one is exact, in JSON's readers as well."""

_RECORD = 32
_HEAD = struct.Struct("=II")
_BODY = struct.Struct("=ddI")
_COUNTER = struct.Struct("=I")
_UNIT = 1032
_NONE = float("nan")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""A page that one process makes shorter is a SIGBUS for every other one that reads it."""

Word = namedtuple("Word", "state run seq")
"""A state word, taken apart: three numbers."""
Record = namedtuple("Record", "step total text unit", defaults=("",))
"""What the worker says of its work; ``step`` and ``total`` are None where it said nothing, and
``unit`` is empty where the steps are just steps."""


def pack_word(state: int, run: int, seq: int) -> int:
    """Return the state word for state number ``state`` (8 bits), ``run`` (24) and ``seq`` (32)."""
    return (seq & 0xFFFFFFFF) << 32 | (run & 0xFFFFFF) << 8 | state & 0xFF


def time_left_s(words: memoryview) -> float | None:
    """Return the seconds until the deadline, 0 when it has passed; None if there is none."""
    at = words[DEADLINE]
    return max(0.0, at / 1e9 - time()) if at else None


def unpack_word(word: int) -> Word:
    """Return the parts of a state word."""
    return Word(word & 0xFF, word >> 8 & 0xFFFFFF, word >> 32)


def create() -> int:
    """Return the descriptor of a new page that has no name and goes with its last user.

    Its length is sealed: nobody who has it can change that any more (fcntl(2)).

    Raises:
        OSError: the system has no memory for it, or no seals (which are as old as memfd_create(2)).
    """
    fd = os.memfd_create("statusd-board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.truncate(fd, SIZE)
        os.pwrite(fd, FORMAT, 0)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_sound(fd: int) -> bool:
    """Tell whether a page that somebody else has made can be mapped: its length is sealed."""
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        return seals & _SEALS == _SEALS and os.fstat(fd).st_size == SIZE
    except OSError:  # no memfd
        return False


class Board:
    """One mapping of the page.

    ``words`` is the page as native 64-bit numbers, ``bytes`` as single ones: no read is faster.

    Args:
        fd: of a file of `SIZE` bytes; the caller may close it afterwards.
        is_written: whoever only looks maps it without the right to write.
    """

    def __init__(self, fd: int, *, is_written: bool = True) -> None:
        self.file = Descriptor(fd)
        """What another process could open it by, as long as it is open here."""
        rights = mmap.PROT_READ | (mmap.PROT_WRITE if is_written else 0)
        self._map = mmap.mmap(fd, SIZE, prot=rights)
        self.bytes = memoryview(self._map)
        self.words = self.bytes.cast("Q")
        self._counter = 0

    def close(self) -> None:
        """Unmap the page."""
        self.words.release()
        self.bytes.release()
        self._map.close()

    def write_record(self, step: float | None, total: float | None, text: str) -> None:
        """Say how far the work is (worker only); one writer at a time."""
        raw = text[:MAX_TEXT].encode("utf-8", "replace")[:MAX_TEXT]
        numbers = _NONE if step is None else step, _NONE if total is None else total
        body = _BODY.pack(*numbers, len(raw)) + raw
        page, start = self._map, _RECORD + _HEAD.size
        self._counter = counter = (self._counter + 2) & 0xFFFFFFFF or 2
        _HEAD.pack_into(page, _RECORD, counter - 1, crc32(body))
        page[start : start + len(body)] = body
        _COUNTER.pack_into(page, _RECORD, counter)

    def write_unit(self, unit: str) -> None:
        """Say what is counted, before the record that counts it (worker only)."""
        raw = unit[:MAX_UNIT].encode("utf-8", "replace")[:MAX_UNIT]
        body = _COUNTER.pack(len(raw)) + raw
        page, start = self._map, _UNIT + _COUNTER.size
        page[start : start + len(body)] = body
        _COUNTER.pack_into(page, _UNIT, crc32(body) if raw else 0)

    def _read_unit(self) -> str:
        """Return what is counted; empty if nobody said so, or if it is half-written."""
        page, start = self._map, _UNIT + _COUNTER.size
        (crc,) = _COUNTER.unpack_from(page, _UNIT)
        (length,) = _COUNTER.unpack_from(page, start)
        body = page[start : start + _COUNTER.size + min(length, MAX_UNIT)]
        if not crc or crc32(body) != crc:
            return ""
        return body[_COUNTER.size :].decode("utf-8", "ignore")

    def read_record(self) -> Record | None:
        """Return what the worker said last; None if nothing, or if it is half-written."""
        page, start = self._map, _RECORD + _HEAD.size
        for _ in range(3):
            counter, crc = _HEAD.unpack_from(page, _RECORD)
            step, total, length = _BODY.unpack_from(page, start)
            if counter == 0:
                return None
            body = page[start : start + _BODY.size + min(length, MAX_TEXT)]
            if (
                counter & 1
                or crc32(body) != crc
                or counter != _COUNTER.unpack_from(page, _RECORD)[0]
            ):
                continue
            # The cut at MAX_TEXT may have gone through a character.
            text = body[_BODY.size :].decode("utf-8", "ignore")
            return Record(in_range(step), in_range(total), text, self._read_unit())
        return None


def in_range(value: float) -> float | None:
    """Return ``value`` as one that can be told: 0 to `MAX_NUMBER`; None for NaN and infinity.

    The page is the user's process': any bits may stand there.
    """
    return min(max(value, 0.0), MAX_NUMBER) if isfinite(value) else None
