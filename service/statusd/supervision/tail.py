"""The last that a worker has said, kept while it is relayed: for whoever asks why it died."""

from __future__ import annotations

from statusd.core.text import shown
from statusd.supervision.lines import last_states, squeezed, whole_signs

LINES, WIDTH = 20, 300
"""So many lines are shown, each cut in its middle to so many characters."""
KEPT_BYTES, HEAD_BYTES = 16384, 2048
"""So much is kept, and so much of the beginning of a line that is longer than that."""
_GAP = " … "


class Tail:
    """Keeps the end of one stream; of a progress bar its last state, of a long line both ends."""

    def __init__(self) -> None:
        self._kept = self._standing = b""

    def take(self, data: bytes) -> None:
        """Take what was read."""
        cut = data.rfind(b"\n") + 1
        if cut:
            self._kept = _end_of(self._kept + last_states(self._standing + data[:cut]))
            self._standing = b""
        if cut < len(data):
            self._standing = _end_of(squeezed(self._standing + data[cut:]))

    def lines(self) -> list[str]:
        """Return all that is kept, each line whole but for one that is too long for that."""
        text = self._kept + last_states(self._standing + b"\n" if self._standing else b"")
        return [line.decode("utf-8", "backslashreplace") for line in text.split(b"\n")[:-1]]

    def shown(self) -> tuple[str, ...]:
        """Return the last lines, fit for a human's eyes."""
        return tuple(_shown(line) for line in self.lines()[-LINES:])


def _end_of(text: bytes) -> bytes:
    """Return the last lines of ``text``; the first of them has its beginning."""
    cut = len(text) - KEPT_BYTES
    if cut <= 0:
        return text
    begin = text.rfind(b"\n", 0, cut) + 1
    if cut - begin <= HEAD_BYTES:
        return text[begin:]
    while text[cut] & 0xC0 == 0x80 and cut < len(text) - 1:  # the middle of a character
        cut += 1
    return whole_signs(text[begin : begin + HEAD_BYTES]) + _GAP.encode() + text[cut:]


def _shown(line: str) -> str:
    """Return ``line`` as text that can't do anything to a terminal."""
    if len(line) > WIDTH:
        half = (WIDTH - len(_GAP)) // 2
        line = line[: WIDTH - len(_GAP) - half] + _GAP + line[-half:]
    return "\t".join(shown(part, None) for part in line.split("\t"))
