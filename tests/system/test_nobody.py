"""A user who has neither a name nor a home, as the number that a container runs as (J12)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import Broker, to_toml
from tests.tools.nobody import UID, nobody, why_not
from tests.tools.variants import some

pytestmark = [
    pytest.mark.fault("J12"),
    pytest.mark.skipif(bool(why_not()), reason=f"no user without a name: {why_not()}"),
]

JOB = """\
def main(worker):
    for _ in worker.while_running():
        return
"""
ATTACH = """\
import statusd
with statusd.attach(url="{url}", name="unit") as worker:
    print(worker.state.name)
"""
FLEET = """\
import statusd
with statusd.Fleet("{url}") as fleet:
    print(fleet.status(), fleet.send("pause"))
"""
NO_HOME = f"no home directory for uid {UID}: set state_directory, STATUSD_STATE_DIRECTORY or HOME"

WITHOUT = {
    "send": (("send", "pause"), 5),
    "status": (("status",), 5),
    "send --wait": (("send", "pause", "--wait"), 5),
    "history": (("history", "unit"), 5),
    "health": (("health",), 1),
    "acl": (("acl",), 0),
    "graph": (("graph", "unit.toml"), 0),
    "completion": (("completion", "bash"), 0),
    "--version": (("--version",), 0),
    "check": (("check", "whole.toml"), 0),
}


def write(folder: Path, name: str, url: str, **more: object) -> None:
    """Write settings for a program that ends at once, and a module with a function."""
    program = {"command": ["sh", "-c", "exit 0"], "restart": "never"}
    toml = {"name": "unit", "redis": {"url": url}, "worker": program}
    (folder / name).write_text(to_toml({**toml, **more}), encoding="utf-8")
    (folder / "job.py").write_text(JOB, encoding="utf-8")


@pytest.mark.parametrize("case", some(WITHOUT, 1))
def test_what_needs_no_home_works_without(case: str, broker: Broker, tmp_path: Path) -> None:
    """No verb looks for one in vain, and who commands is called by his number (J12)."""
    words, code = WITHOUT[case]
    write(tmp_path, "unit.toml", broker.url)
    write(tmp_path, "whole.toml", broker.url, state_directory=str(tmp_path / "state"))

    done = nobody("-m", "statusd", *words, cwd=tmp_path, env={"STATUSD_REDIS__URL": broker.url})

    assert "Traceback" not in done.stderr
    assert "no home" not in done.stderr
    assert done.returncode == code, done.stderr


WORKERS = {
    "a function": {"function": "job:main"},
    "a program": {"command": ["sleep", "0.01"], "restart": "never"},
}


@pytest.mark.parametrize("kind", some(WORKERS, 1))
def test_a_daemon_with_a_state_directory_needs_no_home(
    kind: str, broker: Broker, tmp_path: Path
) -> None:
    """It runs its worker to the end (J12)."""
    write(tmp_path, "unit.toml", broker.url, worker=WORKERS[kind], goal="RUNNING")

    done = nobody(
        *("-m", "statusd", "run", "unit.toml"),
        cwd=tmp_path,
        env={"STATE_DIRECTORY": str(tmp_path / "state")},
    )

    assert "Traceback" not in done.stderr
    assert '"new": "END"' in done.stderr, done.stderr
    assert (tmp_path / "state" / "unit.json").exists()


@pytest.mark.parametrize("verb", some(("run", "check", "doctor"), 1))
def test_the_setting_is_named_when_a_home_is_needed(
    verb: str, broker: Broker, tmp_path: Path
) -> None:
    """One line; and no folder of the name ``~`` is made (J12)."""
    write(tmp_path, "unit.toml", broker.url)

    done = nobody("-m", "statusd", verb, "unit.toml", cwd=tmp_path)

    assert NO_HOME in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    if verb != "doctor":
        assert done.returncode == 78
        assert done.stderr.startswith("statusd: state directory: no home")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.py", "unit.toml"]


def test_a_program_that_attaches_is_told_so(broker: Broker, tmp_path: Path) -> None:
    """By an error of ours; with a directory for its state it works, and so does `Fleet` (J12)."""
    attach = ATTACH.format(url=broker.url)
    state = {"STATE_DIRECTORY": str(tmp_path / "state")}

    refused = nobody("-c", attach, cwd=tmp_path)
    taken = nobody("-c", attach, cwd=tmp_path, env=state)
    fleet = nobody("-c", FLEET.format(url=broker.url), cwd=tmp_path)

    assert f"AttachError: state directory: {NO_HOME}" in refused.stderr
    assert (taken.stdout, taken.returncode) == ("READY\n", 0), taken.stderr
    assert fleet.returncode == 0, fleet.stderr


@pytest.mark.parametrize("path", some(("~/log", "~nosuchuser/log"), 1))
def test_a_path_in_a_home_that_is_not_there_is_named(path: str, tmp_path: Path) -> None:
    """Also for who has a home, that of a user who isn't there (J12)."""
    worker = {"command": ["true"], "output": path}
    write(tmp_path, "unit.toml", "redis://localhost", worker=worker, state_directory="state")

    done = nobody("-m", "statusd", "check", "unit.toml", cwd=tmp_path)

    assert done.returncode == 78
    assert done.stderr.startswith(f"statusd: {path}: no home directory "), done.stderr
    assert "write the whole path" in done.stderr
