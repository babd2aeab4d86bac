"""What survives a daemon, and who may have a name."""

from __future__ import annotations

import signal

import pytest

from tests.conftest import Run
from tests.tools import Broker, Journal, wait_until


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_paused_job_comes_back_paused(how: signal.Signals, broker: Broker, run: Run) -> None:
    """Without running in between, however its daemon went."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")
    broker.client().publish("mychannel", "pause")
    wait_until(lambda: unit.kept().get("goal") == "PAUSED", 15, "the goal")
    unit.signal(how)
    unit.wait_exit(8)

    again = run("tests.workers:obedient", broker.url, goal="RUNNING")

    again.wait_state("PAUSED")
    moves = [line["new"] for line in again.log() if line["event"] == "state.changed"]
    assert moves == ["READY", "PAUSED"]


def test_fresh_forgets_the_goal(broker: Broker, run: Run) -> None:
    """`--fresh` begins with the settings' own goal."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    broker.client().publish("mychannel", "start")
    unit.wait_state("RUNNING")
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(15) == 0

    again = run("tests.workers:obedient", broker.url, args=("--fresh",))

    again.wait_logged("link.up", link="hears")
    again.wait_state("READY")
    with Journal(broker.client()) as journal:
        broker.client().publish("mychannel", '{"command": "status", "id": "s"}')
        status = wait_until(journal.verdicts, 15, "the status")[0]["status"]
    assert (status["goal"], status["state"]) == ("READY", "READY")


def test_an_open_command_is_answered_by_the_next_boot(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """A daemon that was killed owes a final verdict; its successor gives it."""
    unit = run("tests.workers:slow_to_pause", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    wait_until((unit.directory / "working").exists, 15, "the worker to be in its step")
    broker.client().publish("mychannel", '{"command": "pause", "id": "p"}')
    wait_until(lambda: unit.kept().get("open"), 15, "the open command")
    unit.close()

    run("tests.workers:obedient", broker.url)

    wait_until(journal.finals, 15, "the final verdict")
    final = journal.finals()[0]
    assert (final["id"], final["verdict"]) == ("p", "failed")
    assert final["reason"] == "the daemon was restarted"


def test_a_command_that_was_answered_is_not_open_any_more(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """It was, as long as it took; when its verdict is heard, a successor has nothing to answer."""
    unit = run("tests.workers:slow_to_pause", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    wait_until((unit.directory / "working").exists, 15, "the worker to be in its step")
    broker.client().publish("mychannel", '{"command": "pause", "id": "p"}')
    wait_until(lambda: unit.kept().get("open"), 15, "the open command")

    (unit.directory / "release").touch()
    wait_until(journal.finals, 15, "the final verdict")

    assert unit.kept()["open"] == []
    wait_until(lambda: unit.kept()["unsent"] == [], 15, "it to be known that it was sent")
    unit.close()
    again = run("tests.workers:obedient", broker.url)
    again.wait_logged("link.up", link="hears")
    broker.client().publish("mychannel", '{"command": "status", "id": "s"}')
    wait_until(lambda: len(journal.finals()) > 1, 15, "the successor's verdict")
    assert [(v["id"], v["verdict"]) for v in journal.finals()] == [("p", "done"), ("s", "done")]


@pytest.mark.fault("C05")
def test_a_second_daemon_of_that_name_is_refused(broker: Broker, run: Run) -> None:
    """On one machine, with the reason and the first one's pid; the first is not disturbed."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_state("READY")

    second = run("tests.workers:obedient", broker.url)

    assert second.wait_exit(15) == 78
    assert f"runs here already (pid {unit.pid})" in second.output()
    assert unit.exit_code() is None


@pytest.mark.fault("S13")
def test_a_broken_state_file_is_not_overwritten(broker: Broker, run: Run) -> None:
    """The user is told what it is and what to do; --fresh goes on."""
    unit = run("tests.workers:finishing", broker.url, goal="RUNNING")
    assert unit.wait_exit(10) == 0
    state_file = unit.directory / "state" / "unit.json"
    state_file.write_text("{")

    refused = run("tests.workers:finishing", broker.url, goal="RUNNING")

    assert refused.wait_exit(15) == 78
    assert "--fresh" in refused.output()
    assert state_file.read_text() == "{"
    fresh = run("tests.workers:finishing", broker.url, goal="RUNNING", args=("--fresh",))
    assert fresh.wait_exit(10) == 0
