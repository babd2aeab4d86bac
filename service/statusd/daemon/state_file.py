"""What must survive a daemon, in one file that is always whole.

Written beside and renamed over the old one (rename(2) is atomic), synced to the disk in a thread so
that the loop never waits for it, and never more often than the disk can take.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from statusd.core.errors import StatusdError, Unavailable
from statusd.core.messages import Command
from statusd.core.outbox import Line
from statusd.core.place import Place
from statusd.core.unit import Deaf, Memory

FORMAT = 1
PAUSE_S = 0.05
"""The shortest time between two writes, in seconds."""
CLOSE_S = 1.0
"""So long the last write may take, in seconds."""


class StateFile:
    """The state file of one unit on this machine, and the lock that makes it ours alone.

    Args:
        directory: made if it is missing, for this user only.
        name: the unit's name.

    Raises:
        Unavailable: the directory can't be used, or another daemon has this name here.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.json"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            hint = "set state_directory, or STATUSD_STATE_DIRECTORY"
            raise Unavailable(f"state directory {directory}: {error.strerror}; {hint}") from None
        self._take_lock(name)
        self._next: tuple[Memory, int] | None = None
        self._saved = 0
        self._closing = False
        self._hurry = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self.trouble = ""
        self.written: Callable[[int], None] = lambda _: None
        """Called on the loop after each write, also one that failed, with the number of the newest
        `save` that is done."""
        self._on_disk: frozenset[str] = frozenset()
        self._in_hand: frozenset[str] = frozenset()

    def _take_lock(self, name: str) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip()
            os.close(self._lock)
            text = f"a unit named {name!r} runs here already (pid {pid or 'unknown'})"
            raise Unavailable(f"{text}: end it first, or give this one another name") from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def load(self) -> tuple[Memory, int]:
        """Return what the last daemon left, and its boot; nothing and 0 if there was none.

        Raises:
            Unavailable: the file can't be read or is no state file; it is left as it is.
        """
        try:
            content = json.loads(self.path.read_bytes())
            memory, boot = _memory(content), int(content["boot"])
            self._on_disk = _ids(memory)
            return memory, boot
        except FileNotFoundError:
            return Memory(), 0
        except OSError as error:
            raise Unavailable(f"state file {self.path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError, StatusdError):
            cure = "look at it, then move it away or start with --fresh"
            raise Unavailable(f"state file {self.path} is not valid: {cure}") from None

    def save(self, memory: Memory, boot: int, *, now: bool = False) -> int:
        """Have ``memory`` written soon; only the newest is. Call from the running loop.

        Args:
            now: somebody waits for it; the disk gets no pause.

        Returns:
            The number by which `written` will tell that it is done.
        """
        self._next = memory, boot
        self._saved += 1
        if now:
            self._hurry.set()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_on())
        return self._saved

    def is_open(self, key: str) -> bool:
        """Tell whether a successor would find that command open, as far as we can know."""
        return key in self._on_disk or key in self._in_hand

    async def _write_on(self) -> None:
        while (newest := self._next) is not None:
            self._next, number = None, self._saved
            self._in_hand = _ids(newest[0])
            self._hurry.clear()
            await asyncio.to_thread(self._try_to_write, *newest)
            # If it can't be written, nobody is kept waiting for the disk's sake.
            self._on_disk, self._in_hand = self._in_hand, frozenset()
            self.written(number)
            if not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await self._hurry.wait()

    def _try_to_write(self, memory: Memory, boot: int) -> None:
        try:
            self._write(_encode(memory, boot))
            self.trouble = ""
        except OSError as error:
            self.trouble = f"{self.path}: {error.strerror}"

    def _write(self, content: bytes) -> None:
        beside = self.path.with_suffix(".new")
        with open(beside, "wb", opener=_private) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self.path)

    async def idle(self, timeout_s: float) -> None:
        """Wait until everything is written, but no longer than ``timeout_s`` seconds."""
        self._closing = True
        self._hurry.set()
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=timeout_s)

    async def close(self) -> None:
        """Write what is waiting, then give up the lock; a disk that hangs is not waited for."""
        await self.idle(CLOSE_S)
        os.close(self._lock)


def _ids(memory: Memory) -> frozenset[str]:
    return frozenset(command.key for command in memory.open)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _encode(memory: Memory, boot: int) -> bytes:
    content = {
        "format": FORMAT,
        "boot": boot,
        "goal": memory.goal,
        "args": memory.args,
        "run": memory.run,
        "last_event": memory.last_event,
        "open": [_kept(command) for command in memory.open],
        "unsent": memory.unsent,
        "cursor": {**memory.place.fields, "recent": memory.place.recent},
        "deaf": memory.deaf and memory.deaf._asdict(),
    }
    return json.dumps(content).encode() + b"\n"  # without indent: that is done in C


def _kept(command: Command) -> dict[str, Any]:
    known = asdict(command)
    return {key: known[key] for key in ("word", "source", "id", "by", "reply_to")}


def _line(parts: list[Any]) -> Line:
    if not parts or not all(isinstance(part, str | int) for part in parts):
        raise ValueError("a line is made of texts and numbers")
    return tuple(parts)


def _deaf(kept: dict[str, Any] | None) -> Deaf | None:
    return None if kept is None else Deaf(float(kept["since"]), str(kept["reason"]))


def _memory(content: dict[str, Any]) -> Memory:
    if content["format"] != FORMAT:
        raise ValueError("another format")
    return Memory(
        goal=str(content["goal"]),
        args=dict(content["args"]),
        run=int(content["run"]),
        last_event=str(content["last_event"]),
        open=tuple(Command(**kept) for kept in content["open"]),
        unsent=tuple(_line(line) for line in content.get("unsent", ())),
        place=Place.parse(content.get("cursor")),
        deaf=_deaf(content.get("deaf")),
    )
