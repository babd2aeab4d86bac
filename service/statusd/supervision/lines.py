r"""What a worker prints, cut into lines: at newlines, by carriage returns, and in time.

A progress bar is a line that is written again and again, with ``\r`` before or after each of its
states; of these only the last one matters. Rules of this file: pure, no clock; where there is no
``\r``, no line is looked at by itself; a newline neither loses what stands nor says it twice.
"""

from __future__ import annotations

import re

LONGEST_LINE = 8192
"""A line without an end is passed on in pieces of this length, in bytes."""
MOMENT_S = 0.5
"""What stands without a newline is passed on when nothing has been added to it for so long."""
STANDS_S = 2.0
"""So long it may stand if it keeps growing, as dots do."""
BAR_S = 5.0
"""A bar is shown a moment after it has begun, and then once in this time at most."""
_BLOCK = 4096
"""Programs that collect their output write it in multiples of this, in the middle of a line."""

_CR = b"\r"
_CONTROL = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
"""A terminal's control sequence (ECMA-48): to clear the line, to go up, colours."""


class Lines:
    """Cuts what comes out of one pipe."""

    def __init__(self) -> None:
        self._standing = b""
        self._shown: bytes | None = None
        """What of the present line was passed on already; empty if it was more than its state."""
        self._is_block = False
        self._began = self._grown = 0.0
        self._next_bar = 0.0

    @property
    def stands(self) -> bool:
        """Whether something waits for its newline."""
        return bool(self._standing)

    def take(self, data: bytes, now: float) -> bytes:
        """Return the whole lines that ``data`` completes, each with its newline.

        Args:
            data: what was read.
            now: when, in seconds.
        """
        self._is_block = len(data) % _BLOCK == 0
        end = data.find(b"\n")
        if end == -1:
            return self._stand(data, now)
        cut = data.rfind(b"\n") + 1
        whole = self._finish(data[:end]) + last_states(data[end + 1 : cut])
        return whole + self._stand(data[cut:], now) if cut < len(data) else whole

    def due(self) -> float | None:
        """Return when what stands is to be passed on as it is; None if nothing is to be.

        A block ends wherever it is full: its last line is torn, and waits for the next block.
        """
        state = self._state()
        if self._is_block or state == self._shown or _is_blank(state):
            return None
        if _CR in self._standing:
            return max(self._began + MOMENT_S, self._next_bar)
        return min(self._grown + MOMENT_S, self._began + STANDS_S)

    def overdue(self, now: float) -> bytes:
        """Return what stands as a line of its own; empty if it isn't due. A bar goes on standing.

        Args:
            now: the time, in seconds.
        """
        due, state = self.due(), self._state()
        if due is None or now < due:  # it was set for what stood before, or has grown
            return b""
        if _CR in self._standing:
            self._shown, self._next_bar = state, now + BAR_S
        else:
            self._standing = self._standing[len(state) :]
            self._shown, self._began = b"", now
        return state + b"\n"

    def end(self) -> bytes:
        """Return what stands, as the last line; empty if it was passed on already."""
        return self._finish(b"") if self._standing.rstrip(_CR) else b""

    def _finish(self, piece: bytes) -> bytes:
        r"""Return the line that ``piece`` completes; empty if it says nothing new.

        A bar that was cleared says nothing, nor does the newline behind what was passed on.
        """
        is_bar, state = _taken_apart(self._standing + piece)
        says_nothing = state == self._shown or (is_bar and _is_blank(state))
        self._standing, self._shown, self._next_bar = b"", None, 0.0
        return b"" if says_nothing else state + b"\n"

    def _stand(self, piece: bytes, now: float) -> bytes:
        """Let ``piece`` stand behind what stands already; return what is too long for that."""
        if not self._standing:
            self._began = now
        self._grown = now
        self._standing = squeezed(self._standing + piece)
        whole = []
        while len(self._standing) > LONGEST_LINE:
            line = whole_signs(self._standing[:LONGEST_LINE])
            self._standing = self._standing[len(line) :]
            whole.append(line.strip(_CR) + b"\n")
            self._shown = b""
        return b"".join(whole)

    def _state(self) -> bytes:
        """Return what a terminal would show of what stands; half a character isn't there yet."""
        return whole_signs(self._standing.strip(_CR))


def last_states(whole: bytes) -> bytes:
    r"""Return whole lines without what was replaced in them; ``\r\n`` is a newline."""
    if _CR not in whole:
        return whole
    whole = whole.replace(b"\r\n", b"\n")
    if _CR not in whole:
        return whole
    lines = []
    for line in whole.removesuffix(b"\n").split(b"\n"):
        is_bar, state = _taken_apart(line)
        if not (is_bar and _is_blank(state)):
            lines.append(state + b"\n")
    return b"".join(lines)


def squeezed(line: bytes) -> bytes:
    r"""Return a line that has no end yet without what was replaced in it.

    Of a bar a ``\r`` stays before its state, and another behind it if what comes next replaces it.
    """
    if _CR not in line:
        return line
    is_bar, state = _taken_apart(line)
    before = _CR if is_bar else b""
    return before + state + (_CR if line.endswith(_CR) and state else b"")


def whole_signs(text: bytes) -> bytes:
    """Return ``text`` without the beginning of a UTF-8 character at its end, if one is there."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # it says how many bytes it begins
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return text[:-back] if back < length and byte < 0xF8 else text
    return text


def _taken_apart(line: bytes) -> tuple[bool, bytes]:
    """Return whether a line is a bar's, and its last state."""
    _, replaced, state = line.rstrip(_CR).rpartition(_CR)
    return bool(replaced), state


def _is_blank(state: bytes) -> bool:
    return not state.strip() or (b"\x1b" in state and not _CONTROL.sub(b"", state).strip())
