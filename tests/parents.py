"""Programs of their own that call `statusd.attach`: ``python -m tests.parents NAME URL``.

What they print is what the tests look at. Each stays until it is commanded or signalled to end.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import statusd
from tests.jobs import following, saying_anything

STEP_S = 0.005


def say(*words: object) -> None:
    """Print a line at once."""
    print(*words, flush=True)


def attach(url: str, **more: Any) -> Any:
    """Attach as every program here does."""
    more = {"name": "scan", "goal": "RUNNING"} | more
    return statusd.attach("mychannel", url, **more)


def work(worker: Any) -> None:
    """Work in steps, until END."""
    for step in worker.while_running():
        time.sleep(STEP_S)
        worker.progress(step + 1, 1000, "working")


def looping(url: str) -> None:
    """As the README shows it."""
    with attach(url) as worker:
        say("attached", worker.state, worker.connected)
        work(worker)
        say("leaving", worker.state)
    say("left", worker.state)


def polling(url: str) -> None:
    """Look at the state, as the hand-written program did."""
    with attach(url) as worker:
        say("attached", worker.state)
        while worker.state != "ENDING":
            time.sleep(STEP_S)
    say("left", worker.state)


def deaf(url: str) -> None:
    """Never look at the state again."""
    with attach(url, stop_timeout_s=0.3) as worker:
        say("attached", worker.state)
        work_for_ever()


def work_for_ever() -> None:
    """Sleep until somebody sends SIGUSR1."""
    over: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: over.append(number))
    while not over:
        time.sleep(STEP_S)


def raising(url: str) -> None:
    """Fail in the first step."""
    with attach(url) as worker:
        for _ in worker.while_running():
            raise ValueError("the detector is\non fire")


def unleft(url: str) -> None:
    """End without having left."""
    say("attached", attach(url).state)


def kept(url: str) -> None:
    """End without having left, with the worker at hand."""
    keep.append(attach(url))
    say("attached", keep[0].state)


keep: list[Any] = []


def kept_raising(url: str) -> None:
    """Die of an exception outside of any block."""
    kept(url)
    raise ValueError("no film")


def like_a_daemon(url: str) -> None:
    """Close what is open, as recipes for daemons do, and open data files; then work on."""
    with attach(url) as worker:
        say("attached", worker.state)
        os.closerange(3, 256)
        for number in range(40):
            keep.append(open(f"data-{number}", "w+"))  # noqa: SIM115
            keep[-1].write("the user's own")
            keep[-1].flush()
        work(worker)
        say("leaving", worker.state)
    say("left", worker.state)


def in_threads(url: str) -> None:
    """Let three threads work, each in a loop of its own."""
    with attach(url) as worker:
        crew = [threading.Thread(target=count, args=(worker, n)) for n in range(3)]
        for thread in crew:
            thread.start()
        say("attached", worker.state)
        for thread in crew:
            thread.join()
    say("left", worker.state)


def count(worker: Any, number: int) -> None:
    """Write down how many turns there were."""
    for step in worker.while_running():
        Path(f"turns-{number}").write_text(str(step + 1), encoding="utf-8")
        time.sleep(STEP_S)


def helped(url: str) -> None:
    """Let children of every kind follow the worker, and be in a step until ``release`` exists."""
    with attach(url) as worker:
        for context in (multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")):
            name = context.get_start_method()
            context.Process(target=following, args=(worker, name), daemon=True).start()
        while len([*Path().glob("seen-*")]) < 2:
            time.sleep(STEP_S)
        say("attached", worker.state)
        for _ in worker.while_running():
            Path("working").touch()
            while not Path("release").exists():
                time.sleep(STEP_S)


def weird(url: str) -> None:
    """Report whatever can be reported."""
    with attach(url) as worker:
        say("attached", worker.state)
        saying_anything(worker)
    say("left", worker.state)


def exiting(url: str) -> None:
    """Leave the block by `sys.exit`, with a reason."""
    with attach(url):
        sys.exit("no film")


def hard(url: str) -> None:
    """End without a word: nothing of Python is asked."""
    with attach(url) as worker:
        say("attached", worker.state)
        os._exit(0)


def replaced(url: str) -> None:
    """Become another program."""
    worker = attach(url)
    say("attached", worker.state)
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"])


def forking(url: str) -> None:
    """Have children that leave the block in every way there is."""
    with attach(url) as worker:
        leave_as_a_child(worker)
        say("attached", worker.state, worker.connected)
        work(worker)
    say("left", worker.state)


def leave_as_a_child(worker: Any) -> None:
    """Let one child each look at the worker, detach, raise, exit, work, and drop it."""
    for way in (look, meddle, sys.exit, fail, turn):
        pid = os.fork()
        if pid == 0:
            way(worker)
            os._exit(0)
        os.waitpid(pid, 0)


def look(worker: Any) -> None:
    """Say what a child sees."""
    say("child", worker.state, worker.connected)


def meddle(worker: Any) -> None:
    """Say what is the parent's to say."""
    worker.detach()
    worker.trigger("end")
    worker.progress(999, 999, "a child")
    worker.ack()


def turn(worker: Any) -> None:
    """Work for a few turns, as a child."""
    for step in worker.while_running():
        worker.progress(999, 999, "a child")
        if step == 5:
            return


def fail(_: Any) -> None:
    """Fail, as a child."""
    raise ValueError("a child's own trouble")


def forked_pool(url: str) -> None:
    """Use children of `multiprocessing` in the block, by fork and by spawn."""
    with attach(url) as worker:
        for way in ("fork", "spawn"):
            with multiprocessing.get_context(way).Pool(2) as pool:
                say(way, pool.map(abs, [-1, -2]))
        say("attached", worker.state)
        work(worker)
    say("left", worker.state)


def spawned(url: str) -> None:
    """Be attached in a spawned process, and let that end as `multiprocessing` ends it."""
    process = multiprocessing.get_context("spawn").Process(target=looping, args=(url,))
    process.start()
    process.join()
    say("joined", process.exitcode)


def threaded(url: str) -> None:
    """Be attached in a thread that isn't the main one."""
    thread = threading.Thread(target=looping, args=(url,))
    thread.start()
    thread.join()
    say("joined")


def abandoned_thread(url: str) -> None:
    """End while a daemon thread still waits for its state."""
    threading.Thread(target=waiting, args=(url,), daemon=True).start()
    while not ready:
        time.sleep(STEP_S)


ready: list[bool] = []


def waiting(url: str) -> None:
    """Wait for ever in READY."""
    with attach(url, goal="READY") as worker:
        say("attached", worker.state)
        ready.append(True)
        work(worker)


def in_asyncio(url: str) -> None:
    """Be attached inside a coroutine."""
    asyncio.run(coroutine(url))


async def coroutine(url: str) -> None:
    """Wait in a thread, so that the loop goes on; have a child of asyncio's own as well."""
    with await asyncio.to_thread(attach, url) as worker:
        say("attached", worker.state)
        other = await asyncio.create_subprocess_exec("true")
        say("other", await other.wait())
        while worker.state != "ENDING":
            if worker.ack() == "RUNNING":
                await asyncio.sleep(STEP_S)
            else:
                await asyncio.to_thread(worker.wait)
    say("left", worker.state)


def notebook(url: str) -> None:
    """Run cells as a notebook's kernel does: in a running loop, and not in the main thread."""
    thread = threading.Thread(target=lambda: asyncio.run(kernel(url)))
    thread.start()
    thread.join()


async def kernel(url: str) -> None:
    """Run the same cell twice, then one that works until END."""
    sys.ps1 = "In : "  # as IPython sets it
    cells: dict[str, Any] = {"url": url, "attach": attach, "say": say, "work": work}
    exec("worker = attach(url)\nsay('attached', worker.state)", cells)
    try:
        exec("worker = attach(url)", cells)
    except statusd.AttachError as error:
        say("twice:", error)
    await asyncio.sleep(0)
    exec("work(worker)", cells)
    exec("worker.detach()\nsay('left', worker.state)", cells)


def dropping(url: str) -> None:
    """Lose the worker, and attach by the same name again."""
    worker = attach(url)
    del worker
    with attach(url) as worker:
        say("attached", worker.state)
        work(worker)


def hanging(url: str) -> None:
    """Stand still in the third step until SIGUSR1, then go on."""
    with attach(url, hang_timeout_s=0.2) as worker:
        say("attached", worker.state)
        for step in worker.while_running():
            time.sleep(STEP_S)
            if step == 3:
                work_for_ever()


def large(url: str, on_memory: str = "tell") -> None:
    """Have more memory than it has said that it may have; that wins over the environment."""
    os.environ["STATUSD_WORKER__MEMORY_MAX"] = "8 GiB"
    with attach(url, memory_max="2 MiB", on_memory=on_memory) as worker:
        say("attached", worker.state)
        work(worker)


def large_pausing(url: str) -> None:
    """Have more, and be told to wait for that."""
    large(url, "pause")


def _at_once(many: int, what: Callable[[int], object]) -> list[object]:
    """Do it in so many threads at once; return what each returned or raised."""
    found: list[object] = []
    ready = threading.Barrier(many)

    def do(number: int) -> None:
        ready.wait()
        try:
            found.append(what(number))
        except BaseException as error:
            found.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=do, args=(number,)) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _detach(workers: list[Any], number: int) -> None:
    workers[number % len(workers)].detach()


def attaching_at_once(url: str) -> None:
    """Attach and leave in four threads, and again; then four take one name in turn."""
    for _ in range(2):
        workers = _at_once(4, lambda n: attach(url, name=f"unit-{n}"))
        say("all", sorted(map(str, workers)))
        left = _at_once(8, partial(_detach, workers))
        say("left", left)
    workers = _at_once(4, lambda _: attach(url, name="same", replace=True))
    say("same", sorted(str(getattr(worker, "connected", worker)) for worker in workers))
    statusd.worker.attached.detach_named(("same", ""))


def looking_at_once(url: str) -> None:
    """Have the daemon killed while eight threads ask for the state, and leave at the same time."""
    with attach(url) as worker:
        say("attached", worker.state)
        first = worker._child.pid
        os.kill(first, signal.SIGKILL)
        _at_once(8, lambda n: worker.wait(5 if n else 1))
        say("again", worker.connected, worker._child.pid != first, worker._deaths)
        say("left", _at_once(8, lambda _: worker.detach()), worker.state)


def unsealed(url: str) -> None:
    """Give the daemon a page that can be made shorter."""
    from statusd.worker import child
    from statusd.worker.board import SIZE

    def create() -> int:
        fd = os.memfd_create("unsealed")
        os.truncate(fd, SIZE)
        return fd

    vars(child)["create"] = create
    try:
        attach(url)
    except statusd.AttachError as error:
        say("refused:", error)


def in_a_loop(url: str) -> None:
    """Follow the state in one task, and tell of it in another."""

    async def work(worker: statusd.AsyncWorker) -> None:
        async for _ in worker.while_running():
            await asyncio.sleep(STEP_S)

    async def tell(worker: statusd.AsyncWorker) -> None:
        while (state := await worker.wait()) != "ENDING":
            say("saw", state)

    async def main(worker: statusd.AsyncWorker) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work(worker))
            group.create_task(tell(worker))

    with attach(url) as attached:
        say("attached", attached.state)
        asyncio.run(main(statusd.AsyncWorker(attached)))
    say("left", attached.state)


def with_a_pool(url: str) -> None:
    """Attach where the file is read, as whoever has a Pool finds out."""
    Path("pooling.py").write_text(
        f"""import multiprocessing
import statusd

worker = statusd.attach("mychannel", {url!r}, name="scan", goal="RUNNING")
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    process = multiprocessing.Process(target=print)
    process.start()
    process.join()
    print("its child left with", process.exitcode, flush=True)
"""
    )
    os.execv(sys.executable, [sys.executable, "pooling.py"])


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
