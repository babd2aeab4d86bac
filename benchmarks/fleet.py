"""Rows 12: many units at once, as somebody who commands them sees it, and as the broker does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import redis

from benchmarks.rounds import Bench, Figures
from benchmarks.table import Row
from statusd import Fleet

DOCUMENTS = 1000
UNITS = 40
FEW = 8
"""So many units do for a quick look."""
WINDOW_S = 6.0
"""A multiple of the time between two beats."""


def measure(bench: Bench) -> list[Row]:
    """Measure a thousand documents, then a fleet of real daemons."""
    return [*_documents(bench), *_units(bench)]


# ---- a thousand documents ----------------------------------------------------------------------


@contextmanager
def documents(port: int) -> Iterator[list[str]]:
    """Let there be a thousand units, as Redis has them; give the keys of their documents."""
    client = redis.Redis(port=port)
    names = [f"unit-{number:04}" for number in range(DOCUMENTS)]
    keys = [f"statusd:status:{{{name}}}" for name in names]
    document = {"boot": 5, "state": "RUNNING", "tags": [], "text": "x" * 700}
    client.delete("statusd:roster")  # units of other topics stand in it, that have left
    with client.pipeline() as pipe:
        for name, key in zip(names, keys, strict=True):
            pipe.hset("statusd:roster", name, json.dumps({"boot": 5, "left": False, "seen": ""}))
            pipe.set(key, json.dumps(document))
        pipe.execute()
    yield keys
    client.delete("statusd:roster", *keys)
    client.close()


def _documents(bench: Bench) -> list[Row]:
    with documents(bench.broker.port) as keys, redis.Redis(port=bench.broker.port) as client:
        return _looking(bench, client, keys)


def _looking(bench: Bench, client: redis.Redis, keys: list[str]) -> list[Row]:
    def ours() -> Figures:
        with Fleet(bench.broker.url) as fleet:
            fleet.status()
            began = time.monotonic()
            assert len(fleet.status()) == DOCUMENTS
            return {"ms": (time.monotonic() - began) * 1000}

    def theirs() -> Figures:
        began = time.monotonic()
        client.hgetall("statusd:roster")
        found = client.mget(keys)
        assert len([json.loads(text) for text in found if text]) == DOCUMENTS
        return {"ms": (time.monotonic() - began) * 1000}

    samples = bench.interleave("documents", {"redis-py": theirs, "statusd": ours})
    baseline = "redis-py: HGETALL, MGET, json.loads"
    return [
        Row(
            "status of 1,000 units",
            "ms",
            samples["statusd"]["ms"],
            samples["redis-py"]["ms"],
            baseline,
        )
    ]


# ---- real daemons ------------------------------------------------------------------------------


def _units(bench: Bench) -> list[Row]:
    count = FEW if bench.quick else UNITS
    with ExitStack() as stack, Fleet(bench.broker.url) as fleet:
        for number in range(count):
            stack.enter_context(bench.unit("bare", name=f"unit-{number:02}"))
        samples = bench.interleave(
            "fleet",
            {"one": lambda: _send(fleet, "unit-00"), "all": lambda: _send(fleet, "*", count)},
        )
        idle = bench.interleave("presence", {"broker": lambda: _presence(bench, count)})
    return [
        Row(
            f"send --wait to {count} units, all done",
            "ms",
            samples["all"]["ms"],
            samples["one"]["ms"],
            "the same to one of them",
        ),
        Row("presence of a unit: the broker's CPU a minute", "ms", idle["broker"]["ms"]),
        Row("presence of a unit: commands a minute", "", idle["broker"]["commands"]),
    ]


def _send(fleet: Fleet, name: str, count: int = 1) -> Figures:
    began = time.monotonic()
    assert len(fleet.send("pause", name=name, timeout_s=30).done) == count
    took = time.monotonic() - began
    fleet.send("resume", name=name, timeout_s=30)
    return {"ms": took * 1000}


def _presence(bench: Bench, count: int) -> Figures:
    before = _broker(bench)
    time.sleep(WINDOW_S)
    after = _broker(bench)
    a_minute = 60 / WINDOW_S / count
    return {
        "ms": (after[0] - before[0]) * 1000 * a_minute,
        "commands": (after[1] - before[1]) * a_minute,
    }


def _broker(bench: Bench) -> tuple[float, int]:
    """Return the CPU time that the broker has used, in seconds, and the commands it has obeyed."""
    client = redis.Redis(port=bench.broker.port)
    info = client.info()
    client.close()
    assert isinstance(info, dict)
    used = info["used_cpu_user"] + info["used_cpu_sys"]
    return float(used), int(info["total_commands_processed"])
