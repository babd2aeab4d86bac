"""The way of one ``pause`` through the service's files: ``python -m tests.tools.walk``.

A real daemon in this process, with a real broker and a real worker, which is in the middle of a
step. What is traced is the one call by which the event loop hands over the bytes with the message,
from its entry to its return; then what that call has left for the loop to do next. The way is
printed on standard output; standard error has the daemon's log.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import redis

import statusd
from statusd import logs
from statusd.daemon import wiring
from statusd.settings.load import load
from tests.tools.broker import Broker, available_brokers
from tests.tools.journal import Journal
from tests.tools.toml import to_toml
from tests.tools.waiting import wait_until

SERVICE = f"{Path(statusd.__file__).parent}{os.sep}"
ROOT = Path(__file__).parents[2]
CHANNEL = "walk-control"
ROUNDS = 8
"""So many times it is traced."""
COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>")
"""No calls since Python 3.12."""
REST_S = 0.15
"""A daemon that has done nothing for so long has nothing left to do of what was before."""
LATER_S = 0.03
"""What a call puts off is done within this time: what it leaves to the loop, and to a timer."""
ENTRY = "buffer_updated"
"""What `asyncio.BufferedProtocol` calls the method that takes what has arrived."""


@dataclass(frozen=True, slots=True)
class Call:
    """One function that was entered.

    Args:
        file: where it stands, below ``service/statusd``.
        function: its name; a generator is entered each time that it is resumed.
        depth: so many calls are open, this one included.
        visit: the number of the stay in that file; a return to the file goes on with it.
        files: so many stays in files are open, this one included.
    """

    file: str
    function: str
    depth: int
    visit: int
    files: int


@dataclass(slots=True)
class Way:
    """The calls of one trace, in order, and what they have brought about.

    Args:
        moves: so often a call or a return has crossed from one file to another; what was put off is
            called from the loop, which is one, and so is its return.
        written: what was handed to the transports of connections meanwhile.
        told: the files that have written into a descriptor.
    """

    calls: list[Call] = field(default_factory=list)
    moves: int = 0
    written: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """The files that were entered, in the order of that."""
        return list(dict.fromkeys(call.file for call in self.calls))

    @property
    def depth(self) -> int:
        """So many calls were open at most."""
        return max((call.depth for call in self.calls), default=0)

    def figures(self) -> str:
        """Return all of it in one line."""
        calls, files = len(self.calls), len(self.files)
        return f"{calls} calls, {files} files, {self.moves} moves, depth {self.depth}"

    def text(self) -> str:
        """Return the way, a line for each change of the file, indented by the files on the way."""
        lines = []
        for (_, files, file), calls in groupby(self.calls, lambda c: (c.visit, c.files, c.file)):
            names = [(name, len(list(same))) for name, same in groupby(c.function for c in calls)]
            told = ", ".join(name if n == 1 else f"{n} {name}" for name, n in names)
            lines.append(f"{'  ' * (files - 1)}{file}: {told}")
        return "\n".join(lines)


class Tracer:
    """Follows this thread from the entry that brings a message to what the loop does next.

    Args:
        is_it: tells whether these bytes, which have just arrived, have the message in them.
    """

    def __init__(self, is_it: Callable[[bytes], bool]) -> None:
        self._is_it = is_it
        self._loop = asyncio.get_running_loop()
        self._files: dict[CodeType, str | None] = {}
        self._entry: FrameType | None = None
        self._open: list[tuple[FrameType, Call]] = []
        self._visits = 0
        self._last = time.monotonic()
        self.walk, self.rest = Way(), Way()
        self._way: Way | None = None
        self.done: asyncio.Future[None] = self._loop.create_future()

    def start(self) -> None:
        """Look out for the message, in the thread that calls this."""
        sys.setprofile(self._follow)

    def stop(self) -> None:
        """Trace nothing any more."""
        sys.setprofile(None)
        self._way = None
        if not self.done.done():
            self.done.set_result(None)

    def is_at_rest(self) -> bool:
        """Tell whether the service has done nothing for a while."""
        return time.monotonic() - self._last > REST_S

    def _follow(self, frame: FrameType, event: str, what: Any) -> None:
        file = self._file(frame.f_code)
        if file is not None:
            self._last = time.monotonic()
            if event == "call":
                self._enter(frame, file)
            elif event == "return":
                self._leave(frame)
            elif event == "c_call" and self._way is not None and what is os.write:
                self._way.told.append(file)
        elif event == "call" and self._way is not None and frame.f_code.co_name == "write":
            data = frame.f_locals.get("data")
            if isinstance(data, bytes | bytearray | memoryview):
                self._way.written.append(bytes(data).decode(errors="replace"))

    def _file(self, code: CodeType) -> str | None:
        """Return which file of the service ``code`` stands in; None if it is somebody else's."""
        if code not in self._files:
            is_ours = code.co_filename.startswith(SERVICE) and code.co_name not in COMPREHENSIONS
            self._files[code] = code.co_filename.removeprefix(SERVICE) if is_ours else None
        return self._files[code]

    def _enter(self, frame: FrameType, file: str) -> None:
        if self._way is None and self._brings_it(frame):
            self._entry, self._way = frame, self.walk
        if self._way is None:
            return
        above = self._open[-1][1] if self._open else None
        is_move = above is None or above.file != file
        self._visits += is_move
        self._way.moves += is_move and frame is not self._entry
        call = Call(
            file,
            frame.f_code.co_name,
            len(self._open) + 1,
            self._visits if above is None or is_move else above.visit,
            (0 if above is None else above.files) + is_move,
        )
        self._way.calls.append(call)
        self._open.append((frame, call))

    def _brings_it(self, frame: FrameType) -> bool:
        if self._entry is not None or frame.f_code.co_name != ENTRY:
            return False
        protocol, count = frame.f_locals["self"], frame.f_locals["nbytes"]
        return self._is_it(bytes(protocol.get_buffer(-1)[:count]))

    def _leave(self, frame: FrameType) -> None:
        if self._way is None or not self._open or self._open[-1][0] is not frame:
            return
        left = self._open.pop()[1]
        above = self._open[-1][1].file if self._open else None
        self._way.moves += frame is not self._entry and above != left.file
        if frame is self._entry:
            self._way = self.rest
            self._loop.call_later(LATER_S, self.stop)  # behind whatever it has left to be done


def trace(*, with_id: bool = False) -> tuple[Way, Way]:
    """Return the way of a ``pause``, sent while the worker works, and of what was put off by it.

    It is the shortest of some: the first one finds nothing remembered, and one that has to wait for
    a processor meets timers that are due.

    Args:
        with_id: send it as JSON, with an id, instead of the bare word.

    Raises:
        AssertionError: the unit didn't get so far, or the message was not heard; says which.
    """
    with tempfile.TemporaryDirectory() as folder, Broker(available_brokers()["valkey"]) as broker:
        try:
            return asyncio.run(_trace(broker, Path(folder), with_id=with_id))
        finally:
            gc.unfreeze()  # as a daemon begins, it takes all that there is for its own


async def _trace(broker: Broker, folder: Path, *, with_id: bool) -> tuple[Way, Way]:
    file = folder / "statusd.toml"
    file.write_text(to_toml(_toml(broker.url, folder)), encoding="utf-8")
    loaded = load(file)
    logs.configure("json", "info")
    daemon = wiring.build(loaded, file, lambda: load(file))
    with Journal(broker.client()) as journal:
        unit = _Unit(broker.client(), folder, journal)
        life = asyncio.create_task(daemon.live(lambda signalled: None))
        try:
            await unit.is_up()
            ways = [await unit.pause(with_id=with_id) for _ in range(ROUNDS)]
        finally:
            unit.release.touch()
            broker.client().publish(CHANNEL, "END")
            async with asyncio.timeout(15):
                await life
    walks, rests = zip(*ways, strict=True)
    return min(walks, key=_moves), min(rests, key=_moves)


def _moves(way: Way) -> int:
    return way.moves


def _toml(url: str, folder: Path) -> dict[str, Any]:
    """Return the settings of a unit that runs at once; its worker sees nothing until released."""
    return {
        "name": "walk",
        "goal": "RUNNING",
        "state_directory": str(folder / "state"),
        "redis": {"url": url},
        "control": {"channels": [CHANNEL]},
        "worker": {
            "function": "tests.workers:slow_to_pause",
            "directory": str(folder),
            "environment": {"PYTHONPATH": str(ROOT)},
        },
    }


class _Unit:
    """The daemon, seen from outside."""

    def __init__(self, client: redis.Redis, folder: Path, journal: Journal) -> None:
        self.working, self.release = folder / "working", folder / "release"
        self._client, self._journal = client, journal
        self._sent = 0

    async def is_up(self) -> None:
        """Wait until it hears, and its worker is in its step."""
        await _until(self.working.exists, "the worker to be in its step")
        await _until(lambda: self._client.publish(CHANNEL, "status"), "the unit to be subscribed")
        await _until(self._journal.finals, "the unit to answer")

    async def pause(self, *, with_id: bool) -> tuple[Way, Way]:
        """Return the way of a ``pause`` and of what was put off; it works again then."""
        self._sent += 1
        id_ = f"walk-{self._sent}"
        message = json.dumps({"command": "pause", "id": id_}) if with_id else "pause"
        ways = await self._follow(message)
        self.release.touch()
        await _until(lambda: self._is_done("pause"), "the worker to be paused")
        self.working.unlink()
        self.release.unlink()
        self._client.publish(CHANNEL, "resume")
        await _until(lambda: self._is_done("resume"), "the worker to be resumed")
        await _until(self.working.exists, "the worker to be in its step again")
        return ways

    async def _follow(self, message: str) -> tuple[Way, Way]:
        tracer = Tracer(lambda came: CHANNEL.encode() in came and message.encode() in came)
        tracer.start()
        try:
            await _until(tracer.is_at_rest, "the daemon to be at rest")
            assert self._client.publish(CHANNEL, message) == 1
            async with asyncio.timeout(10):
                await tracer.done
        finally:
            tracer.stop()
        return tracer.walk, tracer.rest

    def _is_done(self, command: str) -> bool:
        finals = [final for final in self._journal.finals() if final["command"] == command]
        return len(finals) == self._sent and finals[-1]["verdict"] == "done"


async def _until(predicate: Callable[[], object], what: str) -> None:
    """Wait in a thread, for it is the daemon's loop that has to go on."""
    await asyncio.to_thread(partial(wait_until, predicate, 15, what))


def main(*arguments: str) -> None:
    """Print the way of the bare word; ``--id`` sends it with one, ``--json`` prints all of it."""
    walk, rest = trace(with_id="--id" in arguments)
    if "--json" in arguments:
        print(json.dumps({"walk": asdict(walk), "rest": asdict(rest)}))
        return
    print(walk.text(), walk.figures(), sep="\n\n")
    print("put off:", rest.figures() if rest.calls else "nothing")
    if rest.calls:
        print("", rest.text(), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
