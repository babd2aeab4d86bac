"""The two pipes: lines that wake, and the few things that don't fit on the board.

Down (daemon to worker): an empty line wakes; a line with a JSON object brings new ``args``. Up
(worker to daemon): one JSON object a line, at most 4 KiB, so that a write is whole or not at all
(PIPE_BUF, pipe(7)). Nobody ever waits for the other side to read.
"""

from __future__ import annotations

import os

# What `json` is made of: importing it, and `re` with it, would cost the user's process six
# milliseconds, and what is called so in the user's folders may be something else.
from _json import encode_basestring as quoted
from _json import make_scanner

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from typing import Any

MAX_LINE = 4096
"""The longest note in bytes, its newline included (PIPE_BUF)."""
MAX_REASON, MAX_TRIGGER = 500, 64
"""The longest texts in a note, in characters: all of them escaped, they fit into a line."""
WAKE = b"\n"
SEEN = b'{"note":"seen"}\n'
"""The worker has taken in what stands on the board."""
READY = b'{"note":"ready"}\n'
RETURNED = b'{"note":"returned"}\n'
"""The function has returned; what follows is the end of its process."""


def text_of(value: object) -> str:
    """Return ``value`` as text, whatever it is; never raises."""
    try:
        return str(value)
    except Exception:  # the user's own type decides what
        return f"<unprintable {type(value).__name__}>"


def encode(note: str, **texts: object) -> bytes:
    """Return a note as a line, with ``texts`` cut to what fits."""
    told = {
        key: text_of(value)[: MAX_TRIGGER if key == "trigger" else MAX_REASON]
        for key, value in texts.items()
    }
    pairs = ({"note": note, **told}).items()
    line = ", ".join(f"{quoted(key)}: {quoted(value)}" for key, value in pairs)
    return f"{{{line}}}\n".encode("utf-8", "replace")  # half of a surrogate pair is no character


class _Plain:
    """How a JSON text is read, as `json.loads` has it."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_int = int
    parse_float = parse_constant = float


_scan: Any = make_scanner(_Plain)  # type: ignore[arg-type]  # what it wants are these names


def decode(line: bytes) -> Any:
    """Return what a line of JSON says that the daemon has written."""
    return _scan(line.decode(), 0)[0]


def last_line(error: BaseException) -> str:
    """Return the last line of the traceback of ``error``, at most 500 characters.

    Of a group it says what its first exception is, too: that is what somebody has to mend.
    """
    said = [_said(error)]
    inner = getattr(error, "exceptions", None)
    while isinstance(inner, tuple) and inner and isinstance(inner[0], BaseException):
        said.append(_said(inner[0]))
        inner = getattr(inner[0], "exceptions", None)
    return ": ".join(said)[:MAX_REASON]


def _said(error: BaseException) -> str:
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    text = text_of(error)
    said = f"{module}{kind.__qualname__}: {text}" if text else f"{module}{kind.__qualname__}"
    return " ".join(said.split())


class Lines:
    """Cuts what comes out of a pipe into whole lines.

    Args:
        fd: the reading end.
        most: a line longer than this (bytes) is dropped.
        at_once: so many bytes are read at a time.
    """

    def __init__(self, fd: int, most: int = 4 * MAX_LINE, at_once: int = 65536) -> None:
        self._fd = fd
        self._at_once = at_once
        self._most = most
        self._rest = b""

    def read(self) -> list[bytes] | None:
        """Read once and return the whole lines; None at the end of file.

        Blocks only if the descriptor does.

        Raises:
            BlockingIOError: nothing is there, and the descriptor doesn't block.
        """
        data = os.read(self._fd, self._at_once)
        if not data:
            return None
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest if len(rest) <= self._most else b""
        return lines


def send(fd: int, line: bytes) -> bool:
    """Write ``line`` if there is room and a reader; tell whether it was written.

    Args:
        fd: the writing end, non-blocking; -1 if there is none any more.
        line: with its newline, at most `MAX_LINE` bytes.
    """
    if fd == -1:
        return False
    try:
        os.write(fd, line)
    except OSError:  # no room, no reader, or another thread has just closed it
        return False
    return True
