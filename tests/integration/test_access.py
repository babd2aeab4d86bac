"""Every way into a broker: Unix socket, password, ACL user, TLS; and what a closed door says."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import redis
import trustme

from statusd.core.errors import Unavailable
from statusd.fleet.fleet import Fleet
from statusd.wire.address import with_credentials
from statusd.wire.client import Client
from statusd.wire.url import parse_url
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


def test_a_unix_socket_is_an_address(run: Run) -> None:
    """unix:///path, for the daemon and for send."""
    with Broker(BROKERS["valkey"], unix=True) as broker:
        unit = run("tests.workers:blocked", broker.unix_url)
        unit.wait_logged("link.up", link="hears")

        sent = statusd("send", "ping", "--url", broker.unix_url)

        assert sent.returncode == 0
        assert ends_on_command(unit, broker.client())


@pytest.mark.fault("M14")
def test_the_document_is_in_the_database_of_the_url(broker: Broker, run: Run) -> None:
    """The document is where the URL says; Pub/Sub knows no databases."""
    unit = run("tests.workers:blocked", broker.url.replace("/0", "/5"))
    assert ends_on_command(unit, broker.client())

    there = redis.Redis(port=broker.port, db=5)

    assert there.get("statusd:status:{unit}") is not None
    there.close()
    assert broker.client().get("statusd:status:{unit}") is None


@pytest.mark.fault("X04")
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


@pytest.mark.fault("X01")
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


@pytest.mark.fault("X01", "X02")
def test_each_role_of_the_acl_file_may_what_it_must(guarded: Broker, run: Run) -> None:
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


def as_url(broker: Broker, role: str) -> str:
    """Return how the command line logs in in one of the roles of the ACL file."""
    return f"redis://statusd-{role}:change-me-{role}@127.0.0.1:{broker.port}/0"


def test_each_role_has_its_verbs(guarded: Broker, run: Run) -> None:
    """The operator has them all; the viewer is refused what commands, and nothing comes of it."""
    daemon = {"url": as_url(guarded, "daemon")}
    unit = run("tests.workers:obedient", guarded.url, redis=daemon)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    operator, viewer = as_url(guarded, "operator"), as_url(guarded, "viewer")

    for words in (
        ["send", "start", "--wait"],
        ["send", "pause", "-c", "mychannel"],
        ["send", "resume", "--wait", "--durable"],
        ["status"],
        ["status", "unit"],
        ["history", "unit"],
    ):
        done = statusd(*words, "--url", operator)
        assert (done.returncode, done.stderr) == (0, ""), words
    unit.wait_state("RUNNING")
    for words in (["status"], ["status", "unit"], ["history", "unit"]):
        done = statusd(*words, "--url", viewer)
        assert (done.returncode, done.stderr) == (0, ""), words
    for words in (
        ["send", "end"],
        ["send", "end", "-c", "mychannel"],
        ["send", "end", "--wait"],
        ["send", "end", "--durable"],
    ):
        done = statusd(*words, "--url", viewer)
        assert (done.returncode, "NOPERM" in done.stderr) == (69, True), (words, done.stderr)
    unit.wait_logged("state.changed", new="RUNNING")
    assert unit.logged("state.changed", new="ENDING") is None
    assert unit.logged("reply.failed") is None


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_who_may_read_may_watch(role: str, guarded: Broker, run: Run) -> None:
    """From the first event on, with the rights of the file and no more."""
    unit = run("tests.workers:obedient", guarded.url, redis={"url": as_url(guarded, "daemon")})
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")

    with Fleet(as_url(guarded, role)) as fleet, fleet.watch(since={"unit": "0"}) as watcher:
        assert [next(watcher), next(watcher)][-1]["new"] == "READY"  # after what it missed


def test_who_may_not_read_is_told_so(guarded: Broker) -> None:
    """And doesn't wait for a right as for a broker that is away."""
    set_user(guarded.client(), "statusd-viewer", "clearselectors")

    with (
        Fleet(as_url(guarded, "viewer")) as fleet,
        fleet.watch() as watcher,
        pytest.raises(Unavailable, match=r"NOPERM|permissions"),
    ):
        watcher.poll()


DAEMON = {"username": "statusd-daemon", "password": "change-me-daemon"}


@pytest.mark.fault("X02")
def test_without_the_right_to_a_channel_the_link_is_never_up(guarded: Broker, run: Run) -> None:
    """It is named with its cure, in the log and in the document; the others are obeyed."""
    daemon, client = {"url": guarded.url, **DAEMON}, guarded.client()
    channels = {"channels": ["mychannel", "forbidden.*"]}

    unit = run("tests.workers:obedient", guarded.url, redis=daemon, control=channels)

    unit.wait_logged("link.up", link="hears")
    refused = unit.wait_logged("channel.refused", channel="forbidden.*")
    assert "NOPERM" in refused["reason"]
    unit.wait_state("READY")
    assert client.publish("forbidden.a", "end") == 0
    assert client.publish("mychannel", "start") == 1
    unit.wait_state("RUNNING")
    wait_until(lambda: "forbidden.*: it isn't heard: NOPERM" in trouble(client), 5, "the trouble")
    set_user(client, *refused["cure"].replace('"', "").removeprefix("ACL SETUSER ").split(" ", 1))
    unit.wait_logged("channel.heard", channel="forbidden.*")
    assert client.publish("forbidden.a", "pause") == 1
    unit.wait_state("PAUSED")
    wait_until(lambda: trouble(client) == "", 5, "no trouble")
    assert unit.logged("link.lost") is None


@pytest.mark.fault("X02")
@pytest.mark.parametrize("word", ["&statusd:canary:{*}", "+subscribe"])
def test_without_its_canary_nothing_is_heard(word: str, guarded: Broker, run: Run) -> None:
    """The link is down, and says which right is missing."""
    less = granted_to("daemon", but=word)
    set_user(guarded.client(), "statusd-daemon", "clearselectors", *less)

    unit = run("tests.workers:blocked", guarded.url, redis={"url": guarded.url, **DAEMON})

    failed = unit.wait_logged("link.failed", link="hears")
    assert failed["reason"].startswith("statusd:canary:{unit}: NOPERM")
    assert unit.logged("link.up", link="hears") is None
    assert unit.logged("channel.refused") is None


@pytest.mark.fault("X03")
def test_a_right_is_taken_away_and_given_back(guarded: Broker, run: Run, rounds: int) -> None:
    """The link is lost at once, says which right is missing, and the channel is heard again."""
    daemon = {"url": guarded.url, **DAEMON}
    unit = run("tests.workers:obedient", guarded.url, redis=daemon, goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")
    client = guarded.client()
    noticed, again = [], []
    for _ in range(max(1, rounds // 4)):
        events = ("link.lost", "channel.refused", "channel.heard")
        outages, refused, heard = (count(unit, event) for event in events)
        began = time.monotonic()
        less = granted_to("daemon", but="&mychannel")
        set_user(client, "statusd-daemon", "clearselectors", *less)
        wait_until(partial(has_more, unit, "link.lost", outages), 10, "the loss")
        noticed.append(time.monotonic() - began)
        wait_until(partial(has_more, unit, "channel.refused", refused), 15, "the reason")
        assert client.publish("mychannel", "stop") == 0
        began = time.monotonic()
        set_user(client, "statusd-daemon", "clearselectors", *granted_to("daemon"))
        wait_until(partial(has_more, unit, "channel.heard", heard), 15, "the channel to be heard")
        again.append(time.monotonic() - began)

    print(f"\nright taken: noticed in {max(noticed):.3f} s, heard again in {max(again):.2f} s")
    assert max(noticed) <= 6
    assert max(again) <= 10
    client.publish("mychannel", "pause")
    unit.wait_state("PAUSED")
    client.publish("mychannel", "END")
    assert unit.wait_exit(15) == 0


def has_more(unit: Program, event: str, than: int) -> bool:
    """Tell whether ``event`` was logged more often than that, of the hearing link if of any."""
    return count(unit, event) > than


def set_user(client: redis.Redis, user: str, *rules: str) -> None:
    """Change the rights of a user, as an operator does."""
    client.execute_command("ACL", "SETUSER", user, *rules)  # type: ignore[no-untyped-call]  # redis-py


def granted_to(role: str, but: str = "") -> list[str]:
    """Return the selectors of a role in the ACL file, without the word ``but``."""
    line = next(line for line in ACL.read_text().splitlines() if f"statusd-{role} " in line)
    selectors = [found.split() for found in re.findall(r"\(([^)]*)\)", line)]
    return [f"({' '.join(w for w in words if w != but)})" for words in selectors]


def count(unit: Program, event: str) -> int:
    """Return how often ``event`` was logged, of the hearing link if of any."""
    return sum(line["event"] == event and line.get("link") != "sends" for line in unit.log())


def trouble(client: redis.Redis) -> str:
    """Return what the unit's document says of its trouble."""
    told = json.loads(client.get("statusd:status:{unit}") or b"{}")
    return str(told.get("trouble", ""))


@pytest.mark.fault("X04")
def test_a_password_is_changed_while_it_hears(broker: Broker, run: Run, tmp_path: Path) -> None:
    """The next connection says why it fails, and works as soon as the file has the new one."""
    secret = tmp_path / "secret"
    secret.write_text("the-old-one\n")
    broker.client().config_set("requirepass", "the-old-one")
    access = {"url": broker.url, "password_file": str(secret)}
    unit = run("tests.workers:blocked", broker.url, redis=access)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    client = redis.Redis(port=broker.port, password="the-old-one")

    client.config_set("requirepass", "the-new-one")
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]  # redis-py
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]  # redis-py
    failed = unit.wait_logged("link.failed", link="hears")
    secret.write_text("the-new-one\n")
    wait_until(lambda: count(unit, "link.up") == 2, 15, "the link to be up again")

    assert "WRONGPASS" in failed["reason"]
    assert ends_on_command(unit, client)
    client.close()
    assert "the-old-one" not in unit.output()
    assert "the-new-one" not in unit.output()


@pytest.mark.fault("X02", "X05")
@pytest.mark.parametrize("role", ["daemon", "operator", "viewer"])
def test_no_role_may_run_scripts_or_touch_the_server(role: str, guarded: Broker) -> None:
    """Nor hear what isn't the namespace's."""
    client = as_role(guarded, role)
    forbidden = [
        ("EVAL", "return 1", "0"),
        ("EVALSHA", "0" * 40, "0"),
        ("FUNCTION", "LIST"),
        ("SCRIPT", "FLUSH"),
        ("CONFIG", "GET", "*"),
        ("FLUSHALL",),
        ("ACL", "LIST"),
        ("SHUTDOWN", "NOSAVE"),
        ("KEYS", "*"),
        ("PSUBSCRIBE", "*"),
        ("SET", "of-somebody-else", "1"),
    ]

    for command in forbidden:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py
    client.close()


@pytest.mark.fault("X10")
def test_tls_is_spoken_with_an_authority_of_ones_own(
    broker: Broker, run: Run, tmp_path: Path
) -> None:
    """rediss:// with an authority of one's own, for the daemon and for send."""
    with TlsFront(broker.port, tmp_path) as front:
        url = f"rediss://127.0.0.1:{front.port}/0"
        access = {"url": url, "ca_file": str(front.ca_file)}
        unit = run("tests.workers:blocked", url, redis=access)
        unit.wait_logged("link.up", link="hears")

        trusting = f"{url}?ssl_ca_certs={front.ca_file}"
        sent = statusd("send", "ping", "--wait", "--url", trusting)
        examined = statusd("doctor", str(unit.directory / "statusd.toml"))

        assert (sent.returncode, sent.stderr) == (0, "")
        assert (examined.returncode, examined.stderr) == (0, "")
        assert "certificate and name are checked" in examined.stdout
        assert ends_on_command(unit, broker.client())


@pytest.mark.fault("X10")
def test_tls_keeps_out_who_has_no_certificate_of_the_authority(
    broker: Broker, run: Run, tmp_path: Path
) -> None:
    """Who has none, or one of another authority, stays outside."""
    other = tmp_path / "other.pem"
    certificate = trustme.CA().issue_cert("client@test.invalid")
    certificate.private_key_and_cert_chain_pem.write_to_path(other)
    with TlsFront(broker.port, tmp_path, ask_client=True) as front:
        url = f"rediss://127.0.0.1:{front.port}/0"
        access = {"url": url, "ca_file": str(front.ca_file)}
        none = run("tests.workers:blocked", url, name="none", redis=access)
        access["cert_file"] = str(other)
        wrong = run("tests.workers:blocked", url, name="wrong", redis=access)
        access["cert_file"] = str(front.client_file)

        unit = run("tests.workers:blocked", url, redis=access)
        unit.wait_logged("link.up", link="hears")

        trusting = f"{url}?ssl_ca_certs={front.ca_file}"
        with_ours = f"{trusting}&ssl_certfile={front.client_file}"
        sent = [statusd("send", "ping", "--wait", "--url", way) for way in (with_ours, trusting)]
        examined = [
            statusd("doctor", str(program.directory / "statusd.toml")) for program in (unit, none)
        ]
        assert [done.returncode for done in sent] == [0, 69]
        assert [done.returncode for done in examined] == [0, 1]
        assert "redis.cert_file" in examined[1].stdout
        assert ends_on_command(unit, broker.client())
        for stranger in (none, wrong):
            stranger.wait_logged("link.failed", link="hears")
            assert stranger.logged("link.up") is None


TROUBLES = {
    "another host": "IP address mismatch",
    "another authority": "certificate verify failed",
    "out of date": "certificate has expired",
    "no TLS there": "",
}
"""What is wrong with the broker's certificate -> what the reason says of it."""


@pytest.mark.fault("X10")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_tls_that_is_not_right_is_refused(
    trouble: str, broker: Broker, run: Run, tmp_path: Path
) -> None:
    """A wrong name, an unknown authority, an old certificate, a plain port: told in words."""
    host = "elsewhere.invalid" if trouble == "another host" else "127.0.0.1"
    not_after = datetime.now(UTC) - timedelta(hours=1) if trouble == "out of date" else None
    with TlsFront(broker.port, tmp_path, host, not_after=not_after) as front:
        ca_file = "" if trouble == "another authority" else str(front.ca_file)
        port = broker.port if trouble == "no TLS there" else front.port
        url = f"rediss://127.0.0.1:{port}/0"
        address = parse_url(f"{url}?ssl_ca_certs={ca_file}" if ca_file else url)

        with pytest.raises(Unavailable, match="no connection to rediss://127"):
            Client(address, "test").replies([("PING",)])
        unit = run("tests.workers:blocked", url, redis={"url": url, "ca_file": ca_file})
        failed = unit.wait_logged("link.failed", link="hears")

        assert TROUBLES[trouble] in failed["reason"]
        unit.wait_state("READY")  # the work begins all the same
        assert unit.logged("link.up") is None


@pytest.mark.fault("X10")
def test_tls_that_checks_nothing_is_warned_of(broker: Broker, run: Run, tmp_path: Path) -> None:
    """``ssl_cert_reqs=none`` takes any certificate, and each start says so."""
    with TlsFront(broker.port, tmp_path, "elsewhere.invalid") as front:
        url = f"rediss://127.0.0.1:{front.port}/0?ssl_cert_reqs=none"

        unit = run("tests.workers:blocked", url)

        assert ends_on_command(unit, broker.client())
        assert unit.wait_logged("tls.unverified")["level"] == "warning"


@pytest.mark.fault("X08")
def test_a_wrong_password_is_told_without_showing_it(broker: Broker) -> None:
    """The server's own words, not ours."""
    broker.client().config_set("requirepass", "right-one")
    address = with_credentials(parse_url(broker.url), password="wrong-one")

    with pytest.raises(Unavailable, match="WRONGPASS") as caught:
        Client(address, "test").replies([("PING",)])

    assert "wrong-one" not in str(caught.value)
    assert "wrong-one" not in repr(address)
