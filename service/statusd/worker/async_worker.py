"""`AsyncWorker`: what an ``async def`` function is given; a `Worker` that never blocks the loop.

    async def main(worker: AsyncWorker) -> None:
        async for step in worker.while_running():
            await do_one_step(step)
            worker.progress(step + 1, total, "exposing")

Rules of this file: a task goes for a thread (`Worker` has the rules of who has seen what); what is
read from the pipe is read by whoever was woken, without waiting.
"""

from __future__ import annotations

import asyncio
import time
from _thread import get_ident

from statusd.worker.api import Worker
from statusd.worker.board import STATE
from statusd.worker.spectator import give_seat
from statusd.worker.states import Generic, StateT_co
from statusd.worker.waiters import deadline_after

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Callable,
        Coroutine,
        Iterable,
        Iterator,
        Mapping,
    )
    from typing import Any

    from statusd.worker.api import Scalar
    from statusd.worker.descriptor import Descriptor
    from statusd.worker.track import AsyncTrack, ItemT


class AsyncWorker(Generic[StateT_co]):
    """One run's connection to its daemon, for asyncio.

    A function that is ``async def`` is given one. A program that is attached makes its own:
    ``AsyncWorker(statusd.attach(...))``.

    At END, tasks that are in `while_running` or `wait` are told so there, after their step. A
    function none of whose tasks is in one of these is cancelled at once.

    Args:
        worker: the worker to wait for; used by one event loop at a time.
    """

    def __init__(self, worker: Worker[StateT_co]) -> None:
        self._worker = worker
        self._asleep: set[asyncio.Future[None]] = set()
        self._heard: Descriptor | None = None
        self.states = worker.states
        worker._who = _who

    def __repr__(self) -> str:
        return f"<AsyncWorker of {self._worker!r}>"

    def __reduce__(self) -> Any:
        """Be a `Worker` that looks on in another process: a loop is never in two."""
        return give_seat(self._worker)

    # ---- as for any worker -------------------------------------------------------------------

    @property
    def state(self) -> StateT_co:
        """The state as it is now, a read of memory: see `Worker.state`."""
        return self._worker.state

    @property
    def connected(self) -> bool:
        """Whether the daemon is still there."""
        return self._worker.connected

    @property
    def args(self) -> Mapping[str, Scalar]:
        """What commands told this worker (``statusd send start --arg run=1234``), flat."""
        return self._worker.args

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the deadline of this job (``worker.deadline``); None if it has none."""
        return self._worker.time_left_s

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors of this process that it must not close."""
        return self._worker.fds

    def ack(self) -> StateT_co:
        """Tell the daemon that the present state is taken in, and return it: see `Worker.ack`."""
        return self._worker.ack()

    def ready(self) -> None:
        """Say that this worker is ready for work (with ``ready = "notified"``)."""
        self._worker.ready()

    def expect(self, seconds: float) -> None:
        """Say that this step may take so long: see `Worker.expect`."""
        self._worker.expect(seconds)

    def progress(
        self, step: float, total: float | None = None, text: str | None = None, unit: str = ""
    ) -> None:
        """Say how far the work is: see `Worker.progress`. It costs two microseconds."""
        self._worker.progress(step, total, text, unit)

    def text(self, text: str) -> None:
        """Say what is being done, in words for a human: see `Worker.text`."""
        self._worker.text(text)

    def trigger(self, trigger: str, reason: str = "") -> bool:
        """Ask for a transition that the lifecycle lets the worker fire: see `Worker.trigger`."""
        return self._worker.trigger(trigger, reason)

    # ---- what waits --------------------------------------------------------------------------

    async def wait(self, timeout_s: float | None = None) -> StateT_co:
        """Acknowledge the state, wait until another one comes, acknowledge and return that.

        A state that came since this task saw one is returned at once. Any number of tasks may
        wait: all are told of each state, and it is acknowledged when all have seen it.

        Args:
            timeout_s: the longest wait in seconds; None for ever. After it, the same state is
                returned.

        Raises:
            RuntimeError: this process has closed its `fds`.
        """
        deadline = deadline_after(timeout_s)
        worker, task = self._worker, _who()
        worker._enter(task)
        try:
            seen = worker._last_seen(task)
            while worker._words[STATE] == seen and await self._sleep(deadline):
                pass
            return worker._members[worker._take_in(task) & 0xFF]
        finally:
            worker._exit(task)

    async def while_running(self) -> AsyncIterator[int]:
        """Yield 0, 1, 2 ... while the state asks for work; the loop to do the work in.

        As `Worker.while_running`: it waits while the state asks to wait, stops when it asks to
        leave, or when the daemon is gone; each turn acknowledges the state and is a sign of life.
        Other tasks have their turn at each, also if the step itself awaits nothing.

        Raises:
            RuntimeError: this process has closed its `fds`.
        """
        worker, task, seen, step = self._worker, _who(), None, 0
        worker._enter(task)
        try:
            while True:
                await asyncio.sleep(0)
                worker._check_daemon()
                word = worker._words[STATE]
                if word != seen:
                    word = seen = worker._take_in(task)
                number = word & 0xFF
                if worker._known.leaves[number]:
                    return
                if worker._known.works[number]:
                    worker._beat(task)
                    yield step
                    step += 1
                else:
                    await self._sleep(None)
        finally:
            worker._exit(task)

    def track(
        self,
        iterable: Iterable[ItemT] | AsyncIterable[ItemT] | None = None,
        desc: str | None = None,
        total: float | None = None,
        *,
        unit: str = "",
        initial: float = 0,
        steer: bool = True,
        **look: Any,
    ) -> AsyncTrack[ItemT]:
        """Loop over items, by ``async for`` or ``for``, and tell how far that is: `Worker.track`.

        While it waits in PAUSED, a plain ``for`` holds the event loop, and other tasks with it.
        """
        from statusd.worker.track import AsyncTrack

        track = AsyncTrack(
            self._worker, self._turns, iterable, desc, total, unit, initial, steer, look
        )
        track._async_turns = self.while_running
        return track

    # ---- inside ------------------------------------------------------------------------------

    def _turns(self) -> Iterator[int]:
        """Be the loop of a plain ``for``: it reads the pipe itself, and wakes who waits for it."""
        worker, seen = self._worker, None
        try:
            for step in worker.while_running():
                if seen != worker._words[STATE]:
                    seen = worker._words[STATE]
                    self._wake()
                yield step
        finally:
            self._wake()

    async def _sleep(self, deadline: float | None) -> bool:
        """Wait until the daemon wakes us; False at the deadline or when the daemon is gone."""
        worker, now = self._worker, time.monotonic()
        if worker._daemon_pid == -1 or not worker._down.is_ours():
            return worker._sleep(None if deadline is None else now)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asleep.add(woken)
        self._listen()
        try:
            await asyncio.wait((woken,), timeout=None if deadline is None else deadline - now)
        finally:
            self._asleep.discard(woken)
            if not self._asleep:
                self._stop_listening()
        if woken.done():
            worker._sleep(time.monotonic())  # take what has come, if no other task has yet
        return woken.done()

    def _listen(self) -> None:
        """Wait for the pipe, which may be another one than it was (see `Attached`)."""
        if self._heard is not self._worker._down:
            self._stop_listening()
            self._heard = self._worker._down
            asyncio.get_running_loop().add_reader(self._heard.fd, self._wake)

    def _stop_listening(self) -> None:
        if self._heard is not None:
            asyncio.get_running_loop().remove_reader(self._heard.fd)
            self._heard = None

    def _wake(self) -> None:
        """Let every task that sleeps look again; the last one stops listening."""
        for woken in self._asleep:
            if not woken.done():
                woken.set_result(None)

    async def cancel_at_end(self, task: asyncio.Task[Any]) -> None:
        """Wait for END, and cancel ``task`` unless somebody is being told of it."""
        worker = self._worker
        leaves = worker._known.leaves
        try:
            while not leaves[worker._words[STATE] & 0xFF]:
                await self._sleep(None)
        except RuntimeError:  # nobody can steer it any more; whoever waits is told so himself
            return
        is_told = any(leaves[word & 0xFF] for word in (worker._seen, *worker._seen_by.values()))
        if not worker._inside and not is_told:
            task.cancel("END")


def _who() -> int:
    """Return what goes for a thread: the task, or, where there is none, the thread itself."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        task = None
    return get_ident() if task is None else id(task)


def run(
    function: Callable[[AsyncWorker[Any]], Coroutine[Any, Any, object]], worker: Worker[Any]
) -> None:
    """Run ``function`` in an event loop of its own, to its end or END.

    Raises:
        BaseException: whatever it has raised; `asyncio.CancelledError` only if it wasn't for END.
    """
    try:
        asyncio.run(_live(function, AsyncWorker(worker)))
    except asyncio.CancelledError:
        if not worker._known.leaves[worker._words[STATE] & 0xFF]:
            raise


async def _live(
    function: Callable[[AsyncWorker[Any]], Coroutine[Any, Any, object]], worker: AsyncWorker[Any]
) -> None:
    this = asyncio.current_task()
    assert this is not None
    watch = asyncio.create_task(worker.cancel_at_end(this))
    try:
        await function(worker)
    finally:
        watch.cancel()
