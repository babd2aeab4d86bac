"""Tests of `tests.tools.broker`, with every server that is there."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.tools import Broker, Process, available_brokers, processes_with_marker, wait_until

pytestmark = pytest.mark.nightly  # it tests what tests are made with

ROOT = Path(__file__).parents[2]
BROKERS = available_brokers()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A running broker of each kind."""
    with Broker(BROKERS[request.param]) as broker:
        yield broker


def test_it_is_a_real_server_that_stores_nothing(broker: Broker) -> None:
    """It serves, under its own pid and in its own directory, without persistence."""
    client = broker.client()

    assert client.set("key", "value")
    assert client.get("key") == b"value"
    assert client.info("server")["process_id"] == broker.process.pid
    assert client.config_get("save") == {"save": ""}
    assert client.config_get("dir") == {"dir": str(broker.directory)}
    assert redis.Redis.from_url(broker.url, single_connection_client=True).ping()


def test_a_restart_keeps_the_port_and_loses_the_data(broker: Broker) -> None:
    """Clients find the new server where the old one was."""
    broker.client().set("key", "value")
    old, port = broker.process, broker.port

    broker.restart()

    assert not old.is_alive()
    assert (broker.port, broker.client().get("key")) == (port, None)


def test_killed_it_refuses_connections(broker: Broker) -> None:
    """After SIGKILL nobody listens; a start makes it serve again."""
    broker.kill()

    assert not broker.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port), 2.0)
    broker.start()
    assert broker.client().ping()


def test_frozen_it_accepts_but_never_answers(broker: Broker) -> None:
    """The kernel takes connections for a frozen server; thawed, it answers what waited."""
    with socket.create_connection(("127.0.0.1", broker.port), 2.0) as sock:
        broker.freeze()
        sock.sendall(b"PING\r\n")
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(100)

        broker.thaw()

        sock.settimeout(2.0)
        assert sock.recv(100) == b"+PONG\r\n"


@pytest.mark.parametrize("frozen", [False, True])
def test_nothing_is_left_when_it_is_closed(frozen: bool) -> None:
    """Neither server, guard, directory nor thread remain, even if the server was frozen."""
    threads, others = threading.active_count(), processes_with_marker()
    with Broker(BROKERS["valkey"]) as broker:
        process = broker.process
        if frozen:
            broker.freeze()

    assert Process.of(process.pid) is None
    assert not broker.directory.exists()
    assert processes_with_marker() == others
    assert threading.active_count() == threads
    broker.close()


def test_a_frozen_one_can_be_stopped_gracefully() -> None:
    """`stop` thaws it, so that it says goodbye instead of being killed."""
    with Broker(BROKERS["valkey"]) as broker:
        broker.freeze()

        broker.stop()

        assert "bye" in broker.output()


def test_its_settings_can_be_changed() -> None:
    """A directive wins over the default, and a password is used by the clients."""
    conf = {"requirepass": "secret", "appendonly": "yes"}
    with Broker(BROKERS["valkey"], conf=conf) as broker:
        broker.client().set("key", "value")

        broker.restart()

        assert broker.client(decode_responses=True).get("key") == "value"
        with socket.create_connection(("127.0.0.1", broker.port), 2.0) as stranger:
            stranger.sendall(b"PING\r\n")
            assert stranger.recv(100).startswith(b"-NOAUTH")


@pytest.mark.parametrize("rights", ["off", "on nopass ~* +ping"])
def test_a_closed_door_is_no_failed_start(tmp_path: Path, rights: str) -> None:
    """A server that lets nobody in, or only some do much, has started all the same."""
    (tmp_path / "users.acl").write_text(f"user default {rights}\n")

    with Broker(BROKERS["valkey"], conf={"aclfile": str(tmp_path / "users.acl")}) as broker:
        assert broker.is_alive()


def test_it_can_be_reached_by_a_socket_in_the_file_system() -> None:
    """With ``unix=True`` there is a second address."""
    with Broker(BROKERS["valkey"], unix=True) as broker:
        client = redis.Redis.from_url(broker.unix_url)

        assert client.ping()
        client.close()


def test_a_failing_start_shows_why_and_leaves_nothing() -> None:
    """The end of the server's output stands in the error."""
    broker = Broker(BROKERS["valkey"], conf={"no-such-directive": "yes"})

    with pytest.raises(AssertionError, match=r"(?s)ended by itself.*no-such-directive"), broker:
        pass

    assert not broker.is_alive()
    assert not broker.directory.exists()


def test_a_missing_program_is_told() -> None:
    """The shell's complaint stands in the error."""
    with pytest.raises(AssertionError, match="not found"), Broker("./no-such-server"):
        pass


def test_a_port_of_somebody_else_is_no_success() -> None:
    """A start fails when another server answers on its port."""
    with (
        Broker(BROKERS["valkey"]) as first,
        pytest.raises(AssertionError, match="ended by itself"),
        Broker(BROKERS["valkey"], port=first.port),
    ):
        pass


def test_a_client_fails_at_once_instead_of_trying_again() -> None:
    """With the server gone, a command raises; nothing hides it."""
    with Broker(BROKERS["valkey"]) as broker:
        client = broker.client()
        broker.kill()

        with pytest.raises(redis.ConnectionError):
            client.ping()


PARENT = """
import sys
from tests.tools import Broker
with Broker(sys.argv[1]) as broker:
    if sys.argv[2] == "frozen":
        broker.freeze()
    print(broker.process.pid, broker.directory, flush=True)
    input()
"""


@pytest.mark.parametrize("state", ["awake", "frozen"])
def test_it_dies_with_a_killed_parent(state: str) -> None:
    """SIGKILL leaves the parent no time to clean up; the guard does, within moments."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, BROKERS["valkey"], state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with parent:
        assert parent.stdout is not None
        pid, directory = parent.stdout.readline().decode().split()
        server = Process.of(int(pid))
        assert server is not None
        assert server.is_alive()

        parent.send_signal(signal.SIGKILL)

    wait_until(lambda: not server.is_alive(), 2.0, "the server to be gone")
    wait_until(lambda: not Path(directory).exists(), 2.0, "its directory to be gone")
