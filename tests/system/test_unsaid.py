"""What a unit had left to say when it ended is said, though it rests."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BROKERS
from tests.faults.nemesis import DURABLE_FROM
from tests.faults.outages import history, wait_for
from tests.system.test_folder import documents, named, sent, wait_states
from tests.system.test_folder_reload import reload, write
from tests.system.test_launch import finals, launch
from tests.tools import Broker, Journal, Program, Proxy, wait_until
from tests.tools.toml import to_toml
from tests.tools.variants import some

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


def leave_open(directory: Path, command_id: str) -> Path:
    """Have the state file of an ended unit as one that was killed leaves it; return its path."""
    file = directory / "state" / "a.json"
    kept = json.loads(file.read_bytes())
    command = {"word": "pause", "source": "redis:mychannel", "received": 0.0, "id": command_id}
    file.write_text(json.dumps({**kept, "open": [command]}))
    return file


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
    file = leave_open(tmp_path, "left")

    with Journal(lasting.client()) as journal, start(lasting, tmp_path) as second:
        second.wait_logged("unit.told", unit="a")
        (said,) = wait_until(lambda: finals(journal, "left"), 10, "the final verdict")
        assert (said["verdict"], said["reason"]) == ("failed", "the daemon was restarted")
        assert json.loads(file.read_bytes())["open"] == []
        launch(lasting, "a", id="anew")
        (said,) = wait_until(lambda: finals(journal, "anew"), 10, "the final verdict")
        assert said["verdict"] == "done"
        assert len(finals(journal, "left")) == 1


@pytest.mark.fault("K23")
@pytest.mark.parametrize("after_s", some((0.15, 0.35, 0.1, 0.2, 0.25, 0.3, 0.4), 2))
def test_who_launches_is_answered_though_the_daemon_ends(
    after_s: float, lasting: Broker, tmp_path: Path
) -> None:
    """SIGTERM before the name is taken, while its channels are not heard yet, and later."""
    with Proxy(lasting.port) as proxy, Journal(lasting.client()) as journal:
        shared = {
            "redis": {"url": f"redis://127.0.0.1:{proxy.port}/0"},
            "daemon": {"name": "hall"},
        }
        units = named("a", "b")
        with Program(shared, directory=tmp_path, units=units) as program:
            wait_states(lasting, a="READY", b="READY")
            assert sent(lasting, "end", "--name", "a") == {"a": "done"}
            new = named("a", control={"channels": ["fresh"]})["a"]
            (tmp_path / "units" / "a.toml").write_text(to_toml(new))
            program.signal(signal.SIGHUP)  # its next life has to wait for a channel
            program.wait_logged("reload.done")
            proxy.delay(0.05)
            launch(lasting, "a", id="one")
            wait_for(time.monotonic() + after_s)
            program.signal(signal.SIGTERM)
            assert program.wait_exit() == 0
        (said,) = wait_until(lambda: finals(journal, "one"), 10, "the final verdict")
        assert said["verdict"] in ("done", "refused", "failed")
        assert not lasting.client().keys("statusd:owner:*")
        assert not program.logged("bug.caught")


@pytest.mark.fault("K24")
def test_a_launch_and_a_reload_at_once_leave_the_unit_as_its_file_is(
    lasting: Broker, tmp_path: Path
) -> None:
    """Whichever comes first: its channels are those of the file, and the next reload finds none."""
    with Proxy(lasting.port) as proxy:
        shared = {
            "redis": {"url": f"redis://127.0.0.1:{proxy.port}/0"},
            "daemon": {"name": "hall"},
        }
        with Program(shared, directory=tmp_path, units=named("a", "b")) as program:
            wait_states(lasting, a="READY", b="READY")
            for number, after_s in enumerate((0.1, 0.2)):
                assert sent(lasting, "end", "--name", "a") == {"a": "done"}
                new = named("a", control={"channels": [f"fresh{number}"]})["a"]
                proxy.delay(0.05)
                launch(lasting, "a")
                wait_for(time.monotonic() + after_s)
                write(program, "a", new)
                assert reload(program)[0] == 0
                proxy.pass_()
                wait_states(lasting, a="READY")
                wait_until(
                    lambda n=number: documents(lasting)["a"]["channels"] == [f"fresh{n}"],  # type: ignore[misc]  # mypy doesn't know defaults of lambdas
                    10,
                    "the channels of its file",
                )
                assert "0 of 2 units" in reload(program)[1]
            program.signal(signal.SIGTERM)
            assert program.wait_exit() == 0


@pytest.mark.fault("K22")
def test_a_file_that_comes_back_for_an_ended_unit_says_what_it_had_left(
    lasting: Broker, tmp_path: Path
) -> None:
    """By a reload: it rests, as it was ended, and owes nothing."""
    with start(lasting, tmp_path) as program:
        wait_states(lasting, a="READY", b="READY")
        assert sent(lasting, "end", "--name", "a") == {"a": "done"}
        wait_until(lambda: program.logged("state.changed", unit="a", new="END"), 10, "its end")
        file = tmp_path / "units" / "a.toml"
        text = file.read_text()
        file.unlink()
        assert reload(program)[0] == 0
        state = leave_open(tmp_path, "left")
        file.write_text(text)
        assert reload(program)[0] == 0
        program.wait_logged("unit.told", unit="a")
        assert json.loads(state.read_bytes())["open"] == []
        wait_states(lasting, **ENDED)
        program.signal(signal.SIGTERM)
        assert program.wait_exit() == 0


@pytest.mark.fault("K24")
def test_a_unit_that_a_command_is_ending_stays_ended_whatever_its_file_says(
    lasting: Broker, tmp_path: Path
) -> None:
    """A reload that would begin it anew comes while it ends."""
    slow = (
        "trap 'while ! [ -e go ]; do sleep 0.02; done; exit 0' TERM; while :; do sleep 0.02; done"
    )
    worker = {"command": ["sh", "-c", slow], "directory": str(tmp_path), "stop_timeout_s": 30}
    shared = {"redis": {"url": lasting.url}, "daemon": {"name": "hall"}}
    a = {"name": "a", "worker": worker}
    with Program(shared, directory=tmp_path, units={"a": a, **named("b")}) as program:
        wait_states(lasting, a="RUNNING", b="READY")
        lasting.client().publish("statusd:control", '{"command": "end", "target": {"name": "a"}}')
        wait_states(lasting, a="ENDING")
        write(program, "a", {"name": "a", "worker": {**worker, "environment": {"NEW": "1"}}})
        assert reload(program)[0] == 0
        (tmp_path / "go").touch()
        program.wait_logged("state.changed", unit="a", new="END")
        assert sent(lasting, "start", "--name", "b") == {"b": "done"}
        wait_states(lasting, a="END", b="RUNNING")
        program.signal(signal.SIGTERM)
        assert program.wait_exit() == 0
        assert not program.logged("unit.launched")
