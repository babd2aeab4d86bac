"""`Worker.track`, with the test in the daemon's place: a loop as tqdm has it, but steered."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import statusd
from statusd.worker import board as page
from statusd.worker.async_worker import AsyncWorker
from tests.tools import wait_until
from tests.unit.ends import Daemon

WITHIN_S = 10


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon whose worker is to work."""
    with ExitStack() as stack:
        made = Daemon(stack)
        made.show("RUNNING")
        yield made


def record(daemon: Daemon) -> tuple[Any, ...] | None:
    """Return what stands on the page of the work."""
    found = daemon.board.read_record()
    return None if found is None else tuple(found)


def numbers(daemon: Daemon) -> tuple[Any, ...] | None:
    """Return step and total, as they stand on the page."""
    found = record(daemon)
    return None if found is None else found[:2]


# ---- the loop ------------------------------------------------------------------------------------


def test_a_loop_tells_how_far_it_is(daemon: Daemon) -> None:
    """What is done, not what is begun; the total is what `len` says; each turn is a beat."""
    told = []

    for item in daemon.worker.track(["a", "b", "c"], "exposing", unit="images"):
        told.append((item, record(daemon)))

    assert told == [(c, (n, 3, "exposing", "images")) for n, c in enumerate("abc")]
    assert record(daemon) == (3, 3, "exposing", "images")
    assert daemon.board.words[page.BEATS] >= 3
    assert daemon.seen() == "RUNNING"


@pytest.mark.parametrize(
    ("iterable", "given", "total"),
    [
        (range(3), {}, 3),
        (iter(range(3)), {}, None),
        (iter(range(3)), {"total": 3}, 3),
        (range(3), {"total": 5}, 5),
        ((n for n in range(3)), {"total": float("nan")}, None),
    ],
    ids=["len", "no len", "total", "both", "nan"],
)
def test_the_total_is_what_is_known(
    daemon: Daemon, iterable: Any, given: dict[str, Any], total: float | None
) -> None:
    """Without one the steps are counted all the same."""
    assert len(list(daemon.worker.track(iterable, **given))) == 3
    assert numbers(daemon) == (3, total)


def test_a_length_that_raises_is_unknown(daemon: Daemon) -> None:
    """Whatever it raises: a data set that streams has one that does."""

    class Stream:
        def __len__(self) -> int:
            raise RuntimeError("it is a stream")

        def __iter__(self) -> Iterator[int]:
            return iter((1, 2))

    assert list(daemon.worker.track(Stream())) == [1, 2]
    assert numbers(daemon) == (2, None)


def test_a_loop_waits_in_paused_and_ends_at_end(daemon: Daemon) -> None:
    """Nor is the next item made meanwhile: making it may be the work."""
    made: list[int] = []

    def images() -> Iterator[int]:
        for number in range(10**9):
            made.append(number)
            yield number

    done: list[int] = []
    daemon.show("PAUSED")
    loop = threading.Thread(target=lambda: done.extend(daemon.worker.track(images())))
    loop.start()
    wait_until(lambda: daemon.seen() == "PAUSED", 5, "the pause to be seen")
    assert made == []

    daemon.show("RUNNING")
    wait_until(lambda: len(made) > 5, 5, "some items")
    daemon.show("PAUSED")
    wait_until(lambda: daemon.seen() == "PAUSED", 5, "the second pause to be seen")
    before = len(made)
    daemon.show("END")
    loop.join(5)

    assert daemon.seen() == "END"
    assert len(done) == len(made) == before


def test_one_that_only_counts_heeds_no_state(daemon: Daemon) -> None:
    """It neither waits nor acknowledges, nor is it a sign of life."""
    daemon.show("PAUSED")

    assert list(daemon.worker.track(range(3), steer=False)) == [0, 1, 2]
    assert numbers(daemon) == (3, 3)
    assert (daemon.board.words[page.SEEN], daemon.board.words[page.BEATS]) == (0, 0)


@pytest.mark.parametrize("how", ["end", "break", "raise", "END"])
def test_a_generator_is_closed_however_the_loop_is_left(daemon: Daemon, how: str) -> None:
    """Its `finally` has run when the next line does; and the worker isn't inside any more."""
    closed = []

    def images() -> Iterator[int]:
        try:
            yield from range(3)
        finally:
            closed.append(how)

    def loop() -> None:
        for number in daemon.worker.track(images()):
            if how == "break":
                break
            if how == "raise" and number:
                raise LookupError("no film")
            if how == "END":
                daemon.show("END")

    if how == "raise":
        with pytest.raises(LookupError, match="no film"):
            loop()
    else:
        loop()
    gc.collect()

    assert closed == [how]
    assert daemon.worker._inside == []
    assert numbers(daemon) == ({"end": 3, "break": 0, "raise": 1, "END": 1}[how], None)


def test_what_the_items_raise_passes(daemon: Daemon) -> None:
    """It is the user's own."""

    def images() -> Iterator[int]:
        yield 1
        raise OSError("no film")

    with pytest.raises(OSError, match="no film"):
        list(daemon.worker.track(images()))


def test_it_can_be_looped_over_again(daemon: Daemon) -> None:
    """As what it loops over can."""
    track = daemon.worker.track([1, 2], initial=10)

    assert list(track) + list(track) == [1, 2, 1, 2]
    assert numbers(daemon) == (12, 2)


# ---- by hand -------------------------------------------------------------------------------------


def test_a_count_is_kept_by_hand(daemon: Daemon) -> None:
    """As with tqdm: by `update`, or by what is set and refreshed."""
    with daemon.worker.track(total=10, desc="reading", unit="B", initial=2) as bar:
        assert record(daemon) == (2, 10, "reading", "B")
        bar.update()
        bar.update(3)
        assert numbers(daemon) == (6, 10)
        bar.n, bar.total = 7, 20
        bar.refresh()
        assert numbers(daemon) == (7, 20)
        bar.set_description("writing")
        bar.set_postfix(loss=0.12345, image="a.fits")
        assert record(daemon) == (7, 20, "writing, loss=0.123, image=a.fits", "B")
        bar.reset(30)
        assert numbers(daemon) == (2, 30)
    bar.update()

    assert numbers(daemon) == (2, 30)


def test_what_only_tqdm_knows_is_taken(daemon: Daemon) -> None:
    """So that one word is all there is to change; what neither knows is a mistake."""
    looks: dict[str, Any] = {
        "leave": False,
        "ncols": 80,
        "unit_scale": True,
        "mininterval": 1,
        "file": None,
    }

    assert list(daemon.worker.track(range(2), **looks)) == [0, 1]
    with pytest.raises(TypeError, match="unexpected keyword argument 'totl'"):
        daemon.worker.track(range(2), totl=2)


def test_a_disabled_one_tells_nothing(daemon: Daemon) -> None:
    """As of all processes but the first; it is steered nevertheless."""
    assert list(daemon.worker.track(range(2), "x", disable=True)) == [0, 1]
    daemon.show("END")
    assert list(daemon.worker.track(range(2), disable=True)) == []
    assert record(daemon) is None


# ---- several -------------------------------------------------------------------------------------


def test_the_outermost_tells_how_far_and_the_innermost_what(daemon: Daemon) -> None:
    """Afterwards the outer one's text is told again."""
    told = []

    for _ in daemon.worker.track(range(2), "epochs"):
        told.append(record(daemon))
        for _ in daemon.worker.track(range(3), "batches", unit="batches"):
            told.append(record(daemon))

    assert told == [
        *((0, 2, "epochs", ""), *[(0, 2, "batches", "")] * 3),
        *((1, 2, "epochs", ""), *[(1, 2, "batches", "")] * 3),
    ]
    assert record(daemon) == (2, 2, "epochs", "")


def test_one_without_a_text_leaves_that_of_the_work_alone(daemon: Daemon) -> None:
    """Its end is no reason to take back what was said meanwhile."""
    for _ in daemon.worker.track(range(1), "epochs"):
        daemon.worker.text("cooling down")
        for _ in daemon.worker.track(range(1)):
            pass
        assert record(daemon) == (0, 1, "cooling down", "")


def test_one_after_another_each_tells(daemon: Daemon) -> None:
    """Also if somebody has forgotten to close the first, or has dropped it."""
    worker = daemon.worker
    bar = worker.track(total=5)
    bar.update(5)
    bar.close()
    assert list(worker.track(range(2))) == [0, 1]
    assert numbers(daemon) == (2, 2)

    bar = worker.track(total=6)
    bar.update()
    bar = worker.track(total=7)
    bar.update(3)
    assert numbers(daemon) == (3, 7)


def test_threads_may_have_one_each(daemon: Daemon) -> None:
    """The first one tells; when all are done, nothing of them is left."""

    def loop() -> None:
        for _ in range(50):
            assert len(list(daemon.worker.track(range(20), "x"))) == 20

    threads = [threading.Thread(target=loop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert daemon.worker._progress.tracks == []
    found = numbers(daemon)
    assert found is not None
    assert found[1] == 20


def test_another_process_follows_and_tells_nothing(daemon: Daemon) -> None:
    """The page is for the worker's own process to write."""
    watcher = pickle.loads(pickle.dumps(daemon.worker))

    assert list(watcher.track(range(3), "x", unit="images")) == [0, 1, 2]
    daemon.show("END")
    assert list(watcher.track(range(3))) == []
    assert record(daemon) is None


# ---- the unit ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "kept"),
    [("images", "images"), ("", ""), ("Å" * 20, "Å" * 14), (7, "7"), (None, ""), ("\ud800", "?")],
)
def test_a_unit_is_a_short_text(daemon: Daemon, unit: Any, kept: str) -> None:
    """It is of the numbers that it was said with: the next ones without it have none."""
    daemon.worker.progress(1, 2, "x", unit)
    first = record(daemon)
    daemon.worker.progress(2, 2)

    assert first == (1, 2, "x", kept)
    assert record(daemon) == (2, 2, "x", "")


@pytest.mark.parametrize("bits", [0xFF, 0x01])
def test_half_a_unit_is_none(daemon: Daemon, bits: int) -> None:
    """Whatever stands there; an older worker has left zeros, which are no unit."""
    daemon.worker.progress(1, 2, "x", "images")
    daemon.board.bytes[1040] ^= bits
    assert record(daemon) == (1, 2, "x", "")

    daemon.board.bytes[1032:1068] = bytes(36)
    assert record(daemon) == (1, 2, "x", "")


# ---- in asyncio ----------------------------------------------------------------------------------


def run(daemon: Daemon, work: Callable[[AsyncWorker], Coroutine[Any, Any, Any]]) -> Any:
    """Return what ``work`` comes to in a loop of its own, within `WITHIN_S` seconds."""

    async def within() -> Any:
        async with asyncio.timeout(WITHIN_S):
            return await work(AsyncWorker(daemon.worker))

    return asyncio.run(within())


async def until(predicate: Callable[[], object]) -> None:
    """Let the other tasks have their turns until something holds."""
    while not predicate():
        await asyncio.sleep(0)


async def arriving() -> AsyncIterator[int]:
    """Yield three items that come by themselves."""
    for number in range(3):
        await asyncio.sleep(0)
        yield number


@pytest.mark.parametrize("how", ["async for", "async items", "for", "only counts"])
def test_an_async_function_loops_either_way(daemon: Daemon, how: str) -> None:
    """`async for` over items of both kinds, and a plain `for`."""

    async def work(worker: AsyncWorker) -> list[int]:
        if how == "for":
            return list(worker.track(range(3), "x", unit="images"))
        items = arriving() if how == "async items" else range(3)
        steer = how != "only counts"
        return [n async for n in worker.track(items, "x", 3, unit="images", steer=steer)]

    assert run(daemon, work) == [0, 1, 2]
    assert record(daemon) == (3, 3, "x", "images")
    assert daemon.worker._inside == []


def test_other_tasks_go_on_while_an_async_for_waits(daemon: Daemon) -> None:
    """It waits in PAUSED, and END ends it and closes what it loops over."""
    closed = []

    async def work(worker: AsyncWorker) -> int:
        async def endless() -> AsyncIterator[int]:
            try:
                for number in range(10**9):
                    yield number
            finally:
                closed.append(True)

        async def follow() -> list[int]:
            return [step async for step in worker.track(endless())]

        daemon.show("PAUSED")
        follower = asyncio.create_task(follow())
        await until(lambda: daemon.seen() == "PAUSED")
        assert numbers(daemon) == (0, None)
        daemon.show("RUNNING")
        await until(lambda: daemon.board.words[page.BEATS] > 5)
        daemon.show("END")
        return len(await follower)

    assert run(daemon, work) > 0
    assert closed == [True]
    assert daemon.seen() == "END"


def test_a_plain_for_wakes_the_tasks_that_wait_for_the_state(daemon: Daemon) -> None:
    """It reads the pipe itself, so nobody else would hear of it."""

    async def work(worker: AsyncWorker) -> list[Any]:
        worker.ack()
        daemon.show("PAUSED")
        first = await worker.wait()
        waiting = asyncio.create_task(worker.wait())
        await until(lambda: worker._asleep)
        resumed = threading.Timer(0.0, daemon.show, ("RUNNING",))
        resumed.start()  # while the loop is held
        turns = list(worker.track(range(3)))
        resumed.join()
        return [first, turns, await waiting]

    assert run(daemon, work) == ["PAUSED", [0, 1, 2], "RUNNING"]
    assert daemon.seen() == "RUNNING"


def test_both_kinds_of_worker_take_the_same(daemon: Daemon) -> None:
    """Whoever changes a function to `async def` changes nothing else."""
    plain, other = (inspect.signature(kind.track) for kind in (statusd.Worker, AsyncWorker))

    assert [*plain.parameters] == [*other.parameters]


# ---- what is logged ------------------------------------------------------------------------------


def test_the_last_record_is_the_text(daemon: Daemon) -> None:
    """Of those that are at its level at least; the numbers stay."""
    log = logging.Logger("work")
    log.addHandler(statusd.LogText(daemon.worker, logging.INFO))
    daemon.worker.progress(1, 2)

    log.info("cooling to %d K", 170)
    log.debug("valve 3")

    assert record(daemon) == (1, 2, "cooling to 170 K", "")


def test_a_formatter_has_its_say(daemon: Daemon) -> None:
    """As with any handler."""
    log, handler = logging.Logger("camera"), statusd.LogText(daemon.worker)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    log.addHandler(handler)

    log.warning("warm")

    assert record(daemon) == (None, None, "camera: warm", "")


@pytest.mark.parametrize("message", ["half of %d", "%s and %s", object()])
def test_a_record_that_is_wrong_hurts_nobody(
    daemon: Daemon, message: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is raised, and nothing is printed."""
    log = logging.Logger("work")
    log.addHandler(statusd.LogText(daemon.worker))

    log.error(message, "x")

    found = record(daemon)
    assert found == (None, None, message, "") if isinstance(message, str) else found is None
    assert capsys.readouterr().err == ""
