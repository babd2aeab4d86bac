"""S: the status program as people write it by hand today; what statusd is measured against.

A `multiprocessing.Process` runs ``for mes in ps.listen()`` of redis-py, decodes, looks the word up
among the names of an Enum and stores its number in a ``Value('i')``, at which the parent looks. Two
more do what S doesn't: ``ack`` answers each word, ``machine`` asks a ``transitions`` Machine.

Run as ``python -m benchmarks.seed ROLE PORT PAGE``; the page is all that is added to it.
"""

from __future__ import annotations

import enum
import os
import sys
import time
from collections.abc import Callable
from multiprocessing import Process, Value
from typing import TYPE_CHECKING, Any

import redis

from benchmarks.page import Page

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

CHANNEL = "mychannel"
ACKS = "myacks"
POLL_S = 0.1


class Status(enum.Enum):
    """The states that a message can name."""

    READY = 1
    RUNNING = 2
    PAUSED = 3
    END = 4


# ---- the listening process -------------------------------------------------------------------


def listen(port: int, path: str, value: Synchronized[int]) -> None:
    """Store the state that each message names."""
    page = Page(path)
    page.helper = os.getpid()
    ps = redis.Redis(port=port).pubsub()  # type: ignore[no-untyped-call]
    ps.subscribe(CHANNEL)
    for mes in ps.listen():
        if mes["type"] == "message":
            word = mes["data"].decode()
            if word in Status.__members__:
                value.value = Status[word].value
        else:
            page.stamp()


def listen_and_answer(port: int, path: str, value: Synchronized[int]) -> None:
    """Store the state that each message names, and publish its name."""
    page = Page(path)
    page.helper = os.getpid()
    client = redis.Redis(port=port)
    ps = client.pubsub()  # type: ignore[no-untyped-call]
    ps.subscribe(CHANNEL)
    for mes in ps.listen():
        if mes["type"] == "message":
            word = mes["data"].decode()
            if word in Status.__members__:
                value.value = Status[word].value
                client.publish(ACKS, word)
        else:
            page.stamp()


# ---- the parent ------------------------------------------------------------------------------


def poll(value: Synchronized[int], page: Page) -> None:
    """Look at the state every 0.1 s, as a program between two steps of work does."""
    seen = value.value
    while seen != Status.END.value:
        time.sleep(POLL_S)
        new = value.value
        if new != seen:
            page.stamp()
            seen = new


def spin(value: Synchronized[int], page: Page) -> None:
    """Look at the state all the time and stamp what is new."""
    seen = value.value
    while seen != Status.END.value:
        new = value.value
        if new != seen:
            page.stamp()
            seen = new


def read(value: Synchronized[int], page: Page) -> None:
    """Measure what reading the state costs, once the listener listens."""
    from benchmarks.turns import picoseconds

    page.wait(1)
    page.put(picoseconds("value.value", value=value))
    poll(value, page)


def run(
    port: int,
    path: str,
    listener: Callable[[int, str, Synchronized[int]], None],
    work: Callable[[Synchronized[int], Page], None],
) -> None:
    """Start the listener beside the work."""
    value: Any = Value("i", Status.READY.value)
    process = Process(target=listener, args=(port, path, value))
    process.start()
    work(value, Page(path))
    process.terminate()


# ---- with a state machine, in one process ----------------------------------------------------


def run_machine(port: int, path: str) -> None:
    """Let a ``transitions`` Machine take each word as a trigger, count it, and tell nobody."""
    from transitions import Machine

    page = Page(path)
    page.helper = os.getpid()
    model: Any = type("Model", (), {})()
    Machine(
        model=model,
        states=Status,
        initial=Status.RUNNING,
        transitions=[
            {"trigger": "pause", "source": Status.RUNNING, "dest": Status.PAUSED},
            {"trigger": "resume", "source": Status.PAUSED, "dest": Status.RUNNING},
        ],
        auto_transitions=False,
    )
    ps = redis.Redis(port=port).pubsub()  # type: ignore[no-untyped-call]
    ps.subscribe(CHANNEL)
    for mes in ps.listen():
        if mes["type"] == "message":
            model.trigger(mes["data"].decode())
        page.tick()


def main(role: str, port: int, path: str) -> None:
    """Play one role until a message says END, or for ever."""
    if role == "machine":
        run_machine(port, path)
    else:
        run(port, path, *_ROLES[role])


_ROLES = {
    "poll": (listen, poll),
    "spin": (listen, spin),
    "read": (listen, read),
    "ack": (listen_and_answer, poll),
}

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
