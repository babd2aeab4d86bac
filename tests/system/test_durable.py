"""A durable command is on the disk before it is obeyed, and a disk that hangs holds nobody up."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Run
from tests.tools import Broker, Journal, Process, Program, wait_until
from tests.tools.halt import writing_halted


def test_goal_and_place_are_on_the_disk_before_anybody_is_told(broker: Broker, run: Run) -> None:
    """Whoever hears the first verdict can read them in the state file."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    with Journal(broker.client()) as journal:
        for word in ("start", "pause", "resume", "pause", "stop") * 4:
            entry = broker.client().xadd("statusd:commands", {"command": word})
            assert isinstance(entry, bytes)
            known = entry.decode()

            wait_until(lambda: [v for v in journal.verdicts() if v.get("id") == known], 5, word)  # noqa: B023  # used at once

            kept = unit.kept()
            assert kept["cursor"]["id"] == known
            assert kept["goal"] == {"start": "RUNNING", "resume": "RUNNING", "stop": "READY"}.get(
                word, "PAUSED"
            )


@contextmanager
def on_a_hanging_disk(broker: Broker, run: Run) -> Iterator[Program]:
    """Give a unit in READY, with nothing to write; writes hang until the context ends."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    first = add(broker, "status")
    wait_until(lambda: place(broker) == first, 5, "the place, which is on the disk then")
    with writing_halted(unit.pid):
        yield unit


def add(broker: Broker, word: str) -> str:
    """Add a durable command to the stream; return its entry's id."""
    entry = broker.client().xadd("statusd:commands", {"command": word})
    assert isinstance(entry, bytes)
    return entry.decode()


def place(broker: Broker) -> str:
    """Return how far the unit has come, as Redis has it; empty if it has nothing."""
    content = json.loads(broker.client().get("statusd:cursor:{unit}") or "{}")
    return str(content.get("id", ""))


@pytest.mark.fault("X17")
def test_the_place_in_redis_is_never_ahead_of_the_disk(broker: Broker, run: Run) -> None:
    """Killed in between, the next daemon would take for read what it couldn't find anywhere."""
    with on_a_hanging_disk(broker, run) as unit:
        before = place(broker)
        entry = add(broker, "start")
        unit.wait_logged("state.changed", new="RUNNING")  # half a second late
        unit.wait_logged("state_file.failed")
        assert place(broker) == before

    wait_until(lambda: place(broker) == entry, 5, "the place")
    assert unit.kept()["cursor"]["id"] == entry


def test_a_disk_that_hangs_holds_up_neither_command_nor_end(broker: Broker, run: Run) -> None:
    """Half a second is granted to it, and a second at the end."""
    with on_a_hanging_disk(broker, run) as unit:
        add(broker, "start")
        broker.client().publish("mychannel", "pause")

        unit.wait_state("PAUSED")
        assert [line["new"] for line in unit.log() if line["event"] == "state.changed"] == [
            "READY",
            "RUNNING",
            "PAUSED",
        ]
        daemon = Process.of(unit.pid)
        assert daemon is not None
        unit.signal(signal.SIGTERM)
        unit.wait_state("END")
        wait_until(lambda: not daemon.is_alive(), 8, "its end")
    assert unit.wait_exit(1) == 0
