"""The workers that the benchmarked daemon steers; standard library only, like any worker's side."""

from __future__ import annotations

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
