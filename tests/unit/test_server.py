"""Tests of `statusd.doctor.server`: what a server's settings do to a unit."""

from __future__ import annotations

import pytest

from statusd.doctor.findings import Level
from statusd.doctor.server import buffers, eviction, examine


@pytest.mark.parametrize(
    ("limit", "policy", "level"),
    [
        (0, "allkeys-lru", Level.OK),
        (1, "noeviction", Level.OK),
        (1, "volatile-ttl", Level.WARNING),
        (1, "allkeys-lfu", Level.ERROR),
    ],
)
def test_what_may_be_thrown_away_decides(limit: int, policy: str, level: Level) -> None:
    """Without a limit, nothing is; what expires are documents; all keys are the histories too."""
    found = eviction(limit, policy)

    assert found.level is level
    assert bool(found.cure) is (level is not Level.OK)


@pytest.mark.parametrize(
    ("pubsub", "level"),
    [
        ("33554432 8388608 60", Level.OK),
        ("0 0 0", Level.WARNING),
        ("33554432 0 0", Level.OK),
        ("65536 0 0", Level.WARNING),
    ],
)
def test_a_buffer_is_neither_endless_nor_too_small(pubsub: str, level: Level) -> None:
    """One fills the memory, the other cuts the unit off."""
    limits = f"normal 0 0 0 slave 268435456 67108864 60 pubsub {pubsub}"

    assert buffers(limits).level is level


def test_what_may_not_be_seen_is_unknown() -> None:
    """And says who may."""
    found = list(examine(None))

    assert {one.level for one in found} == {Level.UNKNOWN}
    assert all("--admin-url" in one.cure for one in found)
    assert buffers("something else").level is Level.UNKNOWN
