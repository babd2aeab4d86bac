"""Jobs as people write them: reporting nonsense, closing descriptors, forking, in threads."""

from __future__ import annotations

import fcntl
import itertools
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from statusd import Worker

STEP_S = 0.005
"""How long a step of work takes."""


class Unprintable:
    """A value of the user's that can't be told in any way."""

    def __str__(self) -> str:
        raise LookupError

    __float__ = __str__


def saying_anything(worker: Worker) -> None:
    """Report whatever can be reported, step by step, by the API and past it."""
    numbers: tuple[Any, ...] = (
        float("inf"),
        float("nan"),
        -1,
        10**400,
        1e308,
        "3",
        "a lot",
        None,
        [],
        Unprintable(),
    )
    texts: tuple[Any, ...] = (
        42,
        ValueError("no film"),
        "\ud800",
        "\x1b[2J\0",
        "x" * 10**6,
        Unprintable(),
        b"\xff",
    )
    said = itertools.cycle([*itertools.product(numbers, texts)])
    for step in worker.while_running():
        number, text = next(said)
        worker.progress(number, number, text)
        worker.progress(1, number, None)
        worker.text(text)
        worker.expect(number)
        worker.trigger(text, text)
        if step % 2:
            worker._board.write_record(step * 1e300 * (-1) ** step, float("inf"), str(step))
        if step == 3 * len(numbers) * len(texts):
            Path("all_said").touch()


def like_a_daemon(worker: Worker) -> None:
    """Close what is open, as recipes for daemons do, and open data files; then go on working."""
    for step in worker.while_running():
        if step == 0:
            os.closerange(3, 256)
            files = [open(f"data-{number}", "w+") for number in range(40)]  # noqa: SIM115
            for file in files:
                file.write("the user's own")
                file.flush()
            Path("opened").touch()
        worker.progress(step, 10, "writing")
        time.sleep(STEP_S)


def with_helpers(worker: Worker) -> None:
    """Let children of every kind follow the worker, and be in a long step meanwhile.

    Each writes the states that it sees into ``seen-KIND``. The step lasts until ``release`` exists.
    """
    for context in (multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")):
        name = context.get_start_method()
        context.Process(target=following, args=(worker, name), daemon=True).start()
    pool = multiprocessing.get_context("fork").Pool(2)
    for name in ("pool-1", "pool-2"):
        pool.apply_async(following, (worker, name))
    while len([*Path().glob("seen-*")]) < 4:
        time.sleep(STEP_S)
    for _ in worker.while_running():
        Path("working").touch()
        while not Path("release").exists():
            time.sleep(STEP_S)


def following(worker: Worker, name: str) -> None:
    """Write down each state as it comes; say what only the worker itself may say."""
    with open(f"seen-{name}", "wb", buffering=0) as seen:
        state = worker.ack()
        while state not in ("ENDING", "END"):
            seen.write(f"{state} ".encode())
            worker.text("a child")
            state = worker.wait()
        seen.write(b"left ")


def in_threads(worker: Worker) -> None:
    """Let three threads work, each in a loop of its own; each counts its turns in a file."""
    threads = [threading.Thread(target=counting, args=(worker, n)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Path("joined").touch()


def counting(worker: Worker, number: int) -> None:
    """Count the turns."""
    for step in worker.while_running():
        Path(f"turns-{number}").write_text(str(step + 1), encoding="utf-8")
        time.sleep(STEP_S)


def returning(worker: Worker) -> None:
    """Do the work without a look at the state, and return; say how often that was."""
    with open("runs", "a", encoding="utf-8") as runs:
        runs.write("x")
    time.sleep(STEP_S)


def resuming(worker: Worker) -> None:
    """Find by a checkpoint that nothing is left to do; else do it."""
    if not Path("checkpoint").exists():
        for _ in worker.while_running():
            Path("checkpoint").touch()
            break
    returning(worker)


def leaving_by_exit(worker: Worker) -> None:
    """Leave with 0, but not by returning."""
    sys.exit(0)


def shrinking(worker: Worker) -> None:
    """Make the shared page shorter, and longer, in every way there is; then work on."""
    fd = worker.fds[0]
    ways: dict[str, Callable[[], object]] = {
        "shorter": lambda: os.ftruncate(fd, 0),
        "longer": lambda: os.ftruncate(fd, 1 << 20),
        "through /proc": lambda: os.truncate(f"/proc/self/fd/{fd}", 0),
        "more seals": lambda: fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
    }
    for name, way in ways.items():
        try:
            way()
        except OSError as error:
            print("tried:", name, error.strerror, flush=True)
        else:
            print("tried:", name, "it worked", flush=True)
    for step in worker.while_running():
        worker.progress(step, None, "tried all")
        time.sleep(STEP_S)


def cleaning_up(worker: Worker) -> None:
    """Be in the middle of a long step, and have something to put away."""
    for _ in worker.while_running():
        Path("begun").touch()
        try:
            threading.Event().wait()
        finally:
            Path("cleaned").touch()


def in_long_steps(worker: Worker) -> None:
    """Be in a step until there is a file ``over``; say when it has left by itself."""
    for _ in worker.while_running():
        Path("begun").touch()
        while not Path("over").exists():
            time.sleep(STEP_S)
    Path("left").touch()


def triggering(worker: Worker) -> None:
    """Ask for what changes nothing, again and again, as long as it is at work."""
    for _ in worker.while_running():
        worker.trigger("resume", reason="again")
