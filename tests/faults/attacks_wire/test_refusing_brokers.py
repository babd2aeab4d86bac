"""What others may say, and no unit ends or falls silent by it: brokers that let in and refuse."""

from __future__ import annotations

import time

import pytest

from tests.conftest import Run
from tests.faults.attacks_wire.attacked import assert_well, up
from tests.faults.outages import lines
from tests.tools import Broker, free_port, wait_until
from tests.tools.variants import nightly


@pytest.mark.fault("X28")
def test_a_broker_that_is_a_replica_now_is_not_stormed(broker: Broker, run: Run) -> None:
    """A connection a second at most, few lines in the log; heard again when it is the master."""
    client = broker.client()
    unit = up(run, broker.url)
    before = client.info("stats")["total_connections_received"]
    written = len(unit.log())
    client.replicaof("127.0.0.1", str(free_port()))
    began = time.monotonic()

    wait_until(lambda: time.monotonic() - began > 6, 20, "a while")

    tried = client.info("stats")["total_connections_received"] - before
    assert tried <= 2 * 6
    refused = [line for line in lines(unit, "link.lost") if "READONLY" in line["reason"]]
    assert 1 <= len(refused) <= 2
    assert len(unit.log()) - written < 20
    client.replicaof("NO", "ONE")
    unit.wait_logged("link.up", link="sends")
    wait_until(lambda: len(lines(unit, "link.up", link="sends")) == 2, 10, "it to be told")
    assert_well(unit, broker)


@pytest.mark.fault("X28")
@pytest.mark.parametrize("refusal", ["NOPERM", *nightly("OOM")])
def test_refusals_are_summed(refusal: str, broker: Broker, run: Run) -> None:
    """Of a command that is refused again and again the log has a line, and then how often."""
    client = broker.client()
    client.acl_setuser(
        "statusd", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all"]
    )
    unit = up(run, broker.url.replace("redis://", "redis://statusd:x@"))
    if refusal == "OOM":
        client.config_set("maxmemory", "1mb")
    else:
        client.acl_setuser("statusd", commands=["-set", "-xadd"])
    began = time.monotonic()

    wait_until(lambda: time.monotonic() - began > 12, 20, "a while")

    failed = lines(unit, "reply.failed", command="SET")
    assert 1 <= len(failed) <= 2
    assert [line["count"] > 1 for line in failed[1:]] == [True] * len(failed[1:])
    assert unit.logged("link.lost") is None
