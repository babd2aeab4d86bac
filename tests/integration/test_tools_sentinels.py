"""Tests of `tests.tools.sentinels`: a master that is silent is replaced."""

from __future__ import annotations

import pytest
import redis

from tests.conftest import BROKERS
from tests.tools import Sentinels, processes_with_marker

pytestmark = pytest.mark.nightly  # it tests what tests are made with


@pytest.mark.parametrize("kind", sorted(BROKERS))
def test_a_paused_master_is_replaced(kind: str) -> None:
    """Frozen, not dead: the replica takes over with the data, and the old one has to follow."""
    with Sentinels(BROKERS[kind]) as sentinels:
        assert sentinels.master_port() == sentinels.first.port
        sentinels.first.client().set("key", "value")
        assert sentinels.first.client().wait(1, 2000) == 1

        sentinels.first.freeze()
        sentinels.wait_master(sentinels.second)

        assert sentinels.second.client().get("key") == b"value"
        assert sentinels.second.client().set("key", "new")
        sentinels.first.thaw()
        sentinels.wait_follower(sentinels.first)
        with pytest.raises(redis.ReadOnlyError):
            sentinels.first.client().set("key", "old")


def test_a_dead_master_is_replaced_and_nothing_is_left() -> None:
    """Killed, it is replaced as well; and all five processes end with the test."""
    before = processes_with_marker()
    with Sentinels(BROKERS["valkey"]) as sentinels:
        sentinels.first.kill()

        sentinels.wait_master(sentinels.second)

        assert sentinels.second.client().set("key", "value")
    assert processes_with_marker() == before
