"""What readers of a unit's output are sent, as text; and how much of it a second.

Pure: no clock, no socket. Rule of this file: each line is encoded once, and then only counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statusd.core.messages import to_json
from statusd.core.times import rfc3339
from statusd.supervision.ring import Line, Ring

LINES_A_SECOND, BYTES_A_SECOND = 200, 64 * 1024
"""What of a unit is sent to those who follow the same of it, however many; bytes as JSON."""
MOST_BYTES = 48 * 1024
"""So long are the lines of one message together, but for one that is longer alone."""
STANDING_BYTES = 1024
"""So much is shown of what stands without its end."""


class Budget:
    """How much may be sent: at most so much a second, and no more is saved up.

    Args:
        now: the time, in seconds.
    """

    def __init__(self, now: float) -> None:
        self._lines, self._bytes = float(LINES_A_SECOND), float(BYTES_A_SECOND)
        self._now = now

    def refill(self, now: float) -> None:
        """Take what the time has brought."""
        passed_s, self._now = now - self._now, now
        self._lines = min(LINES_A_SECOND, self._lines + passed_s * LINES_A_SECOND)
        self._bytes = min(BYTES_A_SECOND, self._bytes + passed_s * BYTES_A_SECOND)

    def spend(self, texts: Sequence[str]) -> int:
        """Return how many of the first of these may be sent now; they are taken off it."""
        count = 0
        for text in texts:
            if self._lines < 1 or self._bytes < len(text):
                break
            self._lines -= 1
            self._bytes -= len(text)
            count += 1
        return count


def encoded(line: Line) -> str:
    """Return a line as JSON."""
    told: dict[str, Any] = {
        "at": rfc3339(line.at),
        "run": line.run,
        "stream": line.stream,
        "line": line.text.decode("utf-8", "backslashreplace"),
    }
    return to_json(told | ({"cut": line.cut} if line.cut else {}))


def standing(ring: Ring, stream: str) -> dict[str, Any] | None:
    """Return what stands without its end, if anything does."""
    line = ring.standing(stream)
    if line is None:
        return None
    text = line.text[:STANDING_BYTES].decode("utf-8", "backslashreplace")
    return {"run": line.run, "stream": line.stream, "line": text}


def message(head: dict[str, Any], texts: Sequence[str] = ()) -> str:
    """Return a message, with lines that are JSON already."""
    return f'{to_json(head)[:-1]},"lines":[{",".join(texts)}]}}'


def newest(texts: Sequence[str], most: int) -> list[str]:
    """Return the last of them that together are no longer than that; one, if there is one."""
    size, at = 0, len(texts)
    while at and (at == len(texts) or size + len(texts[at - 1]) <= most):
        at -= 1
        size += len(texts[at])
    return list(texts[at:])


def batches(texts: Sequence[str]) -> list[list[str]]:
    """Cut them into messages; one without any line, if there is none."""
    found: list[list[str]] = [[]]
    size = 0
    for text in texts:
        if found[-1] and size + len(text) > MOST_BYTES:
            found.append([])
            size = 0
        found[-1].append(text)
        size += len(text)
    return found
