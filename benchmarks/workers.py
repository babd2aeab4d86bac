"""The workers that the benchmarked daemon steers; standard library only, like any worker's side."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from benchmarks.page import Page

if TYPE_CHECKING:
    from statusd import Worker

SPINS = 10_000
"""A spinning worker looks this often at the state before it asks whether its daemon lives."""


def bare(worker: Worker) -> None:
    """Wait for one state after the other."""
    Page.of_environment()
    while worker.wait() != "ENDING":
        pass


def blocked(worker: Worker) -> None:
    """Stamp each state as soon as `Worker.wait` returns it."""
    stamp = Page.of_environment().stamp
    while True:
        state = worker.wait()
        stamp()
        if state == "ENDING":
            return


def printing(worker: Worker) -> None:
    """Stamp each state as `blocked` does, and print a line after it."""
    stamp = Page.of_environment().stamp
    while True:
        state = worker.wait()
        stamp()
        print("a line of about the length that a log line has, with the state in it:", state)
        if state == "ENDING":
            return


FLOOD_LINES = 100_000_000 // 80
"""A flood is 100 MB, in lines of 80 bytes."""


LONG_FLOOD = 5
"""So many floods are a long one: a reader is sent something several times meanwhile."""


def flooding_long(worker: Worker) -> None:
    """Print a line, by which a reader knows that he reads; then as `flooding`, for longer."""
    print("ready", flush=True)
    flooding(worker, LONG_FLOOD)


def flooding(worker: Worker, floods: int = 1) -> None:
    """Print the flood when it is told to run, and tell how many nanoseconds that took."""
    page = Page.of_environment()
    chunk = (b"x" * 79 + b"\n") * 800
    for _ in worker.while_running():
        started = time.monotonic_ns()
        for _ in range(floods * FLOOD_LINES // 800):
            os.write(1, chunk)
        page.put(time.monotonic_ns() - started)
        worker.trigger("pause")
        worker.wait()


def reading_lines() -> None:
    """Be a program with ``input = "states"``: stamp each line as soon as it is read."""
    stamp = Page.of_environment().stamp
    while os.read(0, 256):
        stamp()


def spinning(worker: Worker) -> None:
    """Stamp each state as soon as it is read, and read it all the time."""
    stamp = Page.of_environment().stamp
    last = worker.ack()
    while worker.connected and last != "ENDING":
        for _ in range(SPINS):
            state = worker.state
            if state is not last:
                stamp()
                last = state
                worker.ack()


def reading(worker: Worker) -> None:
    """Measure what reading the state costs, tell it, and wait for the end."""
    from benchmarks.turns import picoseconds

    page = Page.of_environment()
    page.put(picoseconds("worker.state", worker=worker))
    page.put(picoseconds("words[1]", words=worker._words))
    bare(worker)


def triggering(worker: Worker) -> None:
    """Ask for what changes nothing, again and again, as long as it is at work."""
    Page.of_environment()
    for _ in worker.while_running():
        worker.trigger("resume")


if __name__ == "__main__":
    reading_lines()
