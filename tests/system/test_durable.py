"""A durable command is on the disk before it is obeyed, and a disk that hangs holds nobody up."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.conftest import Run
from tests.tools import Broker, Journal, Program, wait_until


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


def on_a_hanging_disk(broker: Broker, run: Run) -> Program:
    """Return a unit in READY whose next write hangs: whoever opens a pipe waits for its reader."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    wait_until(lambda: list(unit.directory.rglob("unit.json")), 5, "the state file")
    pipe = next(unit.directory.rglob("unit.json")).with_suffix(".new")
    wait_until(lambda: is_pipe(pipe), 5, "it to be written, and renamed")
    return unit


def is_pipe(path: Path) -> bool:
    """Make a named pipe there, if nothing else is there now; tell whether it is one."""
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path)
    return path.is_fifo()


def test_the_place_in_redis_is_never_ahead_of_the_disk(broker: Broker, run: Run) -> None:
    """Killed in between, the next daemon would take for read what nobody has obeyed."""
    unit = on_a_hanging_disk(broker, run)
    client, before = broker.client(), []

    entry = client.xadd("statusd:commands", {"command": "start"})

    def is_obeyed() -> bool:
        place = client.get("statusd:cursor:{unit}") or b""
        obeyed = unit.logged("state.changed", new="RUNNING") is not None
        before.extend([] if obeyed else [place])
        return obeyed

    assert isinstance(entry, bytes)
    wait_until(is_obeyed, 5, "the start, half a second late")
    assert before
    assert not any(entry in place for place in before)
    wait_until(lambda: entry in (client.get("statusd:cursor:{unit}") or b""), 5, "the place")


def test_a_disk_that_hangs_holds_up_neither_command_nor_end(broker: Broker, run: Run) -> None:
    """Half a second is granted to it, and a second at the end."""
    unit = on_a_hanging_disk(broker, run)

    broker.client().xadd("statusd:commands", {"command": "start"})
    broker.client().publish("mychannel", "pause")

    unit.wait_state("PAUSED")
    assert [line["new"] for line in unit.log() if line["event"] == "state.changed"] == [
        "READY",
        "RUNNING",
        "PAUSED",
    ]
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(8) == 0
