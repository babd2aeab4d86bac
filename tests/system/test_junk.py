"""Anything may arrive on a channel. Afterwards END still works, nothing has changed, no storm."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Run
from tests.tools import Broker, Journal, wait_until

JUNK = {
    "binary": bytes(range(256)),
    "bad UTF-8": b"\xff\xfe END",
    "NUL": b"END\0",
    "empty": b"",
    "blank": b"  \n",
    "1 MB": b"x" * 1_000_000,
    "1 MB of JSON": b'{"command": "' + b"x" * 1_000_000 + b'"}',
    "deep JSON": b'{"command":' + b"[" * 8000,
    "duplicate keys": b'{"command": "status", "command": "end"}',
    "to_END": b"to_END",
    "__class__": b"__class__",
    "may_start": b"may_start",
    "a trigger of the daemon": b"exited",
    "full width": "\uff25\uff2e\uff24".encode(),
    "not finite": b'{"command": "start", "args": {"x": NaN}}',
    "an array": b'["end"]',
    "a health check": b"redis-py-health-check",
    "a misspelt target": b'{"command": "end", "targets": {"name": "x"}}',
}


@pytest.mark.fault("M01", "M03", "M04", "M05", "M06", "M07", "M10", "S09", "S10", "S11")
@pytest.mark.parametrize("subscribed", ["mychannel", "*"])
def test_junk_changes_nothing(subscribed: str, broker: Broker, journal: Journal, run: Run) -> None:
    """Every kind of junk, on a plain channel and for a unit that hears simply everything."""
    unit = run("tests.workers:blocked", broker.url, control={"channels": [subscribed]})
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    client = broker.client()

    for payload in JUNK.values():
        client.publish("mychannel", payload)
    client.publish("mychannel", '{"command": "ping", "id": "after"}')

    wait_until(lambda: answer(journal, "after"), 15, "the answer to ping")
    assert answer(journal, "after")["state"] == "READY"
    wait_until(lambda: told_junk(journal) == len(JUNK), 15, "all junk to be answered in sum")
    assert len(journal.verdicts()) < 8
    assert [e["new"] for e in journal.events()] in ([], ["READY"])
    client.publish("mychannel", "END")
    assert unit.wait_exit(15) == 0


def test_junk_that_comes_with_the_end_is_counted(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """It is answered once a second, and there is no next second."""
    unit = run("tests.workers:blocked", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    pipe = broker.client().pipeline(transaction=False)

    pipe.publish("mychannel", "xyzzy")
    pipe.execute()
    wait_until(lambda: told_junk(journal) == 1, 15, "the first of it to be answered")
    for _ in range(500):
        pipe.publish("mychannel", "xyzzy")
    pipe.publish("mychannel", "END")
    pipe.execute()

    assert unit.wait_exit(15) == 0
    wait_until(lambda: told_junk(journal) == 501, 5, "all junk to be answered in sum")


def answer(journal: Journal, command_id: str) -> dict[str, object]:
    """Return the verdict to the command with that id, or an empty one."""
    return next((v for v in journal.verdicts() if v.get("id") == command_id), {})


def told_junk(journal: Journal) -> int:
    """Return how many messages have been called invalid so far."""
    return sum(v.get("count", 1) for v in journal.verdicts() if v["verdict"] == "invalid")


def test_bad_json_with_an_id_is_answered_singly(broker: Broker, journal: Journal, run: Run) -> None:
    """Whoever gave an id gets the reason under that id, on its own channel as well."""
    unit = run("tests.workers:blocked", broker.url)
    unit.wait_logged("link.up", link="hears")
    client = broker.client()
    replies = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
    replies.subscribe("statusd:reply:me")
    message = {"command": "end", "id": "a", "reply_to": "statusd:reply:me", "tarjet": {}}

    client.publish("mychannel", json.dumps(message))

    wait_until(lambda: answer(journal, "a"), 15, "the verdict")
    assert answer(journal, "a")["verdict"] == "invalid"
    assert "did you mean 'target'?" in str(answer(journal, "a")["reason"])
    reply = wait_until(lambda: replies.get_message(timeout=0), 15, "the reply")
    assert json.loads(reply["data"])["id"] == "a"
    replies.close()


def test_answers_are_never_answered(broker: Broker, journal: Journal, run: Run) -> None:
    """Two units that hear everything don't talk each other to death."""
    units = [
        run("tests.workers:blocked", broker.url, name=name, control={"channels": ["*"]})
        for name in ("one", "two")
    ]
    for unit in units:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")
    client = broker.client()

    client.publish("elsewhere:verdicts", '{"verdict": "done", "name": "x"}')
    client.publish("mychannel", "resume")
    for name in ("one", "two"):
        client.publish(
            "mychannel", json.dumps({"command": "ping", "id": name, "target": {"name": name}})
        )

    wait_until(lambda: len(journal.verdicts()) >= 4, 15, "two refusals and two pings")
    assert sorted(v["verdict"] for v in journal.verdicts()) == ["done"] * 2 + ["refused"] * 2


@pytest.mark.fault("M15")
def test_a_flood_of_words_is_answered_in_sum(broker: Broker, journal: Journal, run: Run) -> None:
    """20,000 words that change nothing: each is counted, few answers, and END comes through."""
    unit = run("tests.workers:blocked", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    pipe = broker.client().pipeline(transaction=False)
    for _ in range(10_000):
        pipe.publish("mychannel", "resume")
        pipe.publish("mychannel", "nonsense")
    pipe.publish("mychannel", "END")

    pipe.execute()

    assert unit.wait_exit(15) == 0
    refused = [v for v in journal.verdicts() if v["verdict"] == "refused"]
    assert sum(v.get("count", 1) for v in refused) == 10_000
    assert len(journal.verdicts()) < 60
