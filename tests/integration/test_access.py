"""Every way into a broker: Unix socket, password, ACL user, TLS; and what a closed door says."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from statusd.core.errors import Unavailable
from statusd.fleet import Fleet
from statusd.wire.address import parse_url, with_credentials
from statusd.wire.dial import Dial
from tests.conftest import BROKERS, Run
from tests.system.commands import statusd
from tests.tools import Broker, Program, wait_until
from tests.tools.tls import TlsFront

ACL = Path("config/acl/statusd.acl")


def ends_on_command(unit: Program, client: redis.Redis) -> bool:
    """Tell whether a unit that should listen obeys END and leaves with 0."""
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("READY")
    client.publish("mychannel", "END")
    return unit.wait_exit(5) == 0


def test_a_unix_socket(run: Run) -> None:
    """unix:///path, for the daemon and for send."""
    with Broker(BROKERS["valkey"], unix=True) as broker:
        unit = run("tests.workers:blocked", broker.unix_url)
        unit.wait_logged("link.up", link="hears")

        sent = statusd("send", "ping", "--url", broker.unix_url)

        assert sent.returncode == 0
        assert ends_on_command(unit, broker.client())


def test_another_database(broker: Broker, run: Run) -> None:
    """The document is where the URL says; Pub/Sub knows no databases."""
    unit = run("tests.workers:blocked", broker.url.replace("/0", "/5"))
    assert ends_on_command(unit, broker.client())

    there = redis.Redis(port=broker.port, db=5)

    assert there.get("statusd:status:{unit}") is not None
    there.close()
    assert broker.client().get("statusd:status:{unit}") is None


def test_a_password_from_a_file_is_read_anew(tmp_path: Path, run: Run) -> None:
    """The wrong one keeps the link down, with the reason; the right one needs no restart."""
    secret = tmp_path / "secret"
    secret.write_text("wrong-one\n")
    with Broker(BROKERS["valkey"]) as broker:
        broker.client().config_set("requirepass", "right-one")
        access = {"url": broker.url, "password_file": str(secret)}
        unit = run("tests.workers:blocked", broker.url, redis=access)
        failed = unit.wait_logged("link.failed", link="hears")

        secret.write_text("right-one\n")

        client = redis.Redis(port=broker.port, password="right-one")
        assert "WRONGPASS" in failed["reason"]
        assert ends_on_command(unit, client)
        client.close()
        assert "wrong-one" not in unit.output()
        assert "right-one" not in unit.output()


@pytest.fixture
def guarded(each_broker: Broker) -> Broker:
    """A broker with the users of the project's own ACL file, but for its shut front door."""
    client = each_broker.client()
    for line in ACL.read_text().splitlines():
        if line.startswith("user statusd-"):
            client.execute_command("ACL", "SETUSER", *line.split()[1:])  # type: ignore[no-untyped-call]  # redis-py
    return each_broker


@pytest.mark.parametrize("kind", sorted(BROKERS))
def test_the_acl_file_is_one(kind: str, tmp_path: Path) -> None:
    """A server starts with it as it stands, and lets nobody else in."""
    file = tmp_path / "statusd.acl"
    file.write_text(ACL.read_text())
    with Broker(BROKERS[kind], conf={"aclfile": str(file)}) as broker:
        viewer = as_role(broker, "viewer")
        assert viewer.ping()
        viewer.close()
        with pytest.raises((redis.AuthenticationError, redis.exceptions.NoPermissionError)):
            broker.client().ping()


def as_role(broker: Broker, role: str) -> redis.Redis:
    """Return a client in one of the roles of the ACL file."""
    return redis.Redis(port=broker.port, username=f"statusd-{role}", password=f"change-me-{role}")


def test_the_roles_of_the_acl_file(guarded: Broker, run: Run) -> None:
    """The daemon can do all that it must; the operator commands; the viewer only looks."""
    daemon = {
        "url": guarded.url,
        "username": "statusd-daemon",
        "password": "change-me-daemon",
    }
    unit = run("tests.workers:blocked", guarded.url, redis=daemon)
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("READY")
    operator, viewer = as_role(guarded, "operator"), as_role(guarded, "viewer")

    with pytest.raises(redis.exceptions.NoPermissionError):
        viewer.publish("mychannel", "END")
    with pytest.raises(redis.exceptions.NoPermissionError):
        operator.config_get("*")
    wait_until(lambda: viewer.get("statusd:status:{unit}"), 5, "the document")
    assert viewer.xrange("statusd:history:{unit}")
    for role in ("operator", "viewer"):
        url = f"redis://statusd-{role}:change-me-{role}@127.0.0.1:{guarded.port}"
        with Fleet(url) as fleet:
            assert [(found.name, found.is_alive) for found in fleet.status()] == [("unit", True)]
            assert [event["new"] for event in fleet.history("unit")] == ["READY"]
            if role == "operator":
                assert fleet.send("ping").exit_code == 0
            else:
                with pytest.raises(Unavailable, match=r"NOPERM|permissions"):
                    fleet.send("ping")
    operator.publish("mychannel", "END")

    assert unit.wait_exit(5) == 0
    assert unit.logged("reply.failed") is None
    operator.close()
    viewer.close()


def test_a_channel_without_the_right_to_hear_it(guarded: Broker, run: Run) -> None:
    """The link is never up by half, and says which right is missing."""
    daemon = {
        "url": guarded.url,
        "username": "statusd-daemon",
        "password": "change-me-daemon",
    }
    channels = {"channels": ["mychannel", "forbidden"]}

    unit = run("tests.workers:blocked", guarded.url, redis=daemon, control=channels)

    assert "NOPERM" in unit.wait_logged("link.failed", link="hears")["reason"]
    assert unit.logged("link.up", link="hears") is None


def test_tls(broker: Broker, run: Run, tmp_path: Path) -> None:
    """rediss:// with an authority of one's own, for the daemon and for send."""
    with TlsFront(broker.port, tmp_path) as front:
        url = f"rediss://127.0.0.1:{front.port}/0"
        access = {"url": url, "ca_file": str(front.ca_file)}
        unit = run("tests.workers:blocked", url, redis=access)
        unit.wait_logged("link.up", link="hears")

        sent = statusd("send", "ping", "--url", f"{url}?ssl_ca_certs={front.ca_file}")

        assert (sent.returncode, sent.stderr) == (0, "")
        assert ends_on_command(unit, broker.client())


def test_tls_with_a_client_certificate(broker: Broker, run: Run, tmp_path: Path) -> None:
    """Who has none stays outside."""
    with TlsFront(broker.port, tmp_path, ask_client=True) as front:
        url = f"rediss://127.0.0.1:{front.port}/0"
        access = {"url": url, "ca_file": str(front.ca_file)}
        stranger = run("tests.workers:blocked", url, name="stranger", redis=access)
        access["cert_file"] = str(front.client_file)

        unit = run("tests.workers:blocked", url, redis=access)

        assert ends_on_command(unit, broker.client())
        stranger.wait_logged("link.failed", link="hears")
        assert stranger.logged("link.up") is None


@pytest.mark.parametrize("trouble", ["another host", "another authority", "no TLS there"])
def test_tls_that_is_not_right_is_refused(trouble: str, broker: Broker, tmp_path: Path) -> None:
    """A wrong name, an unknown authority, a plain port: told in words."""
    host = "elsewhere.invalid" if trouble == "another host" else "127.0.0.1"
    with TlsFront(broker.port, tmp_path, host) as front:
        trusted = "" if trouble == "another authority" else f"?ssl_ca_certs={front.ca_file}"
        port = broker.port if trouble == "no TLS there" else front.port
        address = parse_url(f"rediss://127.0.0.1:{port}/0{trusted}")

        with pytest.raises(Unavailable, match="no connection to rediss://127"):
            Dial(address, "test")


def test_a_wrong_password_is_told_without_showing_it(broker: Broker) -> None:
    """The server's own words, not ours."""
    broker.client().config_set("requirepass", "right-one")
    address = with_credentials(parse_url(broker.url), password="wrong-one")

    with pytest.raises(Unavailable, match="WRONGPASS") as caught:
        Dial(address, "test")

    assert "wrong-one" not in str(caught.value)
    assert "wrong-one" not in repr(address)
