"""How a worker's lines look among others: marked with their run, or as JSON like the log's.

Rule of this file: a line stays a line, whatever is in it; it is the way of a flood, so what is the
same for all lines of a batch is made once.
"""

from __future__ import annotations

import time
from json.encoder import encode_basestring_ascii as quoted
from typing import Protocol

from statusd.core.times import rfc3339

READ_BYTES = 65536
"""What a pipe holds as a rule (pipe(7))."""
_PLAIN = bytes(sign for sign in range(0x20, 0x7F) if sign not in b'"\\') + b"\n"
"""What stands in a text of JSON as it is: a flood of that needs no look at each line."""


class Label(Protocol):
    """Makes lines of one stream of one run known as such."""

    read_bytes: int
    """So many bytes are labelled at a time, whatever their lines are: what comes of them fits into
    what may wait for a reader (`output.MAX_WAITING`)."""

    def put_on(self, whole: bytes) -> bytes:
        """Return whole lines as they are passed on: as many, each with its newline."""

    def regret(self, count: int) -> bytes:
        """Return the line that tells of so many lines that were dropped."""


class Tag:
    """Before each line stands its run: ``run 3 | ...``; the rest of it is as it was, bytes and all.

    Of many units, the line begins with the one that it is of: ``camera run 3 | ...``.

    Args:
        run: the generation; unit: whose it is; empty if there is no other.
    """

    read_bytes = READ_BYTES

    def __init__(self, run: int, unit: str = "") -> None:
        self._tag = f"{unit} run {run} | ".lstrip().encode()

    def put_on(self, whole: bytes) -> bytes:
        """Return whole lines, tagged."""
        return self._tag + whole[:-1].replace(b"\n", b"\n" + self._tag) + b"\n"

    def regret(self, count: int) -> bytes:
        """Return a line about so many that were dropped."""
        return self._tag + b"statusd: %d lines of output were dropped\n" % count


class JsonLabel:
    r"""Each line is the text of an object: ``{"event": "worker.output", ..., "line": "..."}``.

    Bytes that are no UTF-8 stand in it as ``\x80``.

    Args:
        run: the generation; stream: ``stdout`` or ``stderr``.
        unit: whose it is; empty if there is no other.
    """

    read_bytes = 4500  # a newline alone becomes 120 bytes, or 200 with the longest name

    def __init__(self, run: int, stream: str, unit: str = "") -> None:
        named = f'"unit": {quoted(unit)}, ' if unit else ""
        self._whose = f'{named}"run": {run}, "stream": "{stream}"'.encode()

    def put_on(self, whole: bytes) -> bytes:
        """Return whole lines, each as an object; ``at`` is when it was read."""
        head = b'{"event": "worker.output", "level": "info", %b, "line": "' % self._whose
        tail = b'", "at": "%b"}\n' % rfc3339(time.time()).encode()
        lines = whole[:-1]
        if lines.translate(None, _PLAIN):
            text = lines.decode("utf-8", "backslashreplace")
            lines = "\n".join([quoted(line)[1:-1] for line in text.split("\n")]).encode("ascii")
        return head + lines.replace(b"\n", tail + head) + tail

    def regret(self, count: int) -> bytes:
        """Return an object that tells of so many lines that were dropped."""
        told = b'{"event": "worker.output_dropped", "level": "warning", %b, ' % self._whose
        at = rfc3339(time.time()).encode()
        return b'%b"lines": %d, "at": "%b"}\n' % (told, count, at)
