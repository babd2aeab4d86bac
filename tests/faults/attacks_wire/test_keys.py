"""What others may say, and no unit ends or falls silent by it: keys that none of us has written."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from tests.conftest import Run
from tests.faults.attacks_wire.attacked import (
    HISTORY,
    STREAM,
    assert_well,
    document,
    history_or_none,
    is_done,
    up,
)
from tests.faults.outages import lines
from tests.tools import Broker, Journal, Program, wait_until
from tests.tools.variants import nightly, some

CURSOR = "statusd:cursor:{unit}"

OWNER = "statusd:owner:{unit}"

ROSTER = "statusd:roster"

VALUES = [
    *("", "junk", "[]", "5", "null", "\x1b[2J", "[" * 100_000, '{"id":' * 50_000, "x" * 70_000_000),
    *('{"id":"1e999-0","added":1}', '{"id":["1-1"],"added":1}', '{"id":{"a":"1-1"}}'),
    *('{"id":"1-1","added":1e999}', '{"id":"1-1","added":-1}', f'{{"id":"1-1","added":{10**30}}}'),
    *(
        f'{{"id":"{10**30}-0","added":1}}',
        '{"id":"%s-0"}' % ("9" * 3000),
        '{"id":"1-1","id":"2-1"}',
    ),
    *('{"boot":1e999,"host":"a","pid":1}', f'{{"boot":{10**30},"host":"a","pid":1}}'),
    *('{"boot":5,"host":["a"],"pid":1}', f'{{"boot":5,"host":"a","pid":{10**30}}}'),
    *('{"boot":"5","host":"a","pid":true}', '{"boot":5,"host":"a","pid":1}'),
    '{"boot":%s,"left":false,"seen":7}' % ("9" * 4000),
]
"""What may stand in a string, or in a field of the roster."""


def of_type(client: redis.Redis, key: str, kind: str) -> None:
    """Make ``key`` one of another type."""
    client.delete(key)
    match kind:
        case "string":
            client.set(key, "junk")
        case "list":
            client.rpush(key, "a")
        case "set":
            client.sadd(key, "a")
        case "zset":
            client.zadd(key, {"a": 1})
        case "hash":
            client.hset(key, "a", "b")
        case "stream":
            client.xadd(key, {"a": "b"})
        case _:
            client.setbit(key, 7, 1)


def assert_at_home(unit: Program, broker: Broker) -> None:
    """Assert that the unit holds its name, is in the roster, and obeys both kinds of commands."""
    client = broker.client()
    boot = document(client)["boot"]
    wait_until(lambda: boot_in(peek(client, OWNER)) == boot, 10, "the name")
    wait_until(lambda: boot_in(peek(client, ROSTER, "unit")) == boot, 10, "the roster")
    assert_well(unit, broker)
    with Journal(client) as journal:
        entry = client.xadd(STREAM, {"command": "start"})
        assert isinstance(entry, bytes)
        wait_until(lambda: is_done(journal, entry.decode()), 10, "a durable command")
    wait_until(lambda: entry in (peek(client, CURSOR) or b""), 10, "the cursor")
    wait_until(lambda: history_or_none(client)[-1:] == ["RUNNING"], 10, "the history")


def boot_in(value: Any) -> int:
    """Return the boot in a value; 0 if there is none."""
    try:
        return int(json.loads(value)["boot"])
    except (TypeError, ValueError, KeyError, RecursionError):
        return 0


@pytest.mark.fault("X18")
@pytest.mark.parametrize("value", some(VALUES, 5), ids=lambda value: value[:30] or "empty")
def test_a_start_with_poisoned_keys_is_a_start(value: str, broker: Broker, run: Run) -> None:
    """Cursor, owner, roster: unreadable is absent; it is told once and written anew."""
    client = broker.client()
    client.execute_command("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")  # type: ignore[no-untyped-call]  # redis-py
    client.set(CURSOR, value)
    client.set(OWNER, value)
    client.hset(ROSTER, "unit", value)

    unit = up(run, broker.url)

    assert_at_home(unit, broker)
    assert len(lines(unit, "key.unreadable", key=OWNER)) <= 1
    assert unit.logged("link.lost") is None


@pytest.mark.fault("X18")
@pytest.mark.parametrize(
    "kind", ["string", "stream", *nightly("list", "set", "zset", "hash", "bits")]
)
def test_keys_of_another_type_are_healed(kind: str, broker: Broker, run: Run) -> None:
    """At the start and while the unit lives; what stood there is put aside, not deleted."""
    client = broker.client()
    for key in (CURSOR, OWNER, ROSTER, HISTORY):
        if (key, kind) not in ((ROSTER, "hash"), (HISTORY, "stream")):
            of_type(client, key, kind)

    unit = up(run, broker.url)
    assert_at_home(unit, broker)
    for key in (CURSOR, OWNER, ROSTER, HISTORY):
        if (key, kind) not in ((ROSTER, "hash"), (HISTORY, "stream")):
            of_type(client, key, kind)
    client.publish("mychannel", "pause")

    wait_until(lambda: history_or_none(client)[-1:] == ["PAUSED"], 15, "the history to be kept")
    boot = document(client)["boot"]
    wait_until(lambda: boot_in(peek(client, OWNER)) == boot, 15, "the name")
    wait_until(lambda: boot_in(peek(client, ROSTER, "unit")) == boot, 15, "the roster")
    if kind != "stream":
        assert client.exists("statusd:unreadable:history:{unit}")
    assert_well(unit, broker)


def peek(client: redis.Redis, key: str, field: str = "") -> Any:
    """Return a value, or a field of a hash; None as long as it is of another type."""
    try:
        return client.hget(key, field) if field else client.get(key)
    except redis.ResponseError:
        return None


@pytest.mark.fault("X18")
@pytest.mark.parametrize("kind", ["list", *nightly("string", "hash")])
def test_a_stream_of_another_type_is_told_and_read_when_it_is_right(
    kind: str, broker: Broker, run: Run
) -> None:
    """It is everybody's, so nobody moves it; commands on channels are obeyed meanwhile."""
    client = broker.client()
    of_type(client, STREAM, kind)

    unit = up(run, broker.url)

    wait_until(lambda: "WRONGTYPE" in str(document(client).get("trouble")), 10, "the trouble")
    assert unit.wait_logged("commands.unreadable")["key"] == STREAM
    assert_well(unit, broker)
    client.delete(STREAM)
    assert_at_home(unit, broker)
    wait_until(lambda: not document(client).get("trouble"), 10, "the trouble to be over")


@pytest.mark.fault("X18")
def test_entries_too_large_to_be_read_together_are_read_one_by_one(
    broker: Broker, run: Run
) -> None:
    """A hundred megabytes in one reply are too much for broker and unit; the last word counts."""
    client = broker.client()
    unit = up(run, broker.url)
    pipeline = client.pipeline(transaction=True)
    for _ in range(100):
        pipeline.xadd(STREAM, {"command": b"x" * 1_000_000})
    pipeline.execute()

    entry = client.xadd(STREAM, {"command": "start"})

    assert isinstance(entry, bytes)
    unit.wait_state("RUNNING", 60)
    assert_well(unit, broker)
