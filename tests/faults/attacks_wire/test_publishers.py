"""What others may say, and no unit ends or falls silent by it: publishers."""

from __future__ import annotations

import json
import time
from functools import partial

import pytest
import redis

from tests.conftest import Run
from tests.faults.attacks_wire.attacked import STREAM, assert_well, document, is_done, up
from tests.faults.outages import assert_hears, history
from tests.tools import Broker, Journal, Program, wait_until


@pytest.mark.fault("X14")
def test_a_probe_of_somebody_else_ends_nobody(broker: Broker, run: Run) -> None:
    """Anybody may publish on the canary's channel, with the boot that all can read."""
    unit = up(run, broker.url)
    client = broker.client()
    boot = document(client)["boot"]

    for probe in ("9" * 5000, "9" * 25, "1e5", "-1", "\u0661", "", "1_0", " 1"):
        assert client.publish("statusd:canary:{unit}", f"{boot}-{probe}") == 1

        assert_well(unit, broker)
        assert unit.logged("link.lost") is None, probe


@pytest.mark.fault("X16")
def test_a_channel_name_without_an_end_holds_nobody_up(broker: Broker, run: Run) -> None:
    """Patterns with stars, and names that fit each part of them a thousand times."""
    patterns = ["lab.*.cam.*.x.*.cmd", "lab.*", "*a*a*a*a*a*a*a*b"]
    unit = up(run, broker.url, control={"channels": ["mychannel", *patterns]})
    client = broker.client()

    began = time.monotonic()
    client.publish("lab." + ".cam.x" * 50_000, "start")
    client.publish("a" * 300_000, "start")
    client.publish("lab." + "a" * 1021, "start")
    for n in range(200):
        client.publish(f"{n}" + "a" * 1000, "start")
    client.publish("lab.1.cam.2.x.3.cmd", "pause")

    with Journal(client) as journal:
        assert_hears(client, journal)
    assert time.monotonic() - began < 2.0
    ignored = unit.wait_logged("message.ignored")
    assert (ignored["count"], "1024" in ignored["reason"]) == (2, True)
    assert unit.logged("state.changed", new="RUNNING") is None


def test_a_pattern_without_an_end_is_refused(broker: Broker, run: Run) -> None:
    """By the settings, with the key and the reason."""
    unit = run("tests.workers:obedient", broker.url, control={"channels": ["a*" * 129]})

    assert unit.wait_exit() == 78
    assert "at most 256 characters" in unit.output()


@pytest.mark.fault("X27")
def test_a_flood_of_answers_drops_no_event(broker: Broker, run: Run) -> None:
    """What is dropped is told in the history and counted; all that happened stands in there."""
    unit = up(run, broker.url)
    client = broker.client()
    client.publish("mychannel", "start")
    unit.wait_state("RUNNING")
    pipeline = client.pipeline(transaction=False)
    for turn in range(200):
        pipeline.publish("mychannel", "pause" if turn % 2 == 0 else "resume")
        for n in range(300):
            pipeline.publish("mychannel", ("ping", "status")[n % 2])

    pipeline.execute()

    wait_until(lambda: len(steps(client)) == 200, 40, "the last event")
    wait_until(partial(is_told, unit), 10, "what was dropped to be told")
    events = [event for event in history(client) if event["run"] == 1]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert all("dropped unsent" in e["reason"] for e in events if e["trigger"] == "drop")
    assert_well(unit, broker)


def steps(client: redis.Redis) -> list[str]:
    """Return what the flood has led to, as the history has it."""
    return [e["trigger"] for e in history(client) if e["trigger"] in ("pause", "resume")]


def is_told(unit: Program) -> bool:
    """Tell whether a reader of events knows that answers were dropped, if any were."""
    return bool(unit.logged("drop.told")) == bool(unit.logged("outbox.dropped"))


@pytest.mark.fault("X32")
def test_the_ids_of_entries_cannot_be_used_up_beforehand(broker: Broker, run: Run) -> None:
    """On a channel, on the control channel, in a message that is none: the entry is obeyed."""
    unit = up(run, broker.url)
    client = broker.client()
    ahead = int(time.time() * 1000) + 60_000
    entries = [f"{ahead}-{n}" for n in range(3)]
    client.publish("mychannel", json.dumps({"command": "ping", "id": entries[0]}))
    client.publish("statusd:control", json.dumps({"command": "ping", "id": entries[1]}))
    client.publish("mychannel", json.dumps({"cmd": "ping", "id": entries[2]}))

    with Journal(client) as journal:
        for entry, word in zip(entries, ("start", "pause", "resume"), strict=True):
            client.xadd(STREAM, {"command": word}, id=entry)
            wait_until(partial(is_done, journal, entry), 10, f"{word} to be done")

    unit.wait_state("RUNNING")
