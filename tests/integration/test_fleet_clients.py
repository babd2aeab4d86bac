"""`Fleet` with clients of redis-py's that its users have: taken as they are, and never closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import ConstantBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry
from redis.sentinel import Sentinel

from statusd import Fleet
from statusd.core.errors import ConfigError, Unavailable
from statusd.fleet.response_collector import Report
from tests.conftest import BROKERS
from tests.faults.test_attacks_cli import BOOT, answering, event, put
from tests.tools import Broker, Proxy, wait_until
from tests.tools.impostor import Impostor
from tests.tools.sentinels import NAME, Sentinels
from tests.tools.tls import TlsFront

DONE = {"verdict": "done", "name": "a", "boot": BOOT, "state": "PAUSED"}
MIXED = [{}, {"decode_responses": True}]
SPEAKS = [{"protocol": 2}, {"protocol": 3}]
KINDS = [{**decodes, **speaks} for decodes in MIXED for speaks in SPEAKS]
IDS = ["RESP2", "RESP3", "RESP2 decoded", "RESP3 decoded"]


class Rotating(CredentialProvider):
    """Credentials that are fetched for each connection, as from a cloud's IAM."""

    def __init__(self, *credentials: str) -> None:
        self.credentials = credentials
        self.asked = 0

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return name and password."""
        self.asked += 1
        if not self.credentials:
            raise RuntimeError("no token for hunter2")
        return self.credentials[0], self.credentials[1]

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return the same."""
        return self.get_credentials()


@pytest.fixture
def peopled(broker: Broker) -> Iterator[Broker]:
    """A broker with a unit that obeys and has a history."""
    with people(broker):
        yield broker


@contextmanager
def people(broker: Broker) -> Iterator[None]:
    """Let there be a unit that obeys and has a history."""
    put(broker, "a", channels=["mychannel"])
    number, fields = event("a", 1)
    broker.client().xadd("statusd:history:{a}", fields, id=number)
    with answering(broker, DONE):
        yield


def judge(report: Report) -> None:
    """Find what `peopled` has answered."""
    assert [outcome.name for outcome in report.done] == ["a"]
    assert len(report.outcomes) == 1


def all_is_seen(fleet: Fleet, broker: Broker) -> None:
    """Look, command, list and watch."""
    assert [(unit.name, unit.state) for unit in fleet.status()] == [("a", "RUNNING")]
    judge(fleet.send("pause"))
    judge(fleet.send("pause", durable=False, expires_s=5))
    assert [one["seq"] for one in fleet.history("a")] == [1]
    assert fleet.send("pause", durable=True, timeout_s=0).entry
    with fleet.watch(since={"a": f"{BOOT}-1"}) as watcher:
        number, fields = event("a", 2)
        broker.client().xadd("statusd:history:{a}", fields, id=number)
        assert next(watcher)["seq"] == 2
    broker.client().hset("statusd:roster", "gone", "{}")
    assert fleet.forget("gone")
    assert not fleet.forget("gone")


# ---- taken as they are --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_client_is_taken_as_it_is_and_never_closed(kind: dict[str, Any], peopled: Broker) -> None:
    """Whatever it speaks and decodes; nothing of its own is changed, and it works on."""
    with redis.Redis(port=peopled.port, **kind) as client:
        callbacks = dict(client.response_callbacks)
        with Fleet(client) as fleet:
            all_is_seen(fleet, peopled)

        assert client.ping()
        assert client.hgetall("statusd:roster").keys() == {"a" if len(kind) > 1 else b"a"}
        assert dict(client.response_callbacks) == callbacks
        with Fleet(client) as again:
            assert [unit.name for unit in again.status()] == ["a"]
        assert not client.pubsub_channels("statusd:reply:*")


def test_a_client_at_a_unix_socket_is_taken() -> None:
    """It has a path, and no host."""
    with Broker(BROKERS["valkey"], unix=True) as broker:
        put(broker, "a")
        path = str(broker.unix_url.removeprefix("unix://").partition("?")[0])
        with redis.Redis(unix_socket_path=path) as client:
            with answering(broker, DONE):
                judge(Fleet(client).send("pause"))
            broker.kill()
            with pytest.raises(Unavailable, match=f"unix://{path}"):
                Fleet(client).status()


def test_a_client_with_tls_is_taken(peopled: Broker, tmp_path: Path) -> None:
    """Whom it trusts is its own affair."""
    with (
        TlsFront(peopled.port, tmp_path) as front,
        redis.Redis(
            host="127.0.0.1", port=front.port, ssl=True, ssl_ca_certs=str(front.ca_file)
        ) as client,
    ):
        judge(Fleet(client).send("pause"))


def test_a_client_with_a_credentials_provider_is_taken(peopled: Broker) -> None:
    """It is asked for each connection; what it fails with is told without what it says."""
    admin: Any = peopled.client()  # redis-py has no types for `execute_command`
    admin.execute_command("ACL", "SETUSER", "iam", "on", ">token-1", "~*", "&*", "+@all")
    provider = Rotating("iam", "token-1")
    with redis.Redis(port=peopled.port, credential_provider=provider) as client:
        judge(Fleet(client).send("pause"))
        assert provider.asked >= 2  # one asks, one listens

        admin.execute_command("ACL", "SETUSER", "iam", "resetpass", ">token-2")
        provider.credentials = ("iam", "token-2")
        client.connection_pool.disconnect()
        judge(Fleet(client).send("pause"))

        provider.credentials = ("iam", "token-1")
        client.connection_pool.disconnect()
        with pytest.raises(Unavailable, match="WRONGPASS") as refused:
            Fleet(client).status()
        provider.credentials = ()
        client.connection_pool.disconnect()
        with pytest.raises(Unavailable) as failed:
            Fleet(client).status()
    for caught in (refused, failed):
        assert "token" not in str(caught.value)
        assert "hunter2" not in str(caught.value)
    assert isinstance(refused.value.__cause__, redis.AuthenticationError)
    assert isinstance(failed.value.__cause__, RuntimeError)


def test_the_master_of_sentinels_is_taken() -> None:
    """The client of `master_for`; and by a url of ours, which names the Sentinels."""
    with Sentinels(BROKERS["valkey"]) as sentinels:
        put(sentinels.first, "a")
        nodes = [("127.0.0.1", watcher.port) for watcher in sentinels.watchers]
        made: Any = Sentinel
        sentinel = made(nodes, socket_timeout=1)
        with answering(sentinels.first, DONE), sentinel.master_for(NAME) as client:
            judge(Fleet(client).send("pause"))
            judge(Fleet(sentinels.url).send("pause"))
        for one in sentinel.sentinels:
            one.close()


def test_what_is_no_client_of_its_kind_is_refused() -> None:
    """Before anything is sent; each tells what it takes."""
    for_asyncio: Any = redis.asyncio.Redis()

    with pytest.raises(ConfigError, match=r"a redis\.Redis is wanted"):
        Fleet(for_asyncio)
    with pytest.raises(ConfigError, match="password_file"):
        Fleet(redis.Redis(), password_file="x")


# ---- what goes wrong ----------------------------------------------------------------------------


def test_a_connection_that_a_client_makes_anew_is_a_loss(broker: Broker) -> None:
    """With retries of its own there is no error: the second confirmation tells of it."""
    put(broker, "a")
    patient = Retry(ConstantBackoff(0.01), 20)
    with redis.Redis(port=broker.port, retry=patient, client_name="theirs") as client:
        caught: list[Exception] = []

        def send() -> None:
            try:
                Fleet(client).send("pause", timeout_s=30)
            except Unavailable as error:
                caught.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        admin: Any = broker.client()  # see above
        wait_until(lambda: admin.pubsub_channels("statusd:reply:*"), 15, "the reply channel")
        admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        thread.join(15)

        assert not thread.is_alive()
        assert "made anew" in str(caught[0])
        wait_until(lambda: not admin.pubsub_channels("statusd:reply:*"), 15, "its end")
        assert client.ping()


def test_a_connection_of_ours_that_is_lost_is_told(broker: Broker) -> None:
    """By an error, and the next call works."""
    put(broker, "a")
    with Proxy(broker.port) as proxy, Fleet(f"redis://127.0.0.1:{proxy.port}") as fleet:
        admin: Any = broker.client()  # see above
        caught: list[Exception] = []

        def send() -> None:
            try:
                fleet.send("pause", timeout_s=30)
            except Unavailable as error:
                caught.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        wait_until(lambda: admin.pubsub_channels("statusd:reply:*"), 15, "the reply channel")
        proxy.cut()
        thread.join(15)
        proxy.pass_()

        assert len(caught) == 1
        assert [unit.name for unit in fleet.status()] == ["a"]


@pytest.mark.parametrize("kind", ["a client", "a url", "a file"])
def test_a_server_that_repeats_a_password_gets_it_into_no_error(kind: str, tmp_path: Path) -> None:
    """One that is too old repeats what it doesn't understand: neither the text nor the cause do."""
    file = tmp_path / "password"
    file.write_text("hunter2")

    def parrot(words: list[str]) -> bytes:
        return b"-ERR what is '%s'?\r\n" % " ".join(words).encode()

    with (
        Impostor(parrot) as liar,
        redis.Redis.from_url(liar.url, password="hunter2") as client,
    ):
        fleet = {
            "a client": lambda: Fleet(client),
            "a url": lambda: Fleet(liar.url.replace("://", "://:hunter2@")),
            "a file": lambda: Fleet(liar.url, password_file=str(file)),
        }[kind]()
        with pytest.raises(Unavailable) as caught:
            fleet.status()
        fleet.close()

    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_no_password_is_in_an_error(broker: Broker) -> None:
    """Neither of a client nor of a url."""
    broker.client().config_set("requirepass", "right-one")

    with redis.Redis(port=broker.port, password="wrong-one") as client:
        for fleet in (Fleet(client), Fleet(f"redis://:wrong-one@127.0.0.1:{broker.port}")):
            with pytest.raises(Unavailable, match="WRONGPASS") as caught:
                fleet.status()
            assert "wrong-one" not in f"{caught.value} {caught.value.__cause__}"
            fleet.close()
