"""Messages that nobody should send: binary channels, megabytes, words for another life or place."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import redis

from tests.conftest import BROKERS, Run
from tests.tools import Broker, Journal, Program, wait_until

QUIET_S = 7.0
"""Longer than what some clients take for the death of a silent connection."""
MEBIBYTE = 1 << 20
MOST_MEMORY = 400 * MEBIBYTE
"""What a daemon may need at most, whatever it is sent."""


def is_done(journal: Journal, command_id: str) -> bool:
    """Tell whether the command with that id is done."""
    return any(v.get("id") == command_id and v["verdict"] == "done" for v in journal.verdicts())


def verdict(journal: Journal, command_id: str) -> dict[str, object]:
    """Return the newest verdict to the command with that id, once there is one."""
    found = [v for v in journal.verdicts() if v.get("id") == command_id]
    return found[-1] if found else {}


@pytest.mark.fault("M02")
def test_a_channel_of_any_bytes_is_heard_and_harmless(broker: Broker, run: Run) -> None:
    """Under a pattern its words are obeyed, and it is told in ASCII; nothing is lost by it."""
    unit = run("tests.workers:obedient", broker.url, control={"channels": ["lab*"]})
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    client = broker.client()

    client.publish(b"lab\xff\xfe\n\x1b[31m", "start")

    line = unit.wait_state("RUNNING")
    assert line["source"].isascii()
    assert line["source"].isprintable()
    client.publish("lab", "END")
    assert unit.wait_exit(15) == 0
    assert unit.logged("link.lost") is None


@pytest.mark.fault("N08")
def test_a_channel_on_which_nothing_is_said_is_not_dead(broker: Broker, run: Run) -> None:
    """Seven seconds of silence: the link stays, and the next word is obeyed."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    until = time.monotonic() + QUIET_S

    wait_until(lambda: time.monotonic() > until, 15, "the silence to be over")

    assert broker.client().publish("mychannel", "start") == 1
    unit.wait_state("RUNNING")
    assert unit.logged("link.lost") is None


@pytest.mark.fault("N12", "M09", "X07")
@pytest.mark.parametrize("limits", ["as they are", "lifted"])
def test_a_huge_message_is_survived(limits: str, run: Run) -> None:
    """The broker hangs up, or we do; memory is bounded, and the next word is obeyed."""
    conf = {"client-output-buffer-limit": "pubsub 0 0 0"} if limits == "lifted" else {}
    with Broker(BROKERS["valkey"], conf=conf) as broker:
        unit = run("tests.workers:obedient", broker.url)
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")
        client = redis.Redis(port=broker.port, socket_timeout=20)
        for size in (1, 20, 63, 100):
            outages = count(unit, "link.lost")
            client.publish("mychannel", b"x" * (size * MEBIBYTE))
        # The last is over every limit: it must cost the link.
        wait_until(lambda: count(unit, "link.lost") > outages, 20, "the loss")
        # The broker counts a subscriber that it is about to drop: once may not be enough.
        wait_until(lambda: is_started(unit, client), 15, "the next word to be obeyed")
        client.close()

        most = int(status_of(unit.pid, "VmHWM")) * 1024
        print(f"\nlimits {limits}: 184 MiB sent, the daemon had {most / MEBIBYTE:.0f} MiB at most")
        assert most < MOST_MEMORY


def is_started(unit: Program, client: redis.Redis) -> bool:
    """Say start, and tell whether that was obeyed."""
    client.publish("mychannel", "start")
    return unit.logged("state.changed", new="RUNNING") is not None


def count(unit: Program, event: str) -> int:
    """Return how often the hearing link has logged ``event``."""
    return sum(line["event"] == event and line.get("link") == "hears" for line in unit.log())


def status_of(pid: int, field: str) -> str:
    """Return a number from /proc/PID/status."""
    rows = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(row.split()[1] for row in rows if row.startswith(f"{field}:"))


@pytest.mark.fault("M12")
def test_a_word_for_an_earlier_life_is_refused(broker: Broker, journal: Journal, run: Run) -> None:
    """Of an older run, or of an older boot: nothing has changed; for this one it is obeyed."""
    quick = {"backoff_s": [0.05, 0.1]}
    first = run("tests.workers:obedient", broker.url, goal="RUNNING", worker=quick)
    first.wait_state("RUNNING")
    wait_until(journal.events, 15, "an event")
    old_boot = journal.events()[0]["boot"]
    first.signal(signal.SIGTERM)
    assert first.wait_exit(15) == 0
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING", worker=quick)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")
    os.kill(unit.worker_pid(), signal.SIGKILL)
    now = unit.wait_logged("state.changed", new="RUNNING", run=3)
    client = broker.client()

    client.publish("mychannel", json.dumps({"command": "end", "id": "run", "run": now["run"] - 1}))
    client.publish("mychannel", json.dumps({"command": "end", "id": "boot", "boot": old_boot}))
    client.publish("mychannel", json.dumps({"command": "pause", "id": "now", "run": now["run"]}))

    wait_until(lambda: is_done(journal, "now"), 15, "the pause")
    assert verdict(journal, "run")["verdict"] == verdict(journal, "boot")["verdict"] == "refused"
    assert [e["new"] for e in journal.events()][-2:] == ["RUNNING", "PAUSED"]


@pytest.mark.fault("M14")
def test_the_namespace_separates_and_not_the_database(broker: Broker, run: Run) -> None:
    """A word on another namespace's control channel isn't heard; one from another database is."""
    redis_table = {"url": broker.url.replace("/0", "/3"), "namespace": "lab"}
    unit = run("tests.workers:obedient", broker.url, redis=redis_table)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    elsewhere = redis.Redis(port=broker.port, db=9)

    assert elsewhere.publish("statusd:control", "END") == 0
    assert elsewhere.publish("lab:control", "start") == 1

    unit.wait_state("RUNNING")
    elsewhere.close()
