"""What somebody is told who sits at a terminal and has not read everything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings
from tests.system.commands import statusd
from tests.tools import Broker, Program, environment
from tests.tools.broker import available_brokers
from tests.tools.terminal import Terminal
from tests.tools.toml import to_toml
from tests.tools.variants import nightly


@pytest.mark.parametrize("file", ["job.toml", *nightly("statusd.toml")])
def test_a_unit_that_has_nothing_to_go_for_says_what_it_waits_for(
    file: str, broker: Broker, tmp_path: Path
) -> None:
    """On a terminal, once, with the line to type, which works as it stands there."""
    (tmp_path / file).write_text(to_toml(settings("tests.workers:obedient", broker.url)))
    env = {k: v for k, v in environment(tmp_path).items() if k != "STATUSD_LOG__FORMAT"}
    words = ("run",) if file == "statusd.toml" else ("run", file)
    named = "" if file == "statusd.toml" else " --file job.toml"
    command = [sys.executable, "-m", "statusd", *words]
    with Terminal(command, env, cwd=tmp_path, columns=160, rows=60) as terminal:
        terminal.wait(f"waits for `start`: statusd send start{named}")
        terminal.wait("link.up")
        terminal.wait("sends")
        line = f"send start{named} --wait".split()
        started = statusd(*line, cwd=tmp_path)
        stopped = statusd("send", "stop", "--wait", "--url", broker.url)
        statusd("send", "end", "--wait", "--url", broker.url)

        assert terminal.wait_exit(15) == 0
        assert (started.returncode, stopped.returncode) == (0, 0)
        assert terminal.text().count("waits for `start`") == 1


def test_whoever_has_a_goal_or_no_terminal_is_told_no_such_thing(
    broker: Broker, tmp_path: Path
) -> None:
    """It goes on by itself; a log is for machines."""
    toml = settings("tests.workers:obedient", broker.url, goal="RUNNING")
    (tmp_path / "statusd.toml").write_text(to_toml(toml))
    env = {k: v for k, v in environment(tmp_path).items() if k != "STATUSD_LOG__FORMAT"}
    command = [sys.executable, "-m", "statusd", "run"]
    with Terminal(command, env, cwd=tmp_path, columns=160, rows=60) as terminal:
        terminal.wait("new=RUNNING")
        assert "waits for `" not in terminal.text()
    with Program(settings("tests.workers:obedient", broker.url), directory=tmp_path / "b") as unit:
        unit.wait_state("READY")
        unit.wait_logged("link.up", link="hears")
        assert "waits for" not in unit.output()


def test_a_password_that_is_missing_is_told_alike_by_run_and_by_status(tmp_path: Path) -> None:
    """With its cure."""
    with Broker(available_brokers()["valkey"], conf={"requirepass": "secret"}) as broker:
        toml = settings("tests.workers:obedient", broker.url)
        with Program(toml, directory=tmp_path) as unit:
            told = unit.wait_logged("link.failed")
        done = statusd("status", "--url", broker.url, cwd=tmp_path)

    cure = "it wants a password: [redis] password_file, or STATUSD_REDIS__PASSWORD"
    assert told["cure"] == cure
    assert cure in done.stderr


def test_who_may_only_publish_is_told_how_to(broker: Broker, tmp_path: Path) -> None:
    """On a terminal it is looked who is there: whoever may not is told what was and wasn't done."""
    client: Any = broker.client()
    rights = ("on", ">pw", "+@connection", "+publish", "allchannels")
    client.execute_command("ACL", "SETUSER", "sender", *rights)
    url = broker.url.replace("//", "//sender:pw@")
    for more, told, code in (
        ((), "nothing was sent; --no-wait sends, and doesn't look who is there", 69),
        (("--no-wait",), "but nobody listens there", 5),
    ):
        command = [sys.executable, "-m", "statusd", "send", "pause", "--url", url, *more]
        with Terminal(command, environment(tmp_path), cwd=tmp_path, columns=200) as terminal:
            terminal.wait(told)
            assert terminal.wait_exit() == code
