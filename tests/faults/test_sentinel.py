"""Sentinels: the unit follows the master, however the old one fares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import pytest

from tests.conftest import BROKERS, Run
from tests.faults.outages import (
    assert_hears,
    gaps,
    is_answered,
    judge,
    lines,
    suffer,
    wait_listening,
)
from tests.system.commands import statusd
from tests.tools import Broker, Journal, wait_until
from tests.tools.sentinels import Sentinels

pytestmark = pytest.mark.timeout(1800)  # of many rounds; each wait in them has its own limit


@pytest.fixture
def sentinels() -> Iterator[Sentinels]:
    """A master, its replica, and three who watch."""
    with Sentinels(BROKERS["valkey"]) as watching:
        yield watching


def servers(watching: Sentinels) -> tuple[Broker, Broker]:
    """Return the master of the moment, and the other one."""
    is_first = watching.master_port() == watching.first.port
    return (watching.first, watching.second) if is_first else (watching.second, watching.first)


def test_the_master_is_found_and_followed_when_it_dies(sentinels: Sentinels, run: Run) -> None:
    """The unit hears on the new one, has its history there, and answers for what it missed."""
    unit = run("tests.workers:obedient", sentinels.url)
    wait_listening(unit)
    unit.wait_state("READY")
    assert "+sentinel" in lines(unit, "link.up")[0]["broker"]
    assert statusd("send", "start", "--wait", "--url", sentinels.url).returncode == 0
    known = len(lines(unit, "link.up", link="hears"))

    sentinels.first.kill()
    sentinels.wait_master(sentinels.second)
    client = sentinels.second.client()
    client.xadd("statusd:commands", {"command": "pause"})

    wait_until(lambda: len(lines(unit, "link.up", link="hears")) > known, 20, "the new master")
    unit.wait_state("PAUSED")
    wait_until(lambda: gaps(client), 10, "the gap")
    assert statusd("send", "end", "--wait", "--url", sentinels.url).returncode == 0
    assert unit.wait_exit(10) == 0


@pytest.mark.fault("N13")
def test_a_paused_master_is_noticed_and_left(rounds: int, sentinels: Sentinels, run: Run) -> None:
    """Within six seconds; and when it wakes up as one who was replaced, nobody listens to it."""
    unit = run("tests.workers:obedient", sentinels.url)
    wait_listening(unit)
    outages = []
    for _ in range(max(1, rounds // 12)):
        old, other = servers(sentinels)
        # What ends the outage is the new master: until then there is none to listen to.
        outages.append(suffer(unit, old.freeze, partial(sentinels.wait_master, other)))
        old.thaw()
        sentinels.wait_follower(old)
        with Journal(other.client()) as journal:
            assert_hears(other.client(), journal)
    judge("paused master", outages)


def test_a_master_that_was_replaced_without_dying_is_left(sentinels: Sentinels, run: Run) -> None:
    """It still echoes whatever the unit says, but nobody else speaks there any more."""
    unit = run("tests.workers:obedient", sentinels.url)
    wait_listening(unit)
    unit.wait_state("READY")

    with sentinels.watchers[0].client() as watcher:
        watcher.execute_command("SENTINEL", "FAILOVER", "mymaster")
    sentinels.wait_master(sentinels.second)

    with Journal(sentinels.second.client()) as journal:
        wait_until(partial(answers_at, sentinels.second, journal), 15, "an answer by the new one")
    assert unit.logged("worker.started") is not None
    assert len(lines(unit, "worker.started")) == 1


def answers_at(broker: Broker, journal: Journal) -> bool:
    """Ask, and tell whether the unit has answered there by now."""
    broker.client().publish("mychannel", json.dumps({"command": "ping", "id": "there"}))
    return is_answered(journal, "there")


def test_without_a_sentinel_there_is_no_broker_and_the_reason_says_so(run: Run) -> None:
    """Each of them with what it said."""
    unit = run("tests.workers:obedient", "redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster")

    failed = unit.wait_logged("link.failed", link="hears")

    assert "no connection to redis://127.0.0.1:1/0" in failed["reason"]
    unit.wait_state("READY")


def test_a_master_that_nobody_knows_is_told(sentinels: Sentinels) -> None:
    """By its name, and who was asked."""
    url = sentinels.url.replace("mymaster", "yours")

    sent = statusd("send", "ping", "--url", url)

    assert sent.returncode == 69
    assert "/yours/0: no Sentinel answers that knows of a living master" in sent.stderr


@pytest.mark.parametrize("right", [True, False])
def test_sentinels_may_ask_for_a_password_of_their_own(
    right: bool, sentinels: Sentinels, run: Run
) -> None:
    """`redis.sentinel_password` is theirs, `redis.password` the master's."""
    for watcher in sentinels.watchers:
        with watcher.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "resetpass", ">theirs")
    own = {"url": sentinels.url, "sentinel_password": "theirs" if right else "wrong"}

    unit = run("tests.workers:obedient", sentinels.url, redis=own)

    if right:
        wait_listening(unit)
    else:
        assert "WRONGPASS" in unit.wait_logged("link.failed", link="hears")["reason"]
