"""`AsyncWorker`, with the test in the daemon's place: tasks go for threads."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from statusd.worker import async_worker, notes
from statusd.worker import board as page
from statusd.worker.async_worker import AsyncWorker
from statusd.worker.spectator import Spectator
from tests.unit.ends import Daemon

WITHIN_S = 10

pytestmark = pytest.mark.fault("J10")


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon with a worker in INIT."""
    with ExitStack() as stack:
        yield Daemon(stack)


Work = Callable[[AsyncWorker], Coroutine[Any, Any, Any]]


def run(daemon: Daemon, work: Work) -> Any:
    """Return what ``work`` comes to in a loop of its own, within `WITHIN_S` seconds."""

    async def within() -> Any:
        async with asyncio.timeout(WITHIN_S):
            return await work(AsyncWorker(daemon.worker))

    return asyncio.run(within())


async def until(predicate: Callable[[], object]) -> None:
    """Let the other tasks have their turns until something holds."""
    while not predicate():
        await asyncio.sleep(0)


def test_while_running_yields_a_turn_for_each_step(daemon: Daemon) -> None:
    """0, 1, 2 ...; the state is acknowledged once, each turn is a beat; ENDING ends it."""
    daemon.show("RUNNING")

    async def work(worker: AsyncWorker) -> list[int]:
        turns = []
        async for step in worker.while_running():
            turns.append(step)
            if step == 2:
                daemon.show("ENDING")
        return turns

    assert run(daemon, work) == [0, 1, 2]
    assert daemon.board.words[page.BEATS] == 3
    assert daemon.seen() == "ENDING"
    assert daemon.notes() == [notes.SEEN.strip()] * 2


def test_other_tasks_go_on_while_it_is_to_wait(daemon: Daemon) -> None:
    """PAUSED is acknowledged and waited out, and the loop is free meanwhile."""
    daemon.show("PAUSED")

    async def work(worker: AsyncWorker) -> list[int]:
        async def follow() -> list[int]:
            return [step async for step in worker.while_running()]

        follower = asyncio.create_task(follow())
        await until(lambda: daemon.seen() == "PAUSED")
        assert not follower.done()
        daemon.show("RUNNING")
        await until(lambda: daemon.board.words[page.BEATS] > 5)
        daemon.show("END")
        return await follower

    turns: list[int] = run(daemon, work)
    assert turns == list(range(len(turns)))
    assert daemon.seen() == "END"


def test_a_step_that_awaits_nothing_leaves_others_their_turn(daemon: Daemon) -> None:
    """A loop of steps that never wait would be all that the event loop does."""
    daemon.show("RUNNING")

    async def work(worker: AsyncWorker) -> int:
        async def end() -> None:
            daemon.show("ENDING")

        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(end()))
        steps = 0
        async for _ in worker.while_running():
            steps += 1
            assert steps < 1000, "nobody else had a turn"
        return steps

    assert run(daemon, work) > 0


def test_wait_is_woken_and_gives_up_at_its_time(daemon: Daemon) -> None:
    """It returns what has come; after its time, the state as it was."""

    async def work(worker: AsyncWorker) -> list[Any]:
        worker.ack()
        waiting = asyncio.create_task(worker.wait())
        await until(lambda: worker._worker._inside)
        daemon.show("READY", args={"run": 7})
        return [await waiting, dict(worker.args), await worker.wait(0.001), await worker.wait(0)]

    assert run(daemon, work) == ["READY", {"run": 7}, "READY", "READY"]
    assert daemon.seen() == "READY"


def test_a_state_is_acknowledged_when_the_last_task_has_seen_it(daemon: Daemon) -> None:
    """Also one that has come and gone: a task is told what it has missed."""
    daemon.show("RUNNING")
    go = asyncio.Event()

    async def late(worker: AsyncWorker) -> None:
        async for _ in worker.while_running():
            await go.wait()

    async def work(worker: AsyncWorker) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(late(worker))
            assert await worker.wait() == "RUNNING"
            await until(lambda: daemon.seen() == "RUNNING")
            waits = group.create_task(worker.wait())
            await until(lambda: worker._asleep and daemon.board.words[page.BEATS])
            daemon.show("ENDING")
            assert await waits == "ENDING"
            assert daemon.seen() == "RUNNING"
            go.set()

    run(daemon, work)
    assert daemon.seen() == "ENDING"


@pytest.mark.parametrize("how", ["wait", "while_running"])
def test_a_daemon_that_is_gone_means_ending(daemon: Daemon, how: str) -> None:
    """Every task is told, whatever it was waiting for."""
    daemon.show("READY")

    async def follow(worker: AsyncWorker) -> str:
        if how == "wait":
            while (state := await worker.wait()) != "ENDING":
                pass
            return str(state)
        async for _ in worker.while_running():
            pass
        return str(worker.state)

    async def work(worker: AsyncWorker) -> list[str]:
        both = [asyncio.create_task(follow(worker)) for _ in range(2)]
        await until(lambda: daemon.seen() == "READY")
        daemon.gone()
        return await asyncio.gather(*both)

    assert run(daemon, work) == ["ENDING", "ENDING"]


def test_who_has_closed_its_descriptors_is_told_so(daemon: Daemon) -> None:
    """Nothing is waited for that isn't ours."""

    async def work(worker: AsyncWorker) -> None:
        worker.ack()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, daemon.ends[0])
        os.close(null)
        with pytest.raises(RuntimeError, match="closed the descriptors"):
            await worker.wait()

    run(daemon, work)


def test_a_wait_that_is_cancelled_leaves_nothing_behind(daemon: Daemon) -> None:
    """No reader in the loop, nobody inside: the next one waits as the first did."""

    async def work(worker: AsyncWorker) -> Any:
        worker.ack()
        first = asyncio.create_task(worker.wait())
        await until(lambda: worker._asleep)
        first.cancel()
        await asyncio.wait([first])
        assert (worker._asleep, worker._worker._inside) == (set(), [])
        assert not asyncio.get_running_loop().remove_reader(daemon.ends[0])
        daemon.show("READY")
        return await worker.wait()

    assert run(daemon, work) == "READY"


def test_it_says_what_any_worker_says(daemon: Daemon) -> None:
    """Progress, text, ready, triggers, patience, descriptors: one and the same worker."""
    daemon.show("RUNNING")

    async def work(worker: AsyncWorker) -> None:
        assert (worker.state, worker.connected) == ("RUNNING", True)
        assert worker.states is daemon.worker.states
        assert worker.ack() == "RUNNING"
        assert worker.fds == daemon.worker.fds
        worker.progress(1, 2, "exposing", "images")
        worker.text("reading out")
        worker.ready()
        worker.expect(60)
        assert worker.trigger("pause", "cloudy")

    run(daemon, work)
    record = daemon.board.read_record()
    assert record is not None
    assert tuple(record) == (1, 2, "reading out", "images")
    assert daemon.board.words[page.PATIENCE] > 0
    said = b"\n".join(daemon.notes())
    assert notes.READY.strip() in said
    assert b'"cloudy"' in said


def test_a_task_acknowledges_in_its_step_what_it_looks_at(daemon: Daemon) -> None:
    """It is this task that has seen it, whatever thread it runs in."""
    daemon.show("RUNNING")

    async def work(worker: AsyncWorker) -> None:
        async for _ in worker.while_running():
            daemon.show("PAUSED")
            assert worker.ack() == "PAUSED"
            assert daemon.seen() == "PAUSED"
            break

    run(daemon, work)


def test_who_leaves_the_loop_is_not_inside_any_more(daemon: Daemon) -> None:
    """By ``break``: what comes then is acknowledged without it."""
    daemon.show("RUNNING")

    async def work(worker: AsyncWorker) -> None:
        async for _ in worker.while_running():
            break
        await until(lambda: not daemon.worker._inside)

    run(daemon, work)


def test_a_daemon_that_is_not_our_parent_any_more_is_gone(daemon: Daemon) -> None:
    """Somebody may hold its end of the pipe open."""
    daemon.show("RUNNING")

    async def work(worker: AsyncWorker) -> str:
        async for _ in worker.while_running():
            daemon.worker._daemon_pid = 1 << 22  # nobody's
        return str(worker.state)

    assert run(daemon, work) == "ENDING"


def test_in_another_process_it_is_a_worker_that_looks_on(daemon: Daemon) -> None:
    """An event loop is never in two processes; a state is."""
    daemon.show("RUNNING")

    looks_on = pickle.loads(pickle.dumps(AsyncWorker(daemon.worker)))

    assert isinstance(looks_on, Spectator)
    assert looks_on.state == "RUNNING"


# ---- END -----------------------------------------------------------------------------------------


def test_a_function_that_doesn_t_follow_is_cancelled_at_end(daemon: Daemon) -> None:
    """At once, and its ``finally`` has its time; that is no error."""
    daemon.show("RUNNING")
    cleaned = []

    async def work(worker: AsyncWorker) -> None:
        asyncio.get_running_loop().call_soon(daemon.show, "ENDING")
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async_worker.run(work, daemon.worker)
    assert cleaned == [True]


def test_a_step_is_finished_and_what_follows_it_too(daemon: Daemon) -> None:
    """Whoever is told of END leaves by itself: it isn't cancelled in the middle of a step."""
    daemon.show("RUNNING")
    done = []

    async def work(worker: AsyncWorker) -> None:
        async for _ in worker.while_running():
            daemon.show("ENDING")
            for _ in range(20):
                await asyncio.sleep(0)
            done.append("step")
        for _ in range(20):
            await asyncio.sleep(0)
        done.append("saved")

    async_worker.run(work, daemon.worker)
    assert done == ["step", "saved"]


def test_a_step_of_any_task_is_finished(daemon: Daemon) -> None:
    """Who waits for its tasks doesn't follow itself: they do."""
    daemon.show("RUNNING")
    done = []

    async def follow(worker: AsyncWorker) -> None:
        async for _ in worker.while_running():
            daemon.show("ENDING")
            for _ in range(20):
                await asyncio.sleep(0)
            done.append("step")

    async def work(worker: AsyncWorker) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(worker))

    async_worker.run(work, daemon.worker)
    assert done == ["step"]


def test_cancelling_itself_is_an_error(daemon: Daemon) -> None:
    """Only END makes of a cancelled function one that has done what it should."""
    daemon.show("RUNNING")

    async def work(worker: AsyncWorker) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        async_worker.run(work, daemon.worker)
