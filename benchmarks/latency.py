"""Rows 1: from PUBLISH to the worker that acts."""

from __future__ import annotations

import random
import time

from benchmarks.broker import Wire, pack
from benchmarks.contestants import CHANNEL, Contestant
from benchmarks.page import Page
from benchmarks.rounds import Bench, Figures, Latencies
from benchmarks.table import Goal, Row

MESSAGES = 600
WARM_UP = 50
GAP_S = (0.001, 0.003)
"""The publisher waits so long between two messages, at random."""

TRIGGERS = ("pause", "resume")
NAMES = ("PAUSED", "RUNNING")


def measure(bench: Bench) -> list[Row]:
    """Measure S, whose parent spins, and a worker that blocks, and one that spins."""
    samples = bench.interleave(
        "latency",
        {
            "S, spinning": lambda: round_of(bench, bench.seed("spin"), NAMES),
            "statusd, blocked": lambda: round_of(bench, bench.unit("blocked"), TRIGGERS),
            "statusd, near": lambda: round_of(bench, bench.unit("blocked", is_near=True), TRIGGERS),
            "statusd, spinning": lambda: round_of(bench, bench.unit("spinning"), TRIGGERS),
            "limit, blocked": lambda: round_of(bench, bench.limit("block"), NAMES),
            "limit, spinning": lambda: round_of(bench, bench.limit("spin"), NAMES),
        },
    )
    goals = {
        ("spinning", "p50"): Goal(0.95),
        ("blocked", "p50"): Goal(1.4),
        ("blocked", "p99"): Goal(1.3),
    }
    metrics = {
        "spinning": "PUBLISH -> worker spinning on worker.state",
        "blocked": "PUBLISH -> worker blocked in wait()",
    }
    return [
        Row(
            f"{text}, {quantile}",
            "us",
            samples[f"statusd, {name}"][quantile],
            samples["S, spinning"][quantile],
            "S, parent spins",
            goals.get((name, quantile)),
            limit=samples[f"limit, {name}"][quantile],
        )
        for name, text in metrics.items()
        for quantile in ("p50", "p99")
    ] + [
        Row(
            f"{metrics['blocked']}, its unit by the broker's Unix socket, {quantile}",
            "us",
            samples["statusd, near"][quantile],
            samples["statusd, blocked"][quantile],
            "its unit by TCP",
        )
        for quantile in ("p50", "p99")
    ]


def round_of(bench: Bench, contestant: Contestant, words: tuple[str, str]) -> Figures:
    """Publish ``words`` by turns, and return the quantiles of how long each took to be acted on."""
    with contestant:
        return latencies(bench, contestant.page, CHANNEL, words)


def latencies(bench: Bench, page: Page, channel: str, words: tuple[str, str]) -> Figures:
    """Return the same of whoever hears ``channel`` and stamps ``page``."""
    messages = [pack("PUBLISH", channel, word) for word in words]
    with Wire(bench.broker.port) as wire:
        taken = [
            _one(page, wire, messages[number & 1])
            for number in range(WARM_UP + bench.size(MESSAGES))
        ]
    return Latencies(taken[WARM_UP:])


def _one(page: Page, wire: Wire, message: bytes) -> float:
    """Return how long one message took, in microseconds."""
    time.sleep(random.uniform(*GAP_S))
    before = page.count
    sent = time.monotonic_ns()
    wire.send(message)
    wire.take()
    page.wait(before + 1, nap_s=0.001)
    return (page.value(before) - sent) / 1000
