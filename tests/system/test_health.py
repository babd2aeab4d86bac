"""`statusd health`: honest about the loop, silent about the broker, and quick."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings
from tests.system.commands import statusd
from tests.tools import Broker, Journal, Program, free_port, to_toml, wait_until

Start = Callable[..., Program]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Start]:
    """Start units that have no broker, with one runtime directory."""
    started: list[Program] = []

    def start(name: str, **changes: Any) -> Program:
        url = f"redis://127.0.0.1:{free_port()}"
        toml = settings("tests.workers:obedient", url, name=name, **changes)
        unit = Program(toml, directory=tmp_path / name, env={"XDG_RUNTIME_DIR": str(tmp_path)})
        started.append(unit)
        unit.wait_state("READY")
        return unit

    yield start
    for unit in started:
        unit.close()


def health(tmp_path: Path, *words: str, **env: str) -> Any:
    """Ask for the health of what runs there."""
    return statusd("health", *words, cwd=tmp_path, env={"XDG_RUNTIME_DIR": str(tmp_path), **env})


def test_without_a_broker_it_is_healthy(alone: Start, tmp_path: Path) -> None:
    """Losing the broker is told, and is no reason to start anything again."""
    unit = alone("a")

    told = health(tmp_path)
    as_json = json.loads(health(tmp_path, "--json").stdout)

    assert told.returncode == 0
    assert told.stdout.startswith("a: READY, the loop turns (")
    assert re.search(r"; link (DOWN|CONNECTING): Connect.*\n$", told.stdout)
    (shown,) = as_json["units"]
    assert as_json["healthy"] is shown["healthy"] is True
    assert (shown["name"], shown["pid"], shown["stuck"]) == ("a", unit.pid, [])


def test_a_stopped_daemon_is_not(alone: Start, tmp_path: Path) -> None:
    """It says nothing in time; afterwards it is well again."""
    unit = alone("a")

    unit.signal(signal.SIGSTOP)
    stopped = health(tmp_path, "--timeout", "0.3")
    unit.signal(signal.SIGCONT)
    again = health(tmp_path)

    assert stopped.returncode == 1
    reason = "no answer within 0.3 s: the daemon is stopped, or its loop is stuck"
    assert stopped.stderr == f"statusd: a: {reason}\n"
    assert again.returncode == 0


def test_a_killed_or_ended_one_is_not(alone: Start, tmp_path: Path) -> None:
    """The one left its socket's file behind, the other nothing."""
    killed, ended = alone("killed"), alone("ended")
    killed.signal(signal.SIGKILL)
    ended.signal(signal.SIGTERM)
    assert ended.wait_exit(15) == 0
    killed.wait_exit(15)

    told = health(tmp_path)
    as_json = json.loads(health(tmp_path, "--json", STATUSD_NAME="ended").stdout)

    assert told.returncode == 1
    assert told.stderr.startswith("statusd: killed: nobody listens at ")
    assert as_json["healthy"] is False
    assert "no daemon listens for 'ended' here (there is killed)" in as_json["reason"]


def test_it_finds_the_unit_of_the_settings(alone: Start, tmp_path: Path) -> None:
    """By file, by variables, by socket; else everybody here counts."""
    alone("a", redis={"namespace": "lab"})
    alone("b", redis={"namespace": "lab"}).signal(signal.SIGKILL)
    file = tmp_path / "a.toml"
    file.write_text(to_toml({"name": "a", "redis": {"namespace": "lab"}}), encoding="utf-8")
    socket = str(tmp_path / "statusd" / "lab:a.sock")
    lab = {"STATUSD_REDIS__NAMESPACE": "lab"}

    codes = [
        health(tmp_path, str(file)).returncode,
        health(tmp_path, STATUSD_NAME="a", **lab).returncode,
        health(tmp_path, "--namespace", "lab", "--socket", socket).returncode,
        health(tmp_path, "--socket", str(tmp_path), STATUSD_NAME="a", **lab).returncode,
        health(tmp_path, **lab).returncode,
        health(tmp_path).returncode,
        health(tmp_path, str(tmp_path / "missing.toml")).returncode,
    ]

    assert codes == [0, 0, 0, 0, 0, 1, 78]


def test_a_file_that_a_killed_one_has_left_is_told_and_makes_nobody_ill(
    alone: Start, tmp_path: Path
) -> None:
    """It lies there for ever: it counts if its unit is asked for, or if nobody else listens."""
    living = alone("living")
    killed = alone("killed")
    killed.signal(signal.SIGKILL)
    killed.wait_exit(15)

    told = health(tmp_path)
    as_json = json.loads(health(tmp_path, "--json").stdout)
    named = health(tmp_path, STATUSD_NAME="killed")
    living.signal(signal.SIGTERM)
    assert living.wait_exit(15) == 0
    alone_left = health(tmp_path)

    assert told.returncode == 0
    assert told.stdout.startswith("living: READY, the loop turns")
    assert told.stderr.startswith("statusd: killed: nobody listens at ")
    assert as_json["healthy"] is True
    by_name = {unit["name"]: (unit["healthy"], unit.get("listens")) for unit in as_json["units"]}
    assert by_name == {"living": (True, None), "killed": (False, False)}
    assert named.returncode == alone_left.returncode == 1
    assert "nobody listens" in named.stderr


def test_nobody_here_is_told(tmp_path: Path) -> None:
    """In one line, with where it was looked for."""
    told = health(tmp_path)

    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert f"listens in {tmp_path / 'statusd'}" in told.stderr


def test_it_is_asked_without_a_word_to_the_world(
    broker: Broker, tmp_path: Path, journal: Journal
) -> None:
    """It is asked every few seconds: nobody who listens to verdicts wants to hear of it."""
    toml = settings("tests.workers:obedient", broker.url)
    with Program(toml, directory=tmp_path / "x", env={"XDG_RUNTIME_DIR": str(tmp_path)}) as unit:
        unit.wait_logged("link.up", link="sends")

        assert [health(tmp_path).returncode for _ in range(3)] == [0, 0, 0]

        broker.client().publish("mychannel", "start")
        wait_until(journal.finals, 15, "the answer to something else")
        assert {said["command"] for said in journal.verdicts()} == {"start"}
