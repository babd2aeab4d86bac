"""Jobs with long steps: the state never says more than the worker has seen, and END waits."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.conftest import Run
from tests.system.commands import statusd
from tests.tools import Broker, Journal, Program, environment, wait_until


def document(broker: Broker) -> dict[str, Any]:
    """Return the unit's status document."""
    found: dict[str, Any] = json.loads(broker.client().get("statusd:status:{unit}") or b"{}")
    return found


def in_a_step(broker: Broker, run: Run, **worker: Any) -> Program:
    """Return a unit whose worker is in a step that lasts until there is a file ``over``."""
    unit = run("tests.jobs:in_long_steps", broker.url, goal="RUNNING", worker=worker)
    unit.wait_logged("link.up", link="hears")
    wait_until((unit.directory / "begun").exists, 15, "a step")
    return unit


def test_a_state_that_is_not_seen_is_not_said_to_be(broker: Broker, run: Run) -> None:
    """In the table, of one unit, in health, and in the document with its time; until it is seen."""
    unit = in_a_step(broker, run)

    broker.client().publish("mychannel", "pause")

    wait_until(lambda: document(broker).get("unseen_since"), 15, "the document")
    assert document(broker)["unseen_since"] == document(broker)["since"]
    for verb in (["status"], ["status", "unit"]):
        assert "PAUSED (not seen yet" in statusd(*verb, "--url", broker.url).stdout
    env = environment(unit.directory)
    assert "PAUSED (not seen yet" in statusd("health", cwd=unit.directory, env=env).stdout
    (unit.directory / "over").touch()
    wait_until(lambda: document(broker)["unseen_since"] is None, 15, "it to be seen")
    assert document(broker)["state"] == "PAUSED"
    assert "PAUSED " in statusd("status", "--url", broker.url).stdout


def test_an_end_by_a_command_waits_for_the_step(broker: Broker, journal: Journal, run: Run) -> None:
    """Stage and time left are shown meanwhile; the step is finished, and nothing was cut off."""
    unit = in_a_step(broker, run)

    broker.client().publish("mychannel", '{"command": "end", "id": "e"}')

    unit.wait_state("ENDING")
    stop = wait_until(lambda: document(broker).get("stop"), 15, "the document")
    assert (stop["stage"], stop["next"]) == ("END said", "SIGTERM")
    assert 50 < stop["in_s"] <= 60
    (unit.directory / "over").touch()
    assert unit.wait_exit(15) == 0
    assert (unit.directory / "left").exists()

    def done() -> list[object]:
        told = [said for said in journal.verdicts() if said.get("id") == "e"]
        return [said.get("reason", "") for said in told if said["verdict"] == "done"]

    wait_until(lambda: done() == [""], 5, "the verdict to come in, with no reason")


@pytest.mark.parametrize("first", ["a signal", "a command"])
def test_a_signal_cuts_the_step_off_and_says_so(
    first: str, broker: Broker, journal: Journal, run: Run
) -> None:
    """After its own time, also if a command's was running; the exit code stays 0."""
    unit = in_a_step(broker, run, signal_stop_timeout_s=0.2)
    if first == "a command":
        broker.client().publish("mychannel", '{"command": "end", "id": "e"}')
        unit.wait_state("ENDING")

    unit.signal(signal.SIGTERM)

    assert unit.wait_exit(15) == 0
    reason = unit.wait_state("END")["reason"]
    assert reason.startswith("SIGTERM after ")
    assert reason.endswith(" in the middle of a step")

    def told() -> list[str]:
        return [said["reason"] for said in journal.verdicts() if said["verdict"] == "done"]

    wanted = [reason] if first == "a command" else []
    wait_until(lambda: told() == wanted, 5, "the verdict to come in")
