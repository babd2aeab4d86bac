"""A fleet that is looked at again and again: all that is new is told, and nothing else is read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from statusd.core.errors import Unavailable
from statusd.fleet.follower import BLOCK_S, Follower
from statusd.fleet.snapshot import AT_ONCE, News, Snapshot
from statusd.wire.client import Client
from statusd.wire.names import Names
from statusd.wire.url import parse_url
from tests.tools import Broker, wait_until
from tests.tools.paper_fleet import PaperFleet

BOOT = 5


class Looking:
    """A snapshot that looks at a real broker, and what a daemon would have written there."""

    def __init__(self, broker: Broker, client: Client) -> None:
        self.redis = broker.client()
        self._client, self._snapshot = client, Snapshot("statusd")

    def roster(self, name: str, boot: int = BOOT, *, left: bool = False) -> None:
        """Write an entry of the roster."""
        entry = json.dumps({"boot": boot, "left": left, "seen": ""})
        self.redis.hset(Names("statusd").roster, name, entry)

    def document(self, name: str, boot: int = BOOT, **fields: Any) -> None:
        """Write a status document."""
        document = {"name": name, "boot": boot, "state": "RUNNING", **fields}
        self.redis.set(Names("statusd", name).status, json.dumps(document))

    def look(self, *names: str) -> News:
        """Look at these, or at all."""
        snapshot = self._snapshot
        return self._client.run(snapshot.look_at(names) if names else snapshot.look())

    def states(self, *names: str) -> dict[str, str]:
        """Look, and return the states of those that have changed."""
        return {unit.name: unit.state for unit in self.look(*names).changed}

    def asked(self) -> dict[str, int]:
        """Return how often each command was said to the broker."""
        told: Any = self.redis.info("commandstats")
        return {name.removeprefix("cmdstat_"): told[name]["calls"] for name in told}


@pytest.fixture
def looking(broker: Broker) -> Iterator[Looking]:
    """Return one that has two units before it, and has seen both."""
    with Client(parse_url(broker.url), "test") as client:
        made = Looking(broker, client)
        for name in ("a", "b"):
            made.roster(name)
            made.document(name)
        assert made.states() == {"a": "RUNNING", "b": "RUNNING"}
        yield made


def test_what_stands_as_before_is_no_news(looking: Looking) -> None:
    """Neither of all, nor of one that is asked after."""
    assert looking.look() == News([], [])
    assert looking.look("a") == News([], [])

    looking.document("b", state="PAUSED")

    assert looking.states("a") == {}
    assert looking.states("b") == {"b": "PAUSED"}
    assert looking.look() == News([], [])


def test_a_unit_that_comes_ends_begins_again_and_goes_is_told_each_time(looking: Looking) -> None:
    """By looking at it alone: the roster is asked as soon as it may say something else."""
    looking.roster("c")
    looking.document("c")
    assert looking.states("c") == {"c": "RUNNING"}

    looking.document("c", state="END", part="ends")
    looking.roster("c", left=True)
    (ended,) = looking.look("c").changed
    assert (ended.left, ended.state) == (True, "END")

    looking.roster("c", BOOT + 1)
    looking.document("c", BOOT + 1, state="READY")
    (again,) = looking.look("c").changed
    assert (again.boot, again.left, again.state) == (BOOT + 1, False, "READY")

    looking.redis.delete(Names("statusd", "c").status)
    assert looking.states("c") == {"c": "LOST"}

    looking.redis.hdel(Names("statusd").roster, "c")
    assert looking.look("c") == News([], [])
    assert looking.look() == News([], ["c"])
    looking.roster("c", BOOT + 1)
    assert looking.states("c") == {"c": "LOST"}


def test_a_document_before_its_roster_is_told_when_both_fit(looking: Looking) -> None:
    """A daemon writes one after the other, and we may look in between."""
    looking.document("a", BOOT + 1, state="INIT")
    assert looking.states("a") == {"a": "LOST"}

    looking.roster("a", BOOT + 1)

    assert looking.states() == {"a": "INIT"}


@pytest.mark.parametrize("names", [(), ("a",)])
def test_what_is_no_document_is_told_of_its_unit_alone(
    names: tuple[str, ...], looking: Looking
) -> None:
    """Whatever it is; also where there was none."""
    key = Names("statusd", "a").status
    for made in (
        lambda: looking.redis.set(key, "{"),
        lambda: (looking.redis.delete(key), looking.redis.rpush(key, "x")),
    ):
        made()
        assert looking.states(*names) == {"a": "UNREADABLE"}
        looking.redis.delete(key)
        assert looking.states(*names) == {"a": "LOST"}
    looking.redis.hset(Names("statusd").roster, "a", "[")
    assert looking.states() == {"a": "UNREADABLE"}


def test_a_look_that_fails_takes_nothing_from_the_next(looking: Looking) -> None:
    """The broker refuses after the first documents were read."""
    names = [f"unit-{number:03}" for number in range(AT_ONCE)]
    for name in names:
        looking.roster(name)
        looking.document(name)
    assert len(looking.look().changed) == AT_ONCE
    for name in names:
        looking.document(name, state="PAUSED")
    operation = looking._snapshot.look()
    answer: Any = None
    for _ in range(2):  # the roster, and a first part
        answer = looking._client.replies(operation.send(answer).lines)  # type: ignore[union-attr]  # it asks
    operation.send(answer)
    with pytest.raises(Unavailable):
        operation.throw(Unavailable("the broker is away"))

    assert looking.states() == dict.fromkeys(names, "PAUSED")


def test_many_units_cost_a_few_commands(broker: Broker) -> None:
    """A thousand documents are asked for in parts, and lost ones by themselves."""
    count = 5 * AT_ONCE
    fleet = PaperFleet(broker.client(), count)
    fleet.write()
    with Client(parse_url(broker.url), "test") as client:
        looking = Looking(broker, client)
        assert len(looking.look().changed) == count
        for name in fleet.names[:50]:
            fleet.turn(name)
        before = looking.asked()

        assert sorted(unit.name for unit in looking.look().changed) == fleet.names[:50]
        assert looking.look(*fleet.names[:10]) == News([], [])

        after = looking.asked()
    said = {name: after[name] - before.get(name, 0) for name in after}
    assert (said["hgetall"], said["mget"], said.get("get", 0)) == (1, 6, 0)


def test_a_watcher_to_whom_much_comes_looks_for_new_units_no_more_often(broker: Broker) -> None:
    """It reads each event, and asks who there is as often as one to whom nothing comes."""
    fleet = PaperFleet(broker.client(), 3)
    fleet.write()
    follower, seen = Follower("statusd", None, None), 0
    with Client(parse_url(broker.url), "test") as client:
        looking = Looking(broker, client)
        client.run(follower.step(0.01))
        before = looking.asked().get("hkeys", 0)
        for _ in range(20):
            fleet.turn(fleet.names[0])
            client.run(follower.step(0.01))
            seen += follower.next_ready() is not None
        looks = looking.asked()["hkeys"] - before

    assert seen == 20
    assert looks <= 1 + 20 * 0.5 / BLOCK_S
    assert looks < 20


def test_a_watcher_reads_no_history_of_who_was_struck_off(broker: Broker) -> None:
    """A fleet of short jobs would be read ever more slowly; who comes back is read on.

    What was said last is told, whenever it is looked for new ones.
    """
    fleet, redis, roster = PaperFleet(broker.client(), 2), broker.client(), Names("statusd").roster
    fleet.write()
    follower, name = Follower("statusd", None, None), fleet.names[0]
    with Client(parse_url(broker.url), "test") as client:
        looking = Looking(broker, client)

        def told() -> int:
            client.run(follower.step(0.05))
            return int((follower.next_ready() or {}).get("seq", 0))

        def has_looked() -> bool:
            assert told() == 0
            return looking.asked()["hkeys"] > before

        client.run(follower.step(0.01))
        fleet.turn(name)
        first = wait_until(told, 3, "its event")
        entry: Any = redis.hget(roster, name)
        due = time.monotonic() + BLOCK_S
        wait_until(lambda: time.monotonic() > due, 3, "the roster to be looked at next")
        fleet.turn(name)
        redis.hdel(roster, name)
        assert wait_until(told, 3, "its last words") == first + 1
        for what in ("the next look", "one that says again that it has gone"):
            before = looking.asked()["hkeys"]
            wait_until(has_looked, 3, what)
        fleet.turn(name)
        before = looking.asked()["hkeys"]
        wait_until(has_looked, 3, "another look")

        redis.hset(roster, name, entry)
        assert wait_until(told, 3, "the event that it has missed") == first + 2
        assert told() == 0
