"""The first half minute of the README, typed as it stands; test_pages.py has all else."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.commands import changes, redis_cli
from tests.tools import wait_until
from tests.tools.pages import block, shell_lines

FIRST = "redis-cli PUBLISH mychannel start"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`make run`, as its own process group, with a state and a runtime directory of its own."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "COUNTER_STEP_S": "0.01"}
    venv = os.path.relpath(sys.prefix)
    # It is set up: a change of pyproject.toml must not have a test install this checkout into it.
    command = ["make", f"--assume-old={venv}/.ready", "run", f"VENV={venv}"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [*command, f"STATE={tmp_path / 'state'}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        yield process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def test_thirty_seconds_to_success(made: subprocess.Popen[str], tmp_path: Path) -> None:
    """`make run` in one terminal, the README's lines in another; END leaves with 0."""
    assert shell_lines(block("README.md", "make run")) == ["make run"]
    assert made.stdout is not None
    told = next(line for line in made.stdout if "A broker listens on" in line)
    port = int(re.findall(r"127\.0\.0\.1:(\d+)", told)[0])
    let_in = next(line for line in made.stdout if "export REDISCLI_AUTH=" in line)
    environment = {**os.environ, "PATH": f"{redis_cli(tmp_path, port)}:{os.environ['PATH']}"}
    environment["XDG_RUNTIME_DIR"] = str(tmp_path)
    log = tmp_path / "log"
    states = ["RUNNING", "PAUSED", "RUNNING", "PAUSED", "END"]
    wait_until(lambda: heard(log, "READY"), 10, "READY")
    wait_until(lambda: log.read_text().count("link.up") == 2, 10, "the links")

    for line, state in zip(shell_lines(block("README.md", FIRST)), states, strict=True):
        before = changes(log)
        here = let_in + line.replace(".venv/bin/", shlex.quote(f"{sys.prefix}/bin/"))
        typed = subprocess.run(here, shell=True, env=environment, timeout=10, check=False)
        assert typed.returncode == 0, line
        wait_until(lambda b=before, s=state: s in changes(log)[len(b) :], 10, f"{state} by {line}")  # type: ignore[misc]  # mypy can't infer lambdas with defaults

    assert made.wait(10) == 0


def heard(log: Path, state: str) -> bool:
    """Tell whether the log says that ``state`` was reached."""
    return state in changes(log)
