"""`AsyncFleet`: truly asyncio, with clients of its users' or its own, under load and cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import ConstantBackoff

from statusd import AsyncFleet
from statusd.core.errors import ConfigError, Unavailable
from tests.conftest import BROKERS
from tests.faults.test_attacks_cli import BOOT, answering, event, put
from tests.integration.test_fleet_clients import DONE, IDS, KINDS, judge, people
from tests.tools import Broker, wait_until
from tests.tools.sentinels import NAME, Sentinels


@pytest.fixture
def peopled(broker: Broker) -> Iterator[Broker]:
    """A broker with a unit that obeys and has a history."""
    with people(broker):
        yield broker


@asynccontextmanager
async def a_client(broker: Broker, **kind: Any) -> AsyncIterator[redis.asyncio.Redis]:
    """Give a client of asyncio, and close it."""
    made: Any = redis.asyncio.Redis
    client = made(port=broker.port, **kind)
    yield client
    await client.aclose()


@contextmanager
def no_thread_is_started() -> Iterator[None]:
    """Assert that there are as many threads as before."""
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_an_asyncio_client_is_taken_as_it_is(kind: dict[str, Any], peopled: Broker) -> None:
    """The same words, awaited; no threads; the client works on."""

    async def live() -> None:
        async with a_client(peopled, **kind) as client:
            async with AsyncFleet(client) as fleet:
                assert [(u.name, u.state) for u in await fleet.status()] == [("a", "RUNNING")]
                judge(await fleet.send("pause"))
                judge(await fleet.send("pause", expires_s=5))
                assert (await fleet.send("pause", durable=True, timeout_s=0)).entry
                assert [one["seq"] for one in await fleet.history("a")] == [1]
                assert [u.name for u in (await fleet.expected())[0]] == ["a"]
                assert not await fleet.forget("gone")
                watch = fleet.watch(since={"a": f"{BOOT}-0"})
                assert (await anext(watch))["seq"] == 1
            assert await client.ping()
            assert not await client.pubsub_channels("statusd:reply:*")

    with no_thread_is_started():
        asyncio.run(live())


def test_an_asyncio_fleet_of_a_url_leaves_nothing_open(peopled: Broker) -> None:
    """It opens its own connections, when it needs them, and closes them."""

    async def live() -> None:
        async with AsyncFleet(peopled.url) as fleet:
            judge(await fleet.send("pause"))

    asyncio.run(live())

    wait_until(lambda: "statusd-fleet" not in str(peopled.client().client_list()), 15, "its end")


def test_two_hundred_send_at_once(peopled: Broker) -> None:
    """In a task group, by one client: each gets its own verdict, by a handful of connections."""
    most = 0

    async def live() -> None:
        nonlocal most
        async with a_client(peopled) as client, AsyncFleet(client) as fleet:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(fleet.send("pause", timeout_s=30)) for _ in range(200)]
            for task in tasks:
                judge(task.result())
            assert len({task.result().id for task in tasks}) == 200
            most = len(await client.client_list())
            assert not await client.pubsub_channels("statusd:reply:*")

    with no_thread_is_started():
        asyncio.run(live())

    assert most < 20


@pytest.mark.parametrize("is_new", [True, False], ids=["connects", "is connected"])
def test_a_send_that_is_cancelled_leaves_nothing(is_new: bool, broker: Broker) -> None:
    """Wherever it is: after each number of turns of the loop. The next one works all the same."""
    put(broker, "a")

    async def live() -> None:
        async with a_client(broker, client_name="theirs") as client, AsyncFleet(client) as fleet:
            for turns in range(150):
                task = asyncio.create_task(fleet.send("pause", timeout_s=30))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task], timeout=5)
                assert task.cancelled(), turns
                assert len(asyncio.all_tasks()) == 1, turns
                if is_new:
                    await client.connection_pool.disconnect()
            assert not await client.pubsub_channels("statusd:reply:*")
            assert [unit.name for unit in await fleet.status()] == ["a"]

    asyncio.run(live())

    wait_until(lambda: "theirs" not in str(broker.client().client_list()), 15, "its end")


def test_one_who_is_cancelled_takes_nobody_along(peopled: Broker) -> None:
    """A timeout around one send, while others wait for their verdicts by the same connection."""

    async def live() -> None:
        async with AsyncFleet(peopled.url) as fleet:
            patient = [asyncio.create_task(fleet.send("pause", name="a")) for _ in range(20)]
            for _ in range(20):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await fleet.send("pause", name="a", timeout_s=30)
            for task in patient:
                judge(await task)

    asyncio.run(live())


@pytest.mark.parametrize("retries", [0, 20])
def test_all_who_wait_are_told_of_a_loss(retries: int, broker: Broker) -> None:
    """Whether the client made its connection anew or not; each gets an error of its own."""
    put(broker, "a")

    async def live() -> None:
        patient: Any = redis.asyncio.retry.Retry(ConstantBackoff(0.01), retries)
        async with a_client(broker, retry=patient) as client, AsyncFleet(client) as fleet:
            tasks = [asyncio.create_task(fleet.send("pause", timeout_s=30)) for _ in range(5)]
            heard = broker.client().pubsub()  # type: ignore[no-untyped-call]  # redis-py has no types
            heard.subscribe("statusd:control")
            said = 0
            while said < 5:
                message = heard.get_message(ignore_subscribe_messages=True)
                said += message is not None
                await asyncio.sleep(0)
            heard.close()
            admin: Any = client  # redis-py has no types for it
            await admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.wait(tasks, timeout=15)
            errors = [task.exception() for task in tasks]
            assert [type(error) for error in errors] == [Unavailable] * 5
            assert len(set(map(id, errors))) == 5
            assert [unit.name for unit in await fleet.status()] == ["a"]

    asyncio.run(live())


def test_a_fleet_that_is_closed_lets_nobody_wait(broker: Broker) -> None:
    """Who waits for verdicts is told; so is who asks a broker that is away."""
    put(broker, "a")

    async def live() -> None:
        fleet = AsyncFleet(broker.url)
        task = asyncio.create_task(fleet.send("pause", timeout_s=30))
        admin = broker.client()
        while not admin.pubsub_channels("statusd:reply:*"):
            await asyncio.sleep(0)
        await fleet.aclose()
        with pytest.raises(Unavailable, match="closed meanwhile"):
            await task
        broker.kill()
        with pytest.raises(Unavailable, match="Connection refused"):
            await fleet.status()
        await fleet.aclose()

    asyncio.run(live())


def test_a_watch_waits_for_a_broker_that_is_away(broker: Broker) -> None:
    """It is cancelled like anything else."""
    put(broker, "a")

    async def live() -> None:
        async with AsyncFleet(broker.url) as fleet:
            watch = fleet.watch()
            first = asyncio.ensure_future(anext(watch))
            admin = broker.client()
            while not any(one["cmd"] == "xread" for one in admin.client_list()):
                await asyncio.sleep(0)
            broker.restart()
            put(broker, "a")
            number, fields = event("a", 3)
            broker.client().xadd("statusd:history:{a}", fields, id=number)
            assert (await first)["seq"] == 3
            second = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([second])
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(live())

    wait_until(lambda: "statusd-watch" not in str(broker.client().client_list()), 15, "its end")


def test_the_master_of_sentinels_is_taken() -> None:
    """The client of `master_for`; and by a url of ours, which names the Sentinels."""
    with Sentinels(BROKERS["valkey"]) as sentinels:
        put(sentinels.first, "a")
        nodes = [("127.0.0.1", watcher.port) for watcher in sentinels.watchers]
        with answering(sentinels.first, DONE):
            asyncio.run(at_the_master(nodes, sentinels.url))


async def at_the_master(nodes: list[tuple[str, int]], url: str) -> None:
    """Send to the master that the Sentinels name, by a client and by a url."""
    made: Any = redis.asyncio.Sentinel
    sentinel = made(nodes, socket_timeout=1)
    async with sentinel.master_for(NAME) as client:
        judge(await AsyncFleet(client).send("pause"))
    async with AsyncFleet(url) as fleet:
        judge(await fleet.send("pause"))
    for one in sentinel.sentinels:
        await one.aclose()


def test_a_blocking_client_is_refused() -> None:
    """Before anything is sent; it says what it takes."""
    blocking: Any = redis.Redis()

    with pytest.raises(ConfigError, match=r"a redis\.asyncio\.Redis is wanted"):
        AsyncFleet(blocking)
