"""The end in stages: it stays commandable, tells how far it is, and is over in time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, settings
from tests.tools import Broker, Journal, wait_until
from tests.tools.toml import to_toml

SLOW = {"stop_timeout_s": 60, "kill_timeout_s": 60, "ready": "notified"}


def test_the_stage_and_the_time_left_are_told(broker: Broker, journal: Journal, run: Run) -> None:
    """By `status` and in the document, while the worker takes its time."""
    unit = run("tests.workers:stubborn", broker.url, worker=SLOW)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    client = broker.client()

    client.publish("mychannel", "end")
    unit.wait_state("ENDING")
    client.publish("mychannel", '{"command": "end", "id": "again"}')
    client.publish("mychannel", '{"command": "status", "id": "s"}')

    wait_until(lambda: len(journal.verdicts()) >= 3, 15, "three verdicts")
    again, status = journal.verdicts()[-2:]
    assert again["verdict"] == "noop"
    stop = status["status"]["stop"]
    assert (stop["stage"], stop["next"]) == ("END said", "SIGTERM")
    assert 50 < stop["in_s"] <= 60
    client.publish("mychannel", "force")
    assert unit.wait_exit(15) == 0


@pytest.mark.fault("G06")
def test_the_third_signal_is_out_at_once(broker: Broker, run: Run) -> None:
    """END, force, and then nobody is waited for, not even for the last words."""
    unit = run("tests.workers:stubborn", broker.url, worker=SLOW)
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("READY")
    broker.freeze()

    unit.signal(signal.SIGTERM)
    unit.wait_state("ENDING")
    unit.signal(signal.SIGINT)
    unit.wait_state("END")
    unit.signal(signal.SIGTERM)

    assert unit.wait_exit(0.5) == 128 + signal.SIGTERM
    assert unit.leftovers() == []
    broker.thaw()


def test_last_words_that_could_not_be_said_are_said_by_the_next(broker: Broker, run: Run) -> None:
    """The broker is frozen at the end: the next start sends the events from the state file."""
    unit = run("tests.workers:obedient", broker.url, name="a", goal="RUNNING")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("RUNNING")
    client = broker.client()
    wait_until(lambda: client.xlen("statusd:history:{a}") == 2, 15, "the first events")

    broker.freeze()
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(8) == 0
    broker.thaw()
    kept = json.loads(next(Path(unit.directory).rglob("a.json")).read_text())["unsent"]
    again = run("tests.workers:obedient", broker.url, name="a")
    again.wait_state("RUNNING")

    assert len(kept) >= 4  # two events, each in the history and published
    wait_until(lambda: client.xlen("statusd:history:{a}") >= 5, 15, "all events")
    entries: Any = client.xrange("statusd:history:{a}")
    states = [json.loads(fields[b"event"])["new"] for _, fields in entries]
    assert states[:5] == ["READY", "RUNNING", "ENDING", "END", "READY"]


@pytest.mark.fault("G15", "R06")
@pytest.mark.parametrize("where", ["/dev/full", "&-"])
def test_an_output_that_takes_nothing_stops_nobody(
    where: str, broker: Broker, tmp_path: Path
) -> None:
    """Standard output and error on a full disk, or closed: words are obeyed, END is reached."""
    file = tmp_path / "statusd.toml"
    toml = settings("tests.workers:obedient", broker.url, goal="RUNNING")
    file.write_text(to_toml(toml | {"state_directory": str(tmp_path)}))
    script = f'exec "$0" -m statusd run "$1" >{where} 2>{where}'
    client = broker.client()
    document = "statusd:status:{unit}"
    with subprocess.Popen(["sh", "-c", script, sys.executable, str(file)]) as unit:
        try:
            wait_until(lambda: b'"state":"RUNNING"' in (client.get(document) or b""), 15, "RUNNING")
            wait_until(lambda: client.publish("mychannel", "pause"), 15, "somebody to hear it")
            wait_until(lambda: b'"state":"PAUSED"' in (client.get(document) or b""), 15, "PAUSED")
            client.publish("mychannel", "end")

            assert unit.wait(5) == 0
        finally:
            unit.kill()


@pytest.mark.fault("S14", "G04", "G05")
def test_a_thousand_signals_are_survived(broker: Broker, run: Run) -> None:
    """SIGHUP and SIGCONT while it logs: it goes on, and obeys the next word."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")

    for _ in range(1000):
        os.kill(unit.pid, signal.SIGHUP)
        os.kill(unit.pid, signal.SIGCONT)

    broker.client().publish("mychannel", "pause")
    unit.wait_state("PAUSED")
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(15) == 0
    assert unit.logged("bug.caught") is None
