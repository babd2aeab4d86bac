"""Commands and verdicts over the socket on the host, while nobody can reach a broker."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings
from tests.system.commands import statusd
from tests.tools import Broker, Program, free_port, wait_until
from tests.tools.unix import connect

Start = Callable[..., Program]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Start]:
    """Start units that have no broker, with one runtime directory."""
    started: list[Program] = []

    def start(name: str, function: str = "obedient", **changes: Any) -> Program:
        url = f"redis://127.0.0.1:{free_port()}"
        toml = settings(f"tests.workers:{function}", url, name=name, **changes)
        environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
        unit = Program(toml, directory=tmp_path / name, env=environment)
        started.append(unit)
        unit.wait_state(changes.get("goal") or "READY")
        return unit

    yield start
    for unit in started:
        unit.close()


def typed(tmp_path: Path, *words: str) -> Any:
    """Run a verb on that host."""
    return statusd(*words, "--socket", env={"XDG_RUNTIME_DIR": str(tmp_path)})


def test_commands_are_obeyed_and_answered_without_a_broker(alone: Start, tmp_path: Path) -> None:
    """By every unit of the host, each with its verdict; END ends it."""
    a, _ = alone("a"), alone("b", goal="RUNNING")

    started = typed(tmp_path, "send", "start")
    paused = typed(tmp_path, "send", "PAUSED", "--name", "b")
    status = typed(tmp_path, "status")
    ended = typed(tmp_path, "send", "end", "--name", "a", "--json")

    assert started.returncode == 0
    rows = {line.split()[0]: line.split()[1:] for line in started.stdout.splitlines()}
    assert rows["a"][:4] == ["done", "READY", "->", "RUNNING"]
    assert rows["b"][:2] == ["noop", "RUNNING"]
    assert paused.returncode == 0
    states = [line.split()[:2] for line in status.stdout.splitlines()[1:]]
    assert states == [["a", "RUNNING"], ["b", "PAUSED"]]
    assert json.loads(ended.stdout)["units"][0]["verdict"] == "done"
    assert a.wait_exit(15) == 0
    assert a.wait_logged("state.changed", new="ENDING")["source"] == "socket"


@pytest.mark.fault("X12")
def test_who_may_not_is_kept_out(alone: Start, tmp_path: Path) -> None:
    """The file is for this user alone, and gone when the unit is."""
    unit = alone("a")
    file = next((tmp_path / "statusd").iterdir())

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    unit.signal(signal.SIGTERM)
    unit.wait_exit(15)
    assert not file.exists()


def test_a_frozen_unit_is_silent(alone: Start, tmp_path: Path) -> None:
    """And the other one isn't kept waiting for it."""
    frozen, _ = alone("frozen"), alone("good")
    frozen.signal(signal.SIGSTOP)

    done = typed(tmp_path, "send", "start", "--timeout", "1")

    frozen.signal(signal.SIGCONT)
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}
    assert (rows["good"], rows["frozen"], done.returncode) == ("done", "silent", 4)


def test_the_file_of_a_killed_unit_is_nobody(alone: Start, tmp_path: Path) -> None:
    """It isn't silent: it isn't there; and the next daemon takes the file's place."""
    killed, _ = alone("killed"), alone("good")
    killed.signal(signal.SIGKILL)
    killed.wait_exit(15)

    done = typed(tmp_path, "send", "start")
    alone("killed")
    again = typed(tmp_path, "send", "start")

    assert done.stdout.splitlines()[-1] == "start: 1 done"
    assert again.stdout.splitlines()[-1] == "start: 2 done"


@pytest.mark.fault("J16")
def test_junk_is_answered_and_hurts_nobody(alone: Start, tmp_path: Path) -> None:
    """What is no command gets its verdict; one that never ends is hung up on (J16)."""
    unit = alone("a", goal="RUNNING")
    path = next((tmp_path / "statusd").iterdir())
    with socket.socket(socket.AF_UNIX) as line:
        connect(line, path)
        line.settimeout(15)
        line.sendall(b'xyzzy\n{"command": 3}\n\n{"verdict": "done"}\n"pause"\n')
        said = b""
        while said.count(b"\n") < 4:
            said += line.recv(65536)
    verdicts = [json.loads(row)["verdict"] for row in said.splitlines()]
    with socket.socket(socket.AF_UNIX) as endless:
        connect(endless, path)
        endless.settimeout(15)
        endless.sendall(b"x" * 100_000)
        answer = endless.recv(65536)
        with contextlib.suppress(ConnectionResetError):  # the rest of it was never read
            assert endless.recv(65536) == b""

    assert sorted(verdicts) == ["accepted", "done", "invalid", "invalid"]
    assert json.loads(answer)["reason"] == "longer than 16384 bytes"
    unit.wait_state("PAUSED")


def test_no_daemon_here_is_told(tmp_path: Path) -> None:
    """With where it was looked for; exit code 69."""
    done = typed(tmp_path, "status")

    assert done.returncode == 69
    assert f"listens in {tmp_path / 'statusd'}" in done.stderr


def test_the_world_hears_of_it_as_well(broker: Broker, tmp_path: Path) -> None:
    """A verdict over the socket is published like any other."""
    toml = settings("tests.workers:obedient", broker.url, goal="RUNNING")
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with (
        broker.client().pubsub() as heard,  # type: ignore[no-untyped-call]  # redis-py has no types
        Program(toml, directory=tmp_path / "unit", env=environment) as unit,
    ):
        heard.subscribe("statusd:verdicts")
        unit.wait_logged("link.up", link="sends")
        unit.wait_state("RUNNING")

        assert typed(tmp_path, "send", "pause").returncode == 0

        def verdict() -> bool:
            message = heard.get_message()
            return bool(message and message["type"] == "message" and b'"done"' in message["data"])

        wait_until(verdict, 15, "the verdict on the channel")
