"""What a unit had left to say when it ended is said, though it rests."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BROKERS
from tests.faults.nemesis import DURABLE_FROM
from tests.faults.outages import history
from tests.system.test_folder import named, sent, wait_states
from tests.system.test_launch import finals, launch
from tests.tools import Broker, Journal, Program, wait_until

ENDED = {"a": "END", "b": "READY"}


@pytest.fixture
def lasting() -> Iterator[Broker]:
    """A broker that is killed and started again with what it had."""
    with Broker(BROKERS["valkey"], conf=DURABLE_FROM) as broker:
        yield broker


def start(broker: Broker, directory: Path) -> Program:
    """Run a folder of two units."""
    shared = {"redis": {"url": broker.url}, "daemon": {"name": "hall"}}
    return Program(shared, directory=directory, units=named("a", "b"))


def end_unheard(program: Program, broker: Broker) -> None:
    """End a unit while the broker is away."""
    wait_states(broker, a="READY", b="READY")
    broker.kill()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(program.directory / "statusd" / "statusd:a.sock"))
        connection.sendall(json.dumps({"command": "end", "id": "x"}).encode() + b"\n")
        assert b"verdict" in connection.recv(4096)
    program.wait_logged("outbox.unsent", unit="a")


def ends(broker: Broker) -> list[str]:
    """Return the last words of a unit in its history: each event is there once."""
    return [event["new"] for event in history(broker.client(), "a") if event["new"] == "END"]


@pytest.mark.fault("K22")
@pytest.mark.parametrize("by_whom", ["its daemon", "the next daemon"])
def test_an_end_that_the_broker_has_missed_is_told_later(
    by_whom: str, lasting: Broker, tmp_path: Path
) -> None:
    """Once in its history, and the state file has it no longer; the unit rests on."""
    with start(lasting, tmp_path) as first:
        end_unheard(first, lasting)
        if by_whom == "its daemon":
            lasting.start()
            first.wait_logged("unit.told", unit="a")
            wait_states(lasting, **ENDED)
        first.signal(signal.SIGTERM)
        assert first.wait_exit() == 0
    if by_whom == "the next daemon":
        lasting.start()
        with start(lasting, tmp_path) as second:
            second.wait_logged("unit.told", unit="a")
            wait_states(lasting, **ENDED)
            second.signal(signal.SIGTERM)
            assert second.wait_exit() == 0
    wait_until(lambda: ends(lasting) == ["END"], 10, "its end in its history")
    kept = json.loads((tmp_path / "state" / "a.json").read_bytes())
    assert (kept["unsent"], kept["ended"] is not None) == ([], True)


@pytest.mark.fault("K22")
def test_a_command_that_was_open_when_the_daemon_was_killed_has_failed(
    lasting: Broker, tmp_path: Path
) -> None:
    """The next daemon says so, and launches the unit later as any other."""
    with start(lasting, tmp_path) as first:
        wait_states(lasting, a="READY", b="READY")
        assert sent(lasting, "end", "--name", "a") == {"a": "done"}
        first.signal(signal.SIGTERM)
        assert first.wait_exit() == 0
    file = tmp_path / "state" / "a.json"
    kept = json.loads(file.read_bytes())
    command = {"word": "pause", "source": "redis:mychannel", "received": 0.0, "id": "left"}
    file.write_text(json.dumps({**kept, "open": [command]}))

    with Journal(lasting.client()) as journal, start(lasting, tmp_path) as second:
        second.wait_logged("unit.told", unit="a")
        (said,) = wait_until(lambda: finals(journal, "left"), 10, "the final verdict")
        assert (said["verdict"], said["reason"]) == ("failed", "the daemon was restarted")
        assert json.loads(file.read_bytes())["open"] == []
        launch(lasting, "a", id="anew")
        (said,) = wait_until(lambda: finals(journal, "anew"), 10, "the final verdict")
        assert said["verdict"] == "done"
        assert len(finals(journal, "left")) == 1
