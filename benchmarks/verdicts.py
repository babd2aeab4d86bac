"""Rows 2: from a command to the final verdict at its sender."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import redis

from benchmarks.broker import Wire, pack
from benchmarks.contestants import CHANNEL
from benchmarks.latency import GAP_S, NAMES, TRIGGERS, WARM_UP
from benchmarks.rounds import Bench, Figures, Latencies
from benchmarks.seed import ACKS
from benchmarks.table import Goal, Of, Row

COMMANDS = 500
ALONE, ALONE_S = 50, 0.06
"""So many come one by one, each when all that the last one has led to is over."""
SENDS = Goal(2.0, Of.VALUE)
REPLIES = "statusd:reply:bench"


def measure(bench: Bench) -> list[Row]:
    """Measure raw sockets at statusd's sender, redis-py at both ends of the other."""
    samples = bench.interleave(
        "verdicts",
        {
            "S": lambda: by_redis_py(bench),
            "statusd": lambda: round_of(bench),
            "near": lambda: round_of(bench, is_near=True),
            "limit": lambda: _limit(bench),
        },
    )
    alone = bench.interleave("sends", {"statusd": lambda: _sends(bench)})["statusd"]["sends"]
    return (
        [
            Row("sends to the broker for a command that comes alone", "", alone, goal=SENDS),
        ]
        + [
            Row(
                f"command -> final verdict at its sender, {quantile}",
                "us",
                samples["statusd"][quantile],
                samples["S"][quantile],
                "S with an ack channel, redis-py at both ends",
                goal,
                limit=samples["limit"][quantile],
            )
            for quantile, goal in (("p50", Goal(1.0)), ("p99", None))
        ]
        + [
            Row(
                f"the same, the unit by the broker's Unix socket, {quantile}",
                "us",
                samples["near"][quantile],
                samples["statusd"][quantile],
                "the unit by TCP",
            )
            for quantile in ("p50", "p99")
        ]
    )


def round_of(bench: Bench, words: tuple[str, str] = TRIGGERS, *, is_near: bool = False) -> Figures:
    """Command a unit by turns, and return the quantiles of how long its final verdicts took."""
    port = bench.broker.port
    with (
        bench.unit("bare", is_near=is_near),
        Wire(port) as sender,
        Wire(port, REPLIES) as subscriber,
    ):
        taken = []
        for number in range(WARM_UP + bench.size(COMMANDS)):
            command = {"command": words[number & 1], "id": str(number), "reply_to": REPLIES}
            message = pack("PUBLISH", CHANNEL, json.dumps(command))
            time.sleep(random.uniform(*GAP_S))
            sent = time.monotonic_ns()
            sender.send(message)
            wait_done(subscriber, str(number))
            taken.append((time.monotonic_ns() - sent) / 1000)
            sender.take()
    return Latencies(taken[WARM_UP:])


def _sends(bench: Bench) -> Figures:
    """Return how often the broker reads for a command that comes alone, beside what it does idly.

    The sender's own command is one of its reads, and so is each question for their number.
    """
    port = bench.broker.port
    with bench.unit("blocked"), Wire(port) as sender:

        def reads(words: tuple[str, ...]) -> int:
            before = sender.count("total_reads_processed")
            for word in words:
                if word:
                    sender.call("PUBLISH", CHANNEL, word)
                time.sleep(ALONE_S)
            return sender.count("total_reads_processed") - before - 1

        count = 2 * bench.size(ALONE)
        busy, idle = reads(TRIGGERS * (count // 2)), reads(("",) * count)
        return {"sends": round((busy - count - idle) / count, 1)}


def answer_to(subscriber: Wire, wanted: str) -> dict[str, Any]:
    """Return the final verdict on the command of that id."""
    while True:
        verdict: dict[str, Any] = json.loads(subscriber.take()[2])
        if verdict["id"] == wanted and verdict["verdict"] != "accepted":
            return verdict


def wait_done(subscriber: Wire, wanted: str) -> None:
    """Return when the command of that id is done.

    Raises:
        ValueError: it got another final verdict.
    """
    verdict = answer_to(subscriber, wanted)
    if verdict["verdict"] != "done":
        raise ValueError(f"command {wanted}: {verdict}")


def _limit(bench: Bench) -> Figures:
    port = bench.broker.port
    with bench.limit("ack"), Wire(port) as sender, Wire(port, ACKS) as subscriber:
        taken = []
        for number in range(WARM_UP + bench.size(COMMANDS)):
            message = pack("PUBLISH", CHANNEL, NAMES[number & 1])
            time.sleep(random.uniform(*GAP_S))
            sent = time.monotonic_ns()
            sender.send(message)
            subscriber.take()
            taken.append((time.monotonic_ns() - sent) / 1000)
            sender.take()
    return Latencies(taken[WARM_UP:])


def by_redis_py(bench: Bench) -> Figures:
    """Command S, which answers, and return the quantiles of how long its answers took."""
    taken = []
    with (
        bench.seed("ack"),
        redis.Redis(port=bench.broker.port) as client,
        client.pubsub() as subscriber,
    ):
        subscriber.subscribe(ACKS)
        heard = subscriber.listen()
        next(heard)
        for number in range(WARM_UP + bench.size(COMMANDS)):
            time.sleep(random.uniform(*GAP_S))
            sent = time.monotonic_ns()
            client.publish(CHANNEL, NAMES[number & 1])
            next(heard)
            taken.append((time.monotonic_ns() - sent) / 1000)
    return Latencies(taken[WARM_UP:])
