"""Tests of `tests.tools.journal`, with a real broker."""

import json
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.tools import Broker, Journal, Said, available_brokers, wait_until

pytestmark = pytest.mark.nightly  # it tests what tests are made with


@pytest.fixture(params=available_brokers())
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A running broker of each kind."""
    with Broker(available_brokers()[request.param]) as broker:
        yield broker


@pytest.fixture
def journal(broker: Broker) -> Iterator[Journal]:
    """A journal that listens."""
    with Journal(broker.client()) as journal:
        yield journal


def say(broker: Broker, channel: str, said: Said) -> None:
    """Publish as a unit does; one listener must get it."""
    assert broker.client().publish(channel, json.dumps(said)) == 1


def test_it_listens_when_start_returns(broker: Broker, journal: Journal) -> None:
    """What is said right after the start is heard, in order, with its time."""
    began = time.monotonic()
    say(broker, "statusd:events", {"event": "7-1"})
    say(broker, "statusd:verdicts", {"verdict": "accepted"})
    say(broker, "statusd:verdicts", {"verdict": "done"})
    say(broker, "statusd:verdicts", {"verdict": "done", "repeat": True})

    wait_until(lambda: len(journal.heard()) == 4, 5.0, "four messages")

    assert journal.events() == [{"event": "7-1"}]
    assert [said["verdict"] for said in journal.verdicts()] == ["accepted", "done", "done"]
    assert journal.finals() == [{"verdict": "done"}]
    times = [began, *(heard.at for heard in journal.heard()), time.monotonic()]
    assert times == sorted(times)
    assert (journal.losses, journal.garbled) == ([], [])


def test_the_namespace_can_be_chosen(broker: Broker) -> None:
    """Another namespace isn't heard."""
    with Journal(broker.client(decode_responses=True), "lab") as journal:
        assert broker.client().publish("statusd:events", "{}") == 0
        say(broker, "lab:events", {"event": "7-1"})

        assert wait_until(journal.events, 5.0, "an event") == [{"event": "7-1"}]


def test_what_is_no_object_is_kept_apart(broker: Broker, journal: Journal) -> None:
    """Garbage is remembered, and the next message is heard."""
    for garbage in (b"END", b"[1]", b"\xff\x00"):
        broker.client().publish("statusd:verdicts", garbage)
    say(broker, "statusd:verdicts", {"verdict": "done"})

    wait_until(journal.finals, 5.0, "the verdict")

    assert journal.garbled == [b"END", b"[1]", b"\xff\x00"]


def test_it_knows_when_it_was_deaf(broker: Broker, journal: Journal) -> None:
    """After a broker's restart it listens again, and the loss stands in its book, once."""
    began = time.monotonic()
    broker.kill()
    wait_until(lambda: journal.losses, 5.0, "the loss")
    broker.start()

    wait_until(journal.is_listening, 5.0, "the journal to listen again")

    say(broker, "statusd:events", {"event": "7-2"})
    assert wait_until(journal.events, 5.0, "an event") == [{"event": "7-2"}]
    assert len(journal.losses) == 1
    assert began < journal.losses[0] < time.monotonic()


@pytest.mark.parametrize("retries", [0, 3])
def test_a_kill_of_its_connection_is_a_loss(broker: Broker, retries: int) -> None:
    """Not even a client that connects anew by itself, without a word, hides it."""
    client = redis.Redis.from_url(broker.url, retry=Retry(NoBackoff(), retries))
    with client, Journal(client) as journal:
        broker.client().client_kill_filter(_type="pubsub")

        wait_until(lambda: journal.losses and journal.is_listening(), 5.0, "the journal again")
        assert len(journal.losses) == 1


def test_a_broker_that_is_away_fails_the_start() -> None:
    """A journal that can't listen says so, and its thread ends."""
    threads = threading.active_count()
    with Broker(available_brokers()["valkey"]) as broker:
        broker.kill()
        journal = Journal(broker.client())

        with pytest.raises(AssertionError, match="the journal's subscriptions"):
            journal.start(0.1)

        assert threading.active_count() == threads
    with pytest.raises(redis.ConnectionError):
        broker.client().ping()
