"""Readers judge record by record, and believe no server: anything, anywhere."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import redis

from statusd import Fleet
from tests.faults.attacks_cli_readers.readers import OTHER_TYPES, next_of, run, states
from tests.faults.test_attacks_cli import BOOT, answering, event
from tests.tools import Broker


def any_json(chance: random.Random, depth: int = 0) -> Any:
    """Return a random value."""
    kind = chance.randrange(9 if depth < 4 else 7)
    if kind == 7:
        return [any_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 8:
        keys = ("name", "boot", "state", "tags", "worker", "event", "verdict", "id", "seq", "x")
        return {
            chance.choice(keys): any_json(chance, depth + 1) for _ in range(chance.randrange(5))
        }
    return chance.choice([None, True, -1, 2**70, 1.5, float("nan"), float("inf"), "", "\x1b", BOOT])


def any_text(chance: random.Random) -> bytes:
    """Return random JSON, a document with something random in it, or random bytes."""
    kind = chance.randrange(3)
    if kind == 0:
        return chance.randbytes(chance.randrange(40))
    if kind == 1:
        return json.dumps(any_json(chance)).encode()
    whole = {"name": "bad", "boot": BOOT, "state": "RUNNING", "event": "5-1", "verdict": "done"}
    key = chance.choice([*whole, "tags", "channels", "allowed", "worker", "progress", "last"])
    return json.dumps(whole | {key: any_json(chance)}).encode()


def poison(chance: random.Random, client: redis.Redis) -> None:
    """Do something random to one of our keys, or say something random on one of our channels."""
    name = chance.choice(["bad", "worse", "\x1b[2J"])
    keys = [f"statusd:{kind}:{{{name}}}" for kind in ("status", "history", "owner", "cursor")]
    act = chance.randrange(5)
    key = chance.choice(keys)
    if act == 0:
        client.delete(key)
        OTHER_TYPES[chance.choice(sorted(OTHER_TYPES))](client, key)
    elif act == 1:
        client.hset("statusd:roster", name, any_text(chance))
    elif act == 2:
        client.set(f"statusd:status:{{{name}}}", any_text(chance))
    elif act == 3 and client.type(keys[1]) in (b"none", b"stream"):
        client.xadd(keys[1], {chance.choice(["event", "x"]): any_text(chance)})
    else:
        channel = chance.choice(["control", "verdicts", "events"])
        client.publish(f"statusd:{channel}", any_text(chance))


@pytest.mark.fault("X21")
def test_whatever_stands_in_our_keys_the_good_is_seen(
    broker: Broker, fleet: Fleet, rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON, bytes and types at random: status, send, watch and history go on for the others."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # shown if the test fails
    chance, client = random.Random(seed), broker.client()
    verdict = {"verdict": "done", "name": "good", "boot": BOOT, "state": "PAUSED"}
    with fleet.watch() as watcher, answering(broker, b"", verdict):
        watcher.poll()
        for number in range(1, 1 + rounds * 2):
            for _ in range(10):
                poison(chance, client)
            assert states(fleet)["good"] == "RUNNING"
            report = fleet.send("pause", name=["good"], timeout_s=5)
            assert [outcome.name for outcome in report.done] == ["good"]
            event_id, fields = event("good", number)
            client.xadd("statusd:history:{good}", fields, id=event_id)
            assert next_of(watcher, "event", event_id)
            for words in (["status"], ["status", "--json"], ["status", "bad"], ["history", "bad"]):
                code, said, _ = run(capsys, broker, *words)
                assert code in (0, 5, 69)
                assert said.replace("\n", "").isprintable()
    capsys.readouterr()
    print(f"seed {seed}")
