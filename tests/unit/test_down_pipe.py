"""What is written down to a function: the newest, and never by waiting."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine

from statusd.supervision.down_pipe import DownPipe


class Worker:
    """The worker's end of a pipe, and ours."""

    def __init__(self) -> None:
        self.fd, self._ours = os.pipe()
        for fd in (self.fd, self._ours):
            os.set_blocking(fd, False)
        self.pipe = DownPipe(self._ours, asyncio.get_running_loop())

    def fill(self) -> None:
        """Leave no room in the pipe."""
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self._ours, b"\n" * 4096)

    def read(self) -> bytes:
        """Return all that is there."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.fd, 65536):
                data += chunk
        return data

    def leave(self) -> None:
        """Close the worker's end."""
        os.close(self.fd)
        self.fd = -1

    def close(self) -> None:
        """Give everything back."""
        self.pipe.close()
        for fd in {self.fd, self._ours} - {-1}:
            os.close(fd)


async def turn() -> None:
    """Let the loop look at its descriptors, and call whom it has found room for."""
    for _ in range(2):
        await asyncio.sleep(0)


def with_worker(test: Callable[[Worker], Coroutine[None, None, None]]) -> None:
    """Run a test on a loop, which waits for room."""

    async def live() -> None:
        with contextlib.closing(Worker()) as worker:
            await test(worker)

    asyncio.run(live())


def test_args_come_before_the_wake_up() -> None:
    """The worker has them when it looks at its page."""

    async def story(worker: Worker) -> None:
        worker.pipe.send_args({"run": 3})
        worker.pipe.wake()

        assert worker.read() == b'{"run": 3}\n\n'

    with_worker(story)


def test_a_worker_that_reads_late_finds_the_newest_args() -> None:
    """Beside those that were to be written first there is one line for all that had no room."""

    async def story(worker: Worker) -> None:
        worker.fill()
        for run in range(100):
            worker.pipe.send_args({"run": run})
            worker.pipe.wake()

        assert worker.read().strip() == b""
        await turn()

        assert worker.read() == b'{"run": 0}\n{"run": 99}\n\n'

    with_worker(story)


def test_a_full_pipe_needs_no_more_wake_ups() -> None:
    """It is full of them: none waits for room, and the next one is a new one."""

    async def story(worker: Worker) -> None:
        worker.fill()
        worker.pipe.wake()
        worker.read()
        await turn()
        assert worker.read() == b""

        worker.pipe.wake()

        assert worker.read() == b"\n"

    with_worker(story)


def test_a_worker_that_has_closed_its_end_is_told_nothing() -> None:
    """What is meant for it is dropped, and nothing is raised."""

    async def story(worker: Worker) -> None:
        worker.leave()

        worker.pipe.send_args({"run": 3})
        worker.pipe.wake()
        await turn()

    with_worker(story)
