"""A broker at its limits: buffers, clients, memory, disk. It is told, and over with its cause."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import redis

from tests.conftest import BROKERS, Run
from tests.faults.outages import assert_hears, gaps, lines, wait_gap, wait_listening
from tests.system.commands import statusd
from tests.tools import Broker, Journal, Program, Publisher, SmallDisk, wait_until

STREAM = "statusd:commands"


def up(run: Run, url: str, **changes: Any) -> Program:
    """Start a unit and return it when it hears and is ready."""
    unit = run("tests.workers:obedient", url, **changes)
    wait_listening(unit)
    unit.wait_state("READY")
    return unit


@pytest.mark.fault("N11")
def test_a_reader_that_was_too_slow_tells_its_gap(broker: Broker, run: Run) -> None:
    """Stopped while more comes than the broker keeps for it: hung up on, told, and ended by END."""
    client = broker.client()
    client.config_set("client-output-buffer-limit", "pubsub 262144 0 0")
    unit = up(run, broker.url)

    unit.signal(signal.SIGSTOP)
    flood(client, 8000, 4096)
    unit.signal(signal.SIGCONT)

    assert wait_gap(client)
    publish_heard(client, "END")
    assert unit.wait_exit(10) == 0


def flood(client: redis.Redis, count: int, size: int) -> None:
    """Publish junk on the unit's channel."""
    pipeline = client.pipeline(transaction=False)
    for _ in range(count):
        pipeline.publish("mychannel", b"x" * size)
    pipeline.execute()


def publish_heard(client: redis.Redis, word: str) -> None:
    """Publish until somebody hears it."""
    wait_until(lambda: client.publish("mychannel", word) == 1, 10, "a listener")


@pytest.mark.fault("N12")
@pytest.mark.parametrize("limit", ["33554432 8388608 60", "0 0 0"])
def test_a_message_of_64_mb_ends_nobody(limit: str, broker: Broker, run: Run) -> None:
    """The broker hangs up on the listener for it, or delivers it; the next word is obeyed."""
    client = broker.client()
    client.config_set("client-output-buffer-limit", f"pubsub {limit}")
    unit = up(run, broker.url)

    client.publish("mychannel", b"x" * (64 * 1024 * 1024))

    # Which of the two it is, is the broker's affair: it doesn't look at its limits at once.
    wait_until(partial(has_told, unit), 15, "a gap, or that this is no command")
    publish_heard(client, "start")
    unit.wait_state("RUNNING")
    assert len(lines(unit, "worker.started")) == 1
    unit.close()


def has_told(unit: Program) -> bool:
    """Tell whether the unit was hung up on and has told so, or has refused what it got."""
    refused = unit.logged("command.answered", verdict="invalid")
    return bool(unit.logged("gap.ended") or refused)


@pytest.mark.fault("N21")
def test_no_room_for_another_client_is_told_until_there_is(broker: Broker, run: Run) -> None:
    """The broker's own words are the reason; raised, the limit is no trouble any more."""
    unit = up(run, broker.url)
    client = broker.client()
    client.config_set("maxclients", 1)
    client.client_kill_filter(_type="pubsub")
    client.client_kill_filter(_type="normal")

    line = unit.wait_logged("link.failed")

    assert "max number of clients" in line["reason"]
    client.config_set("maxclients", 1000)
    with Journal(client) as journal:
        wait_until(lambda: len(lines(unit, "link.up", link="hears")) == 2, 10, "the link")
        assert_hears(client, journal)
    unit.close()


@pytest.mark.fault("N24")
def test_full_memory_refuses_what_is_durable_and_carries_what_is_not(
    broker: Broker, run: Run
) -> None:
    """The sender is told so, by 69 and the broker's reason; a plain word is obeyed."""
    client = broker.client()
    unit = up(run, broker.url)
    client.config_set("maxmemory", "1mb")

    refused = statusd("send", "start", "--durable", "--url", broker.url)
    assert (refused.returncode, "OOM" in refused.stderr) == (69, True)
    assert Publisher(client, STREAM, durable=True).send("start").receivers == 0
    client.publish("mychannel", "start")
    unit.wait_state("RUNNING")
    assert unit.wait_logged("reply.failed")["reason"].startswith("OOM")

    client.config_set("maxmemory", "0")
    kept = statusd("send", "pause", "--durable", "--url", broker.url)
    assert kept.returncode == 0
    unit.wait_state("PAUSED")
    assert unit.logged("link.lost") is None
    unit.close()


@pytest.mark.fault("N23")
@pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not())
def test_a_full_disk_refuses_what_is_durable_and_carries_what_is_not(run: Run) -> None:
    """Like full memory; and the broker itself may give up, which is an outage like any other."""
    with SmallDisk(4 * 1024 * 1024) as disk:
        conf = {"dir": str(disk.path), "appendonly": "yes", "appendfsync": "everysec"}
        with Broker(BROKERS["valkey"], conf=conf) as broker:
            client = broker.client()
            unit = up(run, broker.url)
            disk.fill()
            wait_until(partial(is_refused, client), 20, "the broker to notice")

            refused = statusd("send", "start", "--durable", "--url", broker.url)
            assert (refused.returncode, "MISCONF" in refused.stderr) == (69, True)
            client.publish("mychannel", "start")
            unit.wait_state("RUNNING")

            disk.empty()
            wait_until(lambda: not is_refused(client), 20, "the broker to notice")
            kept = statusd("send", "pause", "--durable", "--url", broker.url)
            assert kept.returncode == 0
            unit.wait_state("PAUSED")
            unit.close()


def is_refused(client: redis.Redis) -> bool:
    """Tell whether the broker refuses to write."""
    try:
        client.set("probe", b"x" * 10_000)
    except redis.ResponseError as error:
        return "MISCONF" in str(error)
    return False


@pytest.mark.fault("N23")
@pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not())
def test_a_broker_that_ends_for_its_disk_is_an_outage(run: Run) -> None:
    """``appendfsync always``: it exits when it can't write. Started again, it is heard again."""
    with SmallDisk(4 * 1024 * 1024) as disk:
        conf = {"dir": str(disk.path), "appendonly": "yes", "appendfsync": "always"}
        with Broker(BROKERS["valkey"], conf=conf) as broker:
            unit = up(run, broker.url)
            disk.fill()
            with suppress(redis.ConnectionError):  # it says so by hanging up
                broker.client().set("probe", b"x" * 10_000)
            wait_until(lambda: not broker.is_alive(), 10, "the broker to give up")
            unit.wait_logged("link.lost", link="hears")
            broker.kill()
            disk.empty()

            broker.start()

            client = broker.client()
            assert wait_gap(client)
            with Journal(client) as journal:
                assert_hears(client, journal)
            document = json.loads(client.get("statusd:status:{unit}") or b"{}")
            assert document["state"] == "READY"
            assert gaps(client)
            unit.close()
