"""Tests of `tests.tools.namespace`: a cable that can be pulled."""

from __future__ import annotations

import subprocess

import pytest
import redis

from tests.conftest import BROKERS
from tests.tools import Broker, Namespace, wait_until

pytestmark = pytest.mark.skipif(bool(Namespace.why_not()), reason=Namespace.why_not())


def cables() -> str:
    """Return the names of all network interfaces and namespaces."""
    return "".join(
        subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout
        for words in (["-brief", "link"], ["netns", "list"])
    )


def test_a_pulled_cable_says_nothing_and_a_plugged_one_carries_on() -> None:
    """An open connection neither ends nor answers; plugged in again, it goes on where it was."""
    with (
        Namespace() as namespace,
        Broker(BROKERS["valkey"], inside=namespace.inside, host=namespace.far) as broker,
    ):
        client = broker.client()
        assert client.ping()

        namespace.pull()

        with pytest.raises(redis.TimeoutError):
            client.ping()
        namespace.plug()
        wait_until(lambda: answers(client), 10, "an answer")


def answers(client: redis.Redis) -> bool:
    """Tell whether the broker answers."""
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False


def test_nothing_of_it_is_left() -> None:
    """Neither cable nor namespace."""
    before = cables()

    with Namespace():
        assert cables() != before

    assert cables() == before
