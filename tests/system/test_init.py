"""`statusd init`: what it writes is run as it stands, with a real broker, commanded and ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.commands import changes, statusd
from tests.tools import Broker, Program, environment, killing, wait_until
from tests.tools.pages import block, shell_lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    path = tmp_path / "camera"
    path.mkdir()
    return path


def command(url: str, folder: Path) -> None:
    """Pause, resume and end the only unit of a broker; each has to be done."""
    for word in ("pause", "resume", "end"):
        done = statusd("send", word, "--wait", "--url", url, cwd=folder)
        assert (done.returncode, done.stderr) == (0, ""), word
        assert re.match(r"camera[@-]\S+ ", done.stdout)


@pytest.mark.parametrize("words", [(), ("--command", "sh -c 'exec sleep 60'")])
def test_what_is_written_runs(words: tuple[str, ...], broker: Broker, folder: Path) -> None:
    """Checked without a word; it begins at once, tells how far it is, and obeys."""
    written = statusd("init", *words, cwd=folder)
    checked = statusd("check", cwd=folder)
    assert (written.returncode, written.stderr) == (0, "")
    assert (checked.returncode, checked.stderr) == (0, "")

    toml = (folder / "statusd.toml").read_text()
    with Program(toml, directory=folder, env={"STATUSD_REDIS__URL": broker.url}) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("RUNNING")
        if not words:
            wait_until(lambda: "step 1 of 120" in unit.output(), 10, "a step")
        command(broker.url, folder)

        assert unit.wait_exit(15) == 0


def test_a_program_that_attaches_runs(broker: Broker, folder: Path) -> None:
    """By itself, without settings."""
    assert statusd("init", "--attach", cwd=folder).returncode == 0
    env = environment(folder) | {"STATUSD_REDIS__URL": broker.url}
    log = folder / "log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [sys.executable, "job.py"], cwd=folder, env=env, stdout=out, stderr=out
        ) as process,
        killing(process),
    ):
        wait_until(lambda: changes(log)[-1:] == ["RUNNING"], 10, "it to run")
        wait_until(lambda: log.read_text().count('"link.up"') == 2, 10, "its links")
        command(broker.url, folder)

        assert process.wait(15) == 0
    assert sorted(path.name for path in folder.glob("*.toml")) == []


def test_three_lines_from_nothing_to_a_job_that_is_commanded(folder: Path) -> None:
    """As the README says, the second one in another terminal; and what `init` says to type."""
    begin, run, send = shell_lines(block("README.md", "statusd init"))
    here = {"XDG_RUNTIME_DIR": str(folder)}
    said = statusd(*begin.split()[1:], cwd=folder, env=here).stdout
    typed = [line.strip().split(" ") for line in said.splitlines() if line.startswith("    ")]
    lines = [words[1:] for words in typed if words[0].endswith("statusd")]
    assert ["run", "--embedded"] == run.split()[1:] == lines[0]
    assert ["cd", os.path.realpath(folder)] in typed

    toml = (folder / "statusd.toml").read_text()
    with Program(toml, directory=folder, args=lines[0][1:], env=here) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("RUNNING")
        paused = statusd(*send.split()[1:], cwd=folder, env=here)
        told = [statusd(*words, cwd=folder, env=here) for words in lines[1:]]

        assert unit.wait_exit(15) == 0
    assert re.search(r"camera@\S+ +done +RUNNING -> PAUSED", paused.stdout)
    assert [done.returncode for done in told] == [0, 0, 0, 0]
    assert "PAUSED" in told[0].stdout
    assert "camera" in told[-1].stdout
