"""The daemon's end of board and pipes: who is woken, and when it is seen to have arrived."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from statusd.core import events as ev
from statusd.supervision.function_channel import FunctionChannel
from statusd.supervision.worker_channel import Spec
from statusd.worker.board import SEEN, STATE, Board
from statusd.worker.notes import encode

STATES = ("INIT", "READY", "RUNNING", "PAUSED")


class Worker:
    """A channel, and the worker's ends of what it has made."""

    def __init__(self) -> None:
        self.taken: list[ev.Input] = []
        spec = Spec(STATES, "wwrw", "started", function="a:b", paths=())
        loop = asyncio.get_running_loop()
        self.channel = FunctionChannel(spec, 1, self.taken.append, lambda: None, loop)
        board, self._down, self.up = self.channel.prepare(0, 0, {}).fds
        os.set_blocking(self._down, False)
        self._board = Board(board)

    def wakes(self) -> int:
        """Return how often it was woken since it was asked last."""
        try:
            return os.read(self._down, 100).count(b"\n")
        except BlockingIOError:
            return 0

    def sees(self) -> int:
        """Take in what stands on the board, and return the number of its event."""
        word = self._board.words[SEEN] = self._board.words[STATE]
        return word >> 32

    def close(self) -> None:
        """Give everything back."""
        self._board.close()
        self.channel.close()


@contextmanager
def _worker() -> Iterator[Worker]:
    worker = Worker()
    try:
        yield worker
    finally:
        worker.close()


def with_worker(test: Callable[[Worker], None]) -> None:
    """Run a test on a loop, which a channel listens by."""

    async def live() -> None:
        with _worker() as worker:
            test(worker)

    asyncio.run(live())


def test_of_states_that_come_together_the_first_and_the_last_wake() -> None:
    """The worker is never left asleep before a state that it hasn't seen."""

    def story(worker: Worker) -> None:
        worker.channel.show(2, 1, None)
        assert worker.wakes() == 1
        worker.channel.show(3, 2, None)
        worker.channel.show(2, 3, None)
        assert worker.wakes() == 0

        worker.channel.flush()

        assert (worker.wakes(), worker.sees()) == (1, 3)
        worker.channel.flush()
        assert worker.wakes() == 0

    with_worker(story)


def test_a_worker_that_was_faster_is_seen_at_once() -> None:
    """What it took in meanwhile is told with the rest; later its note says it."""

    def story(worker: Worker) -> None:
        worker.channel.show(2, 1, None)
        worker.sees()

        assert worker.channel.flush() == ev.WorkerAcknowledged(1, 1, 2)
        assert worker.channel.flush() is None
        assert worker.taken == []

    with_worker(story)


@pytest.mark.fault("K08")
def test_of_many_notes_a_few_are_taken_at_a_time() -> None:
    """Others, whose daemon this is too, come between them; at the end none is lost (K08)."""

    def story(worker: Worker) -> None:
        notes = [encode("trigger", trigger="pause", reason=str(number)) for number in range(500)]
        assert os.write(worker.up, b"".join(notes)) == len(b"".join(notes))
        worker.channel.started(os.getpid())

        worker.channel._hear()
        first = len(worker.taken)
        worker.channel.drain()

        assert 1 <= first <= 30
        told = [one for one in worker.taken if isinstance(one, ev.WorkerTriggered)]
        assert [one.reason for one in told] == [str(number) for number in range(500)]

    with_worker(story)
