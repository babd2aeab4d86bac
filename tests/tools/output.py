"""What a program prints into a file, read as it grows."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path

OUTPUT = "worker.output"
"""The event of a line that isn't the daemon's, but its worker's."""
_WORKERS = re.compile(rf'^{{"event": "{OUTPUT}", .*}}$', re.MULTILINE)


def as_read(text: str) -> str:
    """Return what a daemon has printed with its worker's lines as ``run 3 | ...``, not as JSON."""

    def told(found: re.Match[str]) -> str:
        line = json.loads(found[0])
        return f"run {line['run']} | {line['line']}"

    return _WORKERS.sub(told, text)


class Output:
    """A new file ``<name>-<n>.log`` in ``directory``, for a program to write."""

    def __init__(self, directory: Path, name: str) -> None:
        paths = (directory / f"{name}-{n}.log" for n in itertools.count(1))
        self.path = next(path for path in paths if not path.exists())
        self._read = 0

    def new_lines(self) -> list[bytes]:
        """Return the whole lines that came since the last call."""
        if os.path.getsize(self.path) == self._read:
            return []
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._read += end
        return data[:end].splitlines()

    def text(self) -> str:
        """Return everything."""
        return self.path.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines: int) -> str:
        """Return its last lines under a heading, to be put behind a message; empty if it is."""
        last = self.text().splitlines()[-lines:]
        return "\n".join(["", f"--- the end of {self.path.name} ---", *last]) if last else ""
