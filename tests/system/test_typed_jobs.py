"""`statusd run job:main`, `statusd run -- PROGRAM`: a first look, without a file."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.system.commands import statusd
from tests.tools import Broker, Program, Terminal, environment, wait_until
from tests.tools.pages import block, shell_lines

JOB = """\
import sys
import time


def main(worker):
    print("job", sys.argv)
    for step in worker.while_running():
        time.sleep(0.01)
        worker.progress(step, 1000)
"""
SCRIPT = """\
#!/bin/sh
for word; do echo "word <$word>"; done
exec sleep 60
"""
HOST = socket.gethostname()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a job and a program, and nothing else."""
    path = tmp_path / "a"
    path.mkdir()
    (path / "job.py").write_text(JOB)
    (path / "acquire").write_text(SCRIPT)
    (path / "acquire").chmod(0o755)
    return path


def words_of(line: str) -> list[str]:
    """Return what stands behind `statusd run` in a line of a page."""
    program, verb, *words = line.split()
    assert (program, verb) == ("statusd", "run")
    return words


def test_a_function_is_run_and_commanded(broker: Broker, folder: Path, tmp_path: Path) -> None:
    """As docs/cli.md says, on its channel, by its name; no file is made beside it."""
    of_function, _ = shell_lines(
        block("docs/cli.md", "statusd run job:main --channel mychannel --goal RUNNING")
    )
    env = {"STATUSD_REDIS__URL": broker.url, "STATUSD_STATE_DIRECTORY": str(tmp_path / "state")}
    env["XDG_RUNTIME_DIR"] = str(tmp_path)
    with Program("", directory=folder, typed=words_of(of_function), env=env) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("RUNNING")
        paused = statusd("send", "pause", "--wait", "--name", "job@*", "--url", broker.url)
        unit.wait_state("PAUSED")
        unit.signal(signal.SIGHUP)
        told = unit.wait_logged("reload.refused")
        shown = statusd("status", "--url", broker.url)
        broker.client().publish("mychannel", "END")

        assert unit.wait_exit(15) == 0
    assert paused.stdout.startswith(f"job@{HOST}"[:64])
    assert "PAUSED" in paused.stdout
    assert "nothing to read again: no settings, but `statusd run job:main`" in told["reason"]
    assert "PAUSED" in shown.stdout
    assert list(folder.glob("*.toml")) == []


def test_a_program_gets_its_words_as_they_are(broker: Broker, folder: Path, tmp_path: Path) -> None:
    """Also those that look like ours; options of ours stand before ``--``."""
    _, of_program = shell_lines(
        block("docs/cli.md", "statusd run job:main --channel mychannel --goal RUNNING")
    )
    words = words_of(of_program.replace("redis://127.0.0.1:6379/0", broker.url))
    more = ["--", "--embedded", "two words", "", "-h", "$HOME", "*"]
    with Program("", directory=folder, typed=[*words, *more]) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("RUNNING")
        wait_until(lambda: "word <*>" in unit.output(), 10, "its last word")
        printed = [line.partition("word ")[2] for line in unit.output().splitlines()]
        refused = statusd("send", "pause", "--wait", "--url", broker.url)
        statusd("send", "end", "--wait", "--url", broker.url)

        assert unit.wait_exit(15) == 0
    assert [word for word in printed if word] == [f"<{word}>" for word in ("--fast", *more)]
    assert refused.returncode == 3
    assert refused.stdout.startswith(f"acquire@{HOST}"[:64])


@pytest.mark.parametrize("first", ["function", "program"])
def test_the_same_job_elsewhere_takes_over_no_state(
    first: str, broker: Broker, folder: Path, tmp_path: Path
) -> None:
    """It is refused with both lines and folders, and changes nothing; by another name it runs."""
    other = tmp_path / "b"
    other.mkdir()
    for name in ("job.py", "acquire"):
        (other / name).write_bytes((folder / name).read_bytes())
        (other / name).chmod(0o755)
    line = ["job:main"] if first == "function" else ["--", "./acquire", "--secret"]
    shown = "job:main" if first == "function" else "-- ./acquire"
    state = tmp_path / "state"
    env = {"STATUSD_REDIS__URL": broker.url, "STATUSD_STATE_DIRECTORY": str(state)}
    with Program("", directory=folder, typed=line, env=env) as unit:
        unit.wait_state("READY" if first == "function" else "RUNNING")
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit(15) == 0
    (file,) = state.glob("*.json")
    before = file.read_bytes()

    with Program("", directory=other, typed=line, env=env) as unit:
        assert unit.wait_exit(15) == 78
        said = unit.output()
    assert f"`statusd run {shown}` in {folder}, and `statusd run {shown}` in {other} has" in said
    assert "type STATUSD_NAME=... before it" in said
    assert file.read_bytes() == before
    assert b"secret" not in before
    with Program("", directory=other, typed=line, env={**env, "STATUSD_NAME": "other"}) as unit:
        unit.wait_state("READY" if first == "function" else "RUNNING")
    with Program("", directory=folder, typed=line, env=env) as unit:
        assert unit.wait_logged("worker.started")["run"] == json.loads(before)["run"] + 1


def test_settings_that_are_there_are_not_read(broker: Broker, folder: Path, tmp_path: Path) -> None:
    """Not even looked at; it is told so, and which broker verbs are to be told of."""
    (folder / "statusd.toml").write_text("this is [no TOML")
    env = {k: v for k, v in environment(folder).items() if k != "STATUSD_LOG__FORMAT"}
    command = [sys.executable, "-m", "statusd", "run", "job:main", "--url", broker.url]
    with Terminal(command, env, cwd=folder, columns=160, rows=60) as terminal:
        terminal.wait("statusd.toml isn't read, for a job was typed")
        terminal.wait(f"waits for `start`: statusd send start --url {broker.url}")
        terminal.wait("sends")
        started = statusd("send", "start", "--wait", "--url", broker.url, cwd=tmp_path)
        statusd("send", "end", "--wait", "--url", broker.url, cwd=tmp_path)

        assert terminal.wait_exit(15) == 0
    assert started.returncode == 0


def test_a_first_look_with_a_broker_of_its_own(folder: Path) -> None:
    """As the README says; verbs in that folder find it, and nothing is left."""
    lines = shell_lines(block("README.md", "statusd run --embedded job:main"))
    for line, name, goal in zip(lines, ("job", "acquire"), ("READY", "RUNNING"), strict=True):
        here = {"XDG_RUNTIME_DIR": str(folder)}
        with Program("", directory=folder, typed=words_of(line), env=here) as unit:
            unit.wait_logged("link.up", link="hears")
            unit.wait_state(goal)
            status = statusd("status", cwd=folder, env=here)
            ended = statusd("send", "end", "--wait", cwd=folder, env=here)

            assert unit.wait_exit(15) == 0
            assert unit.leftovers() == []
        assert f"{name}@{HOST}"[:64] in status.stdout
        assert (ended.returncode, ended.stderr) == (0, "")


MISTAKES = {
    ("job:mian",): "command line: worker.function: {0}/job.py has no mian, did you mean main?",
    ("jib:main", "--goal", "RUNING"): "command line: goal: RUNING: ",
    ("--", "./acquier"): "command line: worker.command: ./acquier: no such program in {0}",
    ("job.py",): "job.py is Python, and no settings: statusd run job:main",
    ("job",): "did you mean statusd run job:main?",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_told_before_anything_is_started(words: tuple[str, ...], folder: Path) -> None:
    """With its place and cure, and the code of settings that are wrong."""
    done = statusd("run", *words, cwd=folder, env={"STATUSD_STATE_DIRECTORY": str(folder / "s")})

    assert (done.returncode, done.stdout) == (78, "")
    assert MISTAKES[words].format(os.path.realpath(folder)) in done.stderr
    assert not (folder / "s").exists()
