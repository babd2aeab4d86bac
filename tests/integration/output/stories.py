"""A worker that writes, a reader and a clock: what the tests of output share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

from statusd.scheduler import Attributed, Scheduler
from statusd.supervision.output import Sink
from statusd.supervision.relay import Relay
from tests.tools.waiting import until

RUN = 7

TAG = b"run 7 | "

LATE_S = 2.0
"""A loop that waits for who reads would be later; one that wants for a processor isn't."""


class Reader:
    """A sink into a pipe, and whoever reads that: nobody, until it is asked to."""

    def __init__(self, name: str = "test", *, is_json: bool = False) -> None:
        self.data = bytearray()
        self._ours, self.theirs = os.pipe()
        os.set_blocking(self._ours, False)
        self._loop = asyncio.get_running_loop()
        self._slowly: asyncio.TimerHandle | None = None
        self.sink = Sink(self.theirs, name, is_json=is_json)

    def read(self) -> None:
        """Read whatever comes, from now on."""
        self._loop.add_reader(self._ours, self._take, 65536)

    def read_slowly(self, count: int, every_s: float) -> None:
        """Read ``count`` bytes at a time, from now on."""
        self._take(count)
        self._slowly = self._loop.call_later(every_s, self.read_slowly, count, every_s)

    def _take(self, count: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self.data += os.read(self._ours, count)

    def lines(self) -> list[bytes]:
        """Return the whole lines that came so far."""
        return bytes(self.data).split(b"\n")[:-1]

    def hang_up(self) -> None:
        """Close the reading end; a second call does nothing."""
        if self._slowly is not None:
            self._slowly.cancel()
        if self._ours != -1:
            self._loop.remove_reader(self._ours)
            os.close(self._ours)
            self._ours = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up, which lets a writing thread go, and close the rest."""
        self.hang_up()
        self.sink.close(5.0)
        os.close(self.theirs)


class Clock:
    """Ticks every 10 ms on the loop, notes how late it was at worst, and what it is to look at."""

    def __init__(self, look: Callable[[], int] = lambda: 0) -> None:
        self.worst_s = 0.0
        self.most = 0
        self.ticks = 0
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._set()

    def _set(self) -> None:
        self._due = self._loop.time() + 0.01
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self.ticks += 1
        self.worst_s = max(self.worst_s, self._loop.time() - self._due)
        self.most = max(self.most, self._look())
        self._set()

    def stop(self) -> None:
        """Tick no more."""
        self._handle.cancel()


async def fill(sink: Sink) -> None:
    """Offer lines until there is no room, and no more is written: nobody reads."""
    assert sink.offer(b"first\n" * 100_000)
    await until(lambda: sink.written >= 65000, "a full pipe")
    while sink.offer(b"x\n"):
        pass


class Timed(Attributed):
    """The loop, and the timers that a relay has set."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop(), failed=self.raised)
        self._timers: list[asyncio.TimerHandle] = []

    def raised(self, error: Exception) -> None:
        """Raise what a callback has raised."""
        raise error

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call ``callback`` at ``when``, and keep that in mind."""
        self._timers.append(super().call_at(when, callback, *args))
        return self._timers[-1]

    def is_idle(self) -> bool:
        """Return whether none of them is still to come."""
        return all(timer.cancelled() or timer.when() < self.time() for timer in self._timers)


@contextlib.asynccontextmanager
async def worker(
    out: Sink, err: Sink, *command: str, loop: Scheduler | None = None
) -> AsyncIterator[tuple[Relay, subprocess.Popen[bytes]]]:
    """Run a shell script with its output relayed; kill what is left of it in the end."""
    relay = Relay(RUN, out, err, loop or asyncio.get_running_loop())
    stdout, stderr = relay.pipes()
    with subprocess.Popen(
        ["sh", "-c", *command],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    ) as child:
        relay.started()
        try:
            yield relay, child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            relay.close()


async def ended(child: subprocess.Popen[bytes]) -> None:
    """Wait until the worker has exited."""
    await until(lambda: child.poll() is not None, "the worker to exit")


def play(story: Callable[[], Awaitable[None]]) -> None:
    """Run a story on a loop of its own; it leaves no descriptor behind."""

    async def live() -> None:
        before = descriptors()
        await story()
        assert descriptors() == before

    asyncio.run(live())


def descriptors() -> int:
    """Return how many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def python(code: str) -> tuple[str, str, str]:
    """Return the command of a worker in Python."""
    return 'exec "$0" -c "$1"', sys.executable, code
