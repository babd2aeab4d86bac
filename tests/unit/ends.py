"""The daemon's end of a worker, for tests of the worker's side: a real page and real pipes."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import Any

from statusd.core.lifecycle import BUILT_IN
from statusd.worker import board as page
from statusd.worker import notes
from statusd.worker.api import Worker
from statusd.worker.board import Board

NAMES = [state.name for state in BUILT_IN.members()]
PARTS = "".join(BUILT_IN.parts[state].value for state in BUILT_IN.members())


class Daemon:
    """The other side of the page and the pipes; ``os.getppid()`` stands for its pid."""

    def __init__(self, stack: ExitStack) -> None:
        fd = page.create()
        self.board = Board(fd)
        worker_board = Board(fd)
        stack.callback(os.close, fd)
        down_read, self.down = os.pipe()
        self.up, up_write = os.pipe()
        for end in (self.down, self.up, up_write):
            os.set_blocking(end, False)
        self.seq = 0
        self.show("INIT", wake=False)
        self.worker = Worker(
            worker_board, down_read, up_write, states=NAMES, parts=PARTS, daemon_pid=os.getppid()
        )
        self.ends = down_read, up_write
        for end in (down_read, self.up, up_write):
            stack.callback(os.close, end)
        stack.callback(self.gone)
        self._lines = notes.Lines(self.up)

    def show(self, state: str, *, wake: bool = True, args: dict[str, Any] | None = None) -> None:
        """Put a state on the board, as the daemon does."""
        self.seq += 1
        if args is not None:
            os.write(self.down, json.dumps(args).encode() + b"\n")
        self.board.words[page.STATE] = page.pack_word(NAMES.index(state), 1, self.seq)
        if wake:
            os.write(self.down, notes.WAKE)

    def gone(self) -> None:
        """Close our end of the pipe, as a dead daemon's kernel does."""
        if self.down != -1:
            os.close(self.down)
            self.down = -1

    def seen(self) -> str:
        """Return the state that the worker took in last."""
        number: int = page.unpack_word(self.board.words[page.SEEN]).state
        return NAMES[number]

    def notes(self) -> list[bytes]:
        """Return the notes that have come."""
        try:
            return self._lines.read() or []
        except BlockingIOError:
            return []
