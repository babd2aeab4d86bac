"""Tests of `tests.tools.publisher`, with a real broker."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tools import Broker, Publisher, available_brokers, wait_until

pytestmark = pytest.mark.nightly  # it tests what tests are made with


@pytest.fixture(scope="module")
def server() -> Iterator[Broker]:
    """A running broker."""
    with Broker(available_brokers()["valkey"]) as broker:
        yield broker


@pytest.fixture
def publisher(server: Broker) -> Publisher:
    """A publisher to ``mychannel``."""
    return Publisher(server.client(), "mychannel")


@pytest.fixture
def listener(server: Broker) -> Iterator[Any]:
    """A confirmed subscription to ``mychannel``."""
    with server.client().pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe("mychannel")
        wait_until(lambda: pubsub.get_message(timeout=0.1), 5.0, "the subscription")
        yield pubsub


def test_commands_are_numbered_and_recorded(publisher: Publisher, listener: Any) -> None:
    """The message carries the id that the book has, and what else was asked for."""
    before = time.monotonic()

    first = publisher.send("start")
    second = publisher.send("END", target={"tag": ["gpu"]})

    assert (first.number, first.id, first.word, first.receivers) == (1, "p-1", "start", 1)
    assert before <= first.at <= second.at <= time.monotonic()
    assert publisher.sent == [first, second]
    assert [json.loads(listener.get_message(timeout=1.0)["data"]) for _ in range(2)] == [
        {"command": "start", "id": "p-1", "by": "publisher"},
        {"command": "END", "id": "p-2", "by": "publisher", "target": {"tag": ["gpu"]}},
    ]


def test_a_rate_is_kept(publisher: Publisher) -> None:
    """Ten words at 100 per second take nine gaps of ten milliseconds."""
    began = time.monotonic()

    sent = publisher.send_all(["pause"] * 10, rate_hz=100)

    assert len(sent) == 10
    assert 0.09 <= sent[-1].at - began < 2.0


def test_a_flood_is_complete(publisher: Publisher) -> None:
    """In batches, thousands go out, each with its own number and count of receivers."""
    sent = publisher.send_all(
        itertools.islice(itertools.cycle(["pause", "resume"]), 5001), batch=100
    )

    assert [one.number for one in sent] == list(range(1, 5002))
    assert {one.receivers for one in sent} == {0}
    assert len({one.id for one in publisher.sent}) == 5001


def test_an_endless_thread_can_be_stopped(publisher: Publisher) -> None:
    """After `stop` nothing more is sent, but by hand."""
    publisher.start(itertools.cycle(["pause", "resume"]), rate_hz=500)
    wait_until(lambda: len(publisher.sent) >= 5, 5.0, "five commands")

    stopped = publisher.stop()

    assert publisher.sent == stopped
    assert publisher.send_all(["end"])[0].number == len(stopped) + 1


def test_a_thread_that_is_through_is_joined(publisher: Publisher) -> None:
    """`join` waits for the last word, and complains when it is late."""
    publisher.start(["pause", "resume"], rate_hz=10)

    with pytest.raises(AssertionError, match="the publisher to finish"):
        publisher.join(0.01)

    assert len(publisher.join(5.0)) == 2


def test_a_broker_that_is_away_is_written_down() -> None:
    """What could not be sent has no count of receivers, and sending goes on."""
    with Broker(available_brokers()["valkey"]) as broker:
        publisher = Publisher(broker.client(), "mychannel", "x")
        publisher.send("pause")
        broker.kill()
        publisher.send_all(["resume", "pause"])
        broker.start()
        publisher.send("end")

    assert [(one.id, one.receivers) for one in publisher.sent] == [
        ("x-1", 0),
        ("x-2", None),
        ("x-3", None),
        ("x-4", 0),
    ]


def test_durable_commands_are_numbered_and_have_the_id_of_their_entry(server: Broker) -> None:
    """What the book says is what the stream has."""
    publisher = Publisher(server.client(), "commands", "d", durable=True)
    sent = publisher.send_all(["pause", "resume"])

    entries: Any = server.client().xrange("commands")
    assert [entry_id.decode() for entry_id, _ in entries] == [one.entry for one in sent]
    assert [json.loads(fields[b"command"]) for _, fields in entries] == [
        {"command": "pause", "id": "d-1", "by": "publisher"},
        {"command": "resume", "id": "d-2", "by": "publisher"},
    ]
    assert [one.receivers for one in sent] == [1, 1]


def test_a_refused_durable_command_is_written_down_with_the_reason(server: Broker) -> None:
    """Refused is not unknown: the stream doesn't have it."""
    client = server.client()
    client.set("not-a-stream", "x")
    publisher = Publisher(client, "not-a-stream", durable=True)

    sent = publisher.send("pause")

    assert (sent.receivers, sent.entry) == (0, "")
    assert "WRONGTYPE" in sent.refusal
