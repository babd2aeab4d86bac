"""`statusd.attach`: to every end."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest

from tests.system.attach.programs import Start, document, last_reason, way
from tests.tools import (
    Broker,
    Journal,
    wait_until,
)

ENDS = {
    "raising": (1, "ValueError: the detector is on fire", True),
    "exiting": (1, "SystemExit: no film", True),
    "kept_raising": (1, "ValueError: no film", True),
    "hard": (0, "process died", True),
    "unleft": (0, "the program has dropped its worker", False),
    "kept": (0, "the program has ended", False),
    "abandoned_thread": (0, "the program has ended", False),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end_of_its_own_is_told_with_its_cause(
    name: str, start: Start, journal: Journal
) -> None:
    """FAILED, then END, if something went wrong; and the program's exit code is its own."""
    code, reason, failed = ENDS[name]

    parent = start(name)

    assert parent.wait_exit() == code
    assert last_reason(journal) == reason
    assert ("FAILED" in way(journal)) is failed
    assert way(journal).endswith("ENDING END")


def test_a_killed_program_is_told_of(start: Start, journal: Journal) -> None:
    """SIGKILL: its daemon says that the process died, and goes within two seconds."""
    parent = start("looping")
    parent.wait_said("attached")

    parent.process.kill()

    assert parent.wait_exit() == -signal.SIGKILL
    assert last_reason(journal) == "process died"
    assert way(journal) == "READY RUNNING FAILED ENDING END"


def test_an_interrupted_program_ends_well(start: Start, journal: Journal) -> None:
    """Ctrl-C reaches its process group and not the daemon, which has the last word."""
    parent = start("looping")
    parent.wait_said("attached")
    (daemon,) = parent.daemons()
    assert daemon.group == daemon.pid

    os.killpg(parent.process.pid, signal.SIGINT)

    assert parent.wait_exit() == -signal.SIGINT
    assert last_reason(journal) == "the block was left by KeyboardInterrupt"
    assert way(journal) == "READY RUNNING ENDING END"


def test_an_interrupted_program_is_not_kept_by_a_frozen_broker(
    start: Start, broker: Broker
) -> None:
    """It leaves, and its daemon with it, though nobody takes its last words."""
    parent = start("looping")
    parent.wait_said("attached")
    broker.freeze()

    os.killpg(parent.process.pid, signal.SIGINT)

    assert parent.wait_exit() == -signal.SIGINT
    broker.thaw()


def test_a_program_that_becomes_another_one_has_left(start: Start, journal: Journal) -> None:
    """execve(2) closes its ends; the new program is let alone."""
    parent = start("replaced")
    parent.wait_said("attached")

    assert last_reason(journal) == "the program has let go of its worker"
    assert parent.process.poll() is None


def test_a_program_that_does_not_leave_is_never_killed(
    start: Start, broker: Broker, journal: Journal
) -> None:
    """`failed` after stop_timeout_s, `force` refused, two signals in vain; later it leaves."""
    parent = start("deaf")
    parent.wait_said("attached")
    client = broker.client()

    client.publish("mychannel", '{"command": "end", "id": "e"}')
    wait_until(lambda: len(journal.finals()) == 1, 10, "the verdict")
    client.publish("mychannel", '{"command": "force", "id": "f"}')
    wait_until(lambda: len(journal.finals()) == 2, 10, "the other one")
    (daemon,) = parent.daemons()
    os.kill(daemon.pid, signal.SIGTERM)
    os.kill(daemon.pid, signal.SIGTERM)

    told = [(v["id"], v["verdict"], v["reason"]) for v in journal.finals()]
    assert told == [
        ("e", "failed", "the program has not left within 0.3 s"),
        ("f", "refused", "the program isn't ours to kill: statusd is attached to it"),
    ]
    assert parent.process.poll() is None
    assert way(journal) == "READY RUNNING ENDING"
    parent.process.send_signal(signal.SIGUSR1)
    assert parent.wait_exit() == 0
    assert last_reason(journal) == "the block was left"


def test_a_hang_is_told_and_not_punished(start: Start, broker: Broker, journal: Journal) -> None:
    """An event and a text; when it goes on, so does the unit."""
    parent = start("hanging")
    wait_until(lambda: "hang" in triggers(journal), 10, "the hang")
    text = wait_until(lambda: document(broker).get("text"), 10, "its text")

    parent.process.send_signal(signal.SIGUSR1)

    wait_until(lambda: "recover" in triggers(journal), 10, "it to go on")
    assert re.fullmatch(r"hung: no progress for \d+ s", text)
    assert way(journal) == "READY RUNNING RUNNING RUNNING"
    assert document(broker)["state"] == "RUNNING"
    assert parent.process.poll() is None


def triggers(journal: Journal) -> list[Any]:
    """Return the triggers of all events."""
    return [event["trigger"] for event in journal.events()]
