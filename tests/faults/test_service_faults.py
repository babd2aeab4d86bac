"""What the service manager is told: ready when it is, the truth meanwhile, and not too often."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BROKERS, settings
from tests.tools import Broker, Program, free_port, wait_until

OUTAGE_S = 5.0
"""How long the broker is away here; longer with more rounds."""


class Manager:
    """Listens at a ``$NOTIFY_SOCKET``, as systemd does."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.address)
        self._heard: list[str] = []

    def heard(self) -> list[str]:
        """Return every note so far."""
        while True:
            try:
                self._heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self._heard

    def has_heard(self, text: str) -> bool:
        """Tell whether ``text`` is in a note."""
        return any(text in note for note in self.heard())

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A service manager that listens."""
    made = Manager(tmp_path)
    yield made
    made.close()


def start(manager: Manager, directory: Path, url: str) -> Program:
    """Start a unit as a service."""
    toml = settings("tests.workers:obedient", url)
    return Program(toml, directory=directory / "unit", env={"NOTIFY_SOCKET": manager.address})


@pytest.mark.fault("G12")
def test_ready_is_said_when_it_hears(manager: Manager, broker: Broker, tmp_path: Path) -> None:
    """What is sent at that moment is obeyed."""
    with start(manager, tmp_path, broker.url) as unit:
        client = broker.client()

        wait_until(lambda: manager.has_heard("READY=1"), 15, "READY")
        receivers = client.publish("mychannel", "start")

        assert receivers == 1
        unit.wait_state("RUNNING")


@pytest.mark.fault("G12", "N17")
def test_ready_is_said_without_a_broker_with_the_trouble(manager: Manager, tmp_path: Path) -> None:
    """The work has begun; STATUS tells why nobody can command it, and then that somebody can."""
    port = free_port()
    with start(manager, tmp_path, f"redis://127.0.0.1:{port}/0") as unit:
        wait_until(lambda: manager.has_heard("READY=1"), 15, "READY")
        assert manager.has_heard("STATUS=READY; link DOWN: ")

        with Broker(BROKERS["valkey"], port=port):
            unit.wait_logged("link.up", link="hears")
            wait_until(lambda: manager.heard()[-1] == "STATUS=READY", 15, "the good news")


@pytest.mark.fault("G11")
def test_an_outage_restarts_nothing(
    manager: Manager, broker: Broker, tmp_path: Path, rounds: int
) -> None:
    """The same daemon and the same worker before and after; few log lines and notes meanwhile."""
    outage_s = OUTAGE_S if rounds < 100 else 60.0
    with start(manager, tmp_path, broker.url) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")
        worker, notes, lines = unit.worker_pid(), len(manager.heard()), len(unit.log())

        broker.kill()
        wait_until(lambda: manager.has_heard("; link DOWN: "), 15, "the trouble in STATUS")
        until = time.monotonic() + outage_s
        wait_until(lambda: time.monotonic() > until, outage_s + 5, "the outage to be over")
        broker.start()
        unit.wait_logged("link.up", link="hears")

        assert unit.exit_code() is None
        assert unit.worker_pid() == worker
        assert len(unit.log()) - lines <= 6 + 2 * outage_s / 10
        assert len(manager.heard()) - notes <= 10 + 2 * outage_s
        wait_until(lambda: broker.client().publish("mychannel", "start"), 15, "it to listen")
        unit.wait_state("RUNNING")


@pytest.mark.fault("G13")
def test_only_news_is_said(manager: Manager, broker: Broker, tmp_path: Path) -> None:
    """A transition is; ten thousand words that change nothing, and junk, are not."""
    with start(manager, tmp_path, broker.url) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")
        pipe = broker.client().pipeline(transaction=False)
        before = len(manager.heard())

        for _ in range(5_000):
            pipe.publish("mychannel", "resume")
            pipe.publish("mychannel", "nonsense")
        pipe.publish("mychannel", "start")
        pipe.execute()
        unit.wait_state("RUNNING")
        wait_until(lambda: manager.has_heard("STATUS=RUNNING"), 15, "the state")

        assert len(manager.heard()) - before <= 2
