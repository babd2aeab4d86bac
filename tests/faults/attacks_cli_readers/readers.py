"""A fleet that reads what an attacker has written: what these tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from statusd import Fleet
from statusd.cli import main
from statusd.fleet.watcher import Watcher
from tests.faults.test_attacks_cli import BOOT
from tests.tools import Broker, wait_until

DEEP = "[" * 100_000


def document(**more: Any) -> str:
    """Return a document of the unit that is bad."""
    return json.dumps({"name": "bad", "boot": BOOT, "state": "RUNNING", **more})


BAD_DOCUMENTS: dict[str, str | bytes] = {
    "no JSON": "{",
    "not UTF-8": b'{"boot": "\xff"}',
    "deep": f'{{"boot": 5, "x": {DEEP}}}',
    "no object": "[]",
    "no boot": "{}",
    "a huge boot": '{"boot": 1e999}',
    "not a number": document(canary_ms=1)[:-1] + ', "x": NaN}',
    "a state that is a list": document(state=["RUNNING"]),
    "tags that are numbers": document(tags=[1, 2]),
    "tags that are no list": document(tags={"a": 1}),
    "a worker that is a text": document(worker="x"),
    "a death that is a list": document(worker={"death": [1]}),
    "a step that is a text": document(progress={"step": "x", "total": []}),
    "allowed that is nothing": document(allowed=None),
    "channels in channels": document(channels=[["a"]]),
    "a stop that is a number": document(stop=3),
    "a last that is deep": document(last={"command": {"a": {}}}),
    "long": document(text="x" * 2_000_000),
}


def states(fleet: Fleet) -> dict[str, str]:
    """Return unit -> state."""
    return {unit.name: unit.state for unit in fleet.status()}


def run(capsys: pytest.CaptureFixture[str], broker: Broker, *words: str) -> tuple[int, str, str]:
    """Run a verb in this process; return its exit code, and what it said."""
    code = main([*words, "--url", broker.url])
    said = capsys.readouterr()
    return code, said.out, said.err


OTHER_TYPES: dict[str, Callable[[redis.Redis, str], Any]] = {
    "string": lambda client, key: client.set(key, "x"),
    "list": lambda client, key: client.rpush(key, "x"),
    "set": lambda client, key: client.sadd(key, "x"),
    "sorted set": lambda client, key: client.zadd(key, {"x": 1}),
    "hash": lambda client, key: client.hset(key, "x", "x"),
    "stream": lambda client, key: client.xadd(key, {"x": "x"}),
}


def next_of(watcher: Watcher, key: str, value: str) -> dict[str, Any]:
    """Return the next event in which ``key`` is that."""

    def polled() -> dict[str, Any] | None:
        found = watcher.poll()
        return found if found is not None and found.get(key) == value else None

    return wait_until(polled, 20, f"{key} {value}")
