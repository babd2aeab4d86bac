"""Tests of `tests.tools.namespace`: a cable that can be pulled."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack

import pytest
import redis

from tests.conftest import BROKERS
from tests.tools import Broker, Namespace, wait_until

pytestmark = [
    pytest.mark.nightly,  # it tests what tests are made with
    pytest.mark.skipif(bool(Namespace.why_not()), reason=Namespace.why_not()),
]


def found(namespace: Namespace) -> tuple[bool, bool]:
    """Tell whether there is its end of the cable here, and whether there is itself."""
    addresses, names = (
        subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout
        for words in (["-brief", "address"], ["netns", "list"])
    )
    return f" {namespace.near}/30" in addresses, namespace.inside[-1] in names


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
    with Namespace() as namespace:
        assert found(namespace) == (True, True)

    assert found(namespace) == (False, False)


def test_two_at_a_time_are_apart() -> None:
    """Each has addresses of its own: either answers, and one can be pulled without the other."""
    with ExitStack() as stack:
        clients = []
        for namespace in (stack.enter_context(Namespace()), stack.enter_context(Namespace())):
            broker = Broker(BROKERS["valkey"], 6379, inside=namespace.inside, host=namespace.far)
            clients.append(stack.enter_context(broker).client())
        clients[0].set("whose", "the first one's")
        clients[1].set("whose", "the second one's")

        namespace.pull()

        assert clients[0].get("whose") == b"the first one's"
        with pytest.raises(redis.TimeoutError):
            clients[1].get("whose")
