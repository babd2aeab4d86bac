"""What the README and the guide say is typed here as it stands."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from statusd.cli import VERBS
from statusd.core.messages import parse
from statusd.fleet.fleet import Fleet
from statusd.settings.models import Settings
from tests.conftest import Run
from tests.system.commands import statusd
from tests.tools import Broker, Program, environment, killing, wait_until

README = Path("README.md").read_text(encoding="utf-8")
DOCS = sorted(Path("docs").glob("*.md"))
GUIDE = Path("docs/coming-from-a-listener.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def shell_lines(block: str) -> list[str]:
    """Return what is typed, without the remarks."""
    return [line.split("#")[0].strip() for line in block.splitlines() if line.split("#")[0].strip()]


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
    assert shell_lines(blocks(README, "sh")[0]) == ["make run"]
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

    for line, state in zip(shell_lines(blocks(README, "sh")[1]), states, strict=True):
        before = changes(log)
        here = let_in + line.replace(".venv/bin/", shlex.quote(f"{sys.prefix}/bin/"))
        typed = subprocess.run(here, shell=True, env=environment, timeout=10, check=False)
        assert typed.returncode == 0, line
        wait_until(lambda b=before, s=state: s in changes(log)[len(b) :], 10, f"{state} by {line}")  # type: ignore[misc]  # mypy can't infer lambdas with defaults

    assert made.wait(10) == 0


def changes(log: Path) -> list[str]:
    """Return the states that the log tells of, in order."""
    return re.findall(r'"new": "(\w+)"', log.read_text())


def heard(log: Path, state: str) -> bool:
    """Tell whether the log says that ``state`` was reached."""
    return state in changes(log)


def redis_cli(directory: Path, port: int) -> Path:
    """Make a redis-cli that talks to ``port``: the real one, or a stand-in by redis-py."""
    real = shutil.which("redis-cli")
    python = (
        f"import os, redis, sys; it = redis.Redis(port={port}, "
        "password=os.environ.get('REDISCLI_AUTH')); print(it.execute_command(*sys.argv[1:]))"
    )
    words = [real, "-p", str(port)] if real else [sys.executable, "-c", python]
    script = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
    folder = directory / "bin"
    folder.mkdir()
    file = folder / "redis-cli"
    file.write_text(script)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


def test_the_readme_job_runs(broker: Broker, run: Run, tmp_path: Path) -> None:
    """job.py and statusd.toml as printed: checked, run, commanded, ended."""
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "job.py").write_text(blocks(README, "python")[0])
    toml = blocks(README, "toml")[0]
    (folder / "statusd.toml").write_text(toml)
    assert shell_lines(blocks(README, "sh")[3]) == ["statusd check", "statusd run"]

    checked = statusd("check", cwd=folder)
    with Program(toml, directory=folder, env={"STATUSD_REDIS__URL": broker.url}) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")
        broker.client().publish("lab.7", "start")
        unit.wait_state("RUNNING")
        broker.client().publish("mychannel", "END")

        assert unit.wait_exit(15) == 0
    assert checked.returncode == 0
    assert "no mistakes" in checked.stdout


@pytest.mark.parametrize("which", [1, 2])
def test_the_readme_s_other_settings_have_no_mistakes(which: int, tmp_path: Path) -> None:
    """Any program, and states of one's own: as printed, with a worker where there is none."""
    toml = blocks(README, "toml")[which]
    worker = "" if "[worker]" in toml else '[worker]\nfunction = "job:main"\n'
    (tmp_path / "job.py").write_text(blocks(README, "python")[0])
    (tmp_path / "statusd.toml").write_text(toml + worker)

    done = statusd("check", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_guide_to_lifecycles_is_sound(tmp_path: Path) -> None:
    """Its table, its condition, and its way to name both in Python."""
    guide = Path("docs/lifecycles.md").read_text(encoding="utf-8")
    table, python = blocks(guide, "toml")
    (tmp_path / "scan.py").write_text(
        f"{blocks(guide, 'python')[0]}\nimport tomllib\n"
        f"Scan = tomllib.loads({table!r})['lifecycle']['states']\n"
        f"TRANSITIONS = tomllib.loads({table!r})['lifecycle']['transitions']\n"
    )
    (tmp_path / "job.py").write_text(blocks(README, "python")[0])
    for name, toml in (("table", table), ("python", python)):
        (tmp_path / f"{name}.toml").write_text(f'{toml}[worker]\nfunction = "job:main"\n')

        done = statusd("check", f"{name}.toml", cwd=tmp_path)

        assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_s_picture_is_the_lifecycle(tmp_path: Path) -> None:
    """Made anew: the same states, triggers and colours as the one in docs/."""
    empty = {"XDG_CONFIG_HOME": str(tmp_path)}
    done = statusd("graph", "-o", "lifecycle.svg", cwd=tmp_path, env=empty)

    assert done.returncode == 0
    assert "(docs/lifecycle.svg)" in README
    old, new = (picture(path) for path in (Path("docs"), tmp_path))
    assert old == new
    assert any("RUNNING" in texts for texts, _ in new)


def picture(folder: Path) -> list[tuple[tuple[str, ...], str]]:
    """Return what is to be read in each state and arrow of a picture, and its classes."""
    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.parse(folder / "lifecycle.svg")
    return sorted(
        (tuple(text.text or "" for text in group.iter(f"{svg}text")), group.get("class", ""))
        for group in root.iter(f"{svg}g")
    )


def test_what_is_installed_is_offered() -> None:
    """The extra of the README's `pip install` is one of pyproject.toml's."""
    (line,) = shell_lines(blocks(README, "sh")[2])
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert line == "pip install '.[embedded]'"
    assert "embedded" in extras


@pytest.fixture
def counter(broker: Broker, run: Run, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose broker has one running unit, `counter`."""
    unit = run("statusd.examples.counter:main", broker.url, name="counter", goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")
    paths = [str(Path(sys.prefix, "bin")), str(redis_cli(tmp_path, broker.port))]
    return environment(tmp_path) | {
        "PATH": ":".join([*paths, os.environ["PATH"]]),
        "STATUSD_REDIS__URL": broker.url,
    }


def typed(line: str, env: dict[str, str]) -> str:
    """Return what a line printed that had to succeed."""
    done = subprocess.run(line, shell=True, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout


def test_the_readme_s_fleet_is_asked(counter: dict[str, str], broker: Broker) -> None:
    """Each line, `watch` as long as it takes to see an event; then the same from Python."""
    send, status, watch, history = shell_lines(blocks(README, "sh")[4])
    python = blocks(README, "python")[2].replace("redis://127.0.0.1:6379/0", broker.url)
    with (
        subprocess.Popen(watch.split(), env=counter, stdout=subprocess.PIPE, text=True) as it,
        killing(it),
    ):
        wait_until(lambda: "statusd-watch" in str(broker.client().client_list()), 10, "a watcher")
        sent, shown, listed = (typed(line, counter) for line in (send, status, history))
        assert it.stdout is not None
        seen = it.stdout.readline()

    assert "pause: 1 done" in sent
    assert "PAUSED" in shown
    assert "RUNNING -> PAUSED" in listed
    assert "RUNNING -> PAUSED" in seen
    assert typed(f"python - <<'END'\n{python}END", counter) == "[]\n"


def test_the_readme_s_durable_commands_are_kept(counter: dict[str, str], broker: Broker) -> None:
    """Both ways: what was kept is obeyed."""
    for line in shell_lines(blocks(README, "sh")[5]):
        typed(line, counter)

    with Fleet(broker.url) as fleet:
        wait_until(lambda: fleet.status()[0].state == "PAUSED", 10, "the unit to be paused")
    assert broker.client().xlen("statusd:commands") == 2


def test_the_readme_messages_are_real() -> None:
    """The command is one, and the verdict has the fields that verdicts have."""
    command, verdict = blocks(README, "json")

    parsed = parse(command.strip().encode(), "readme")

    assert parsed is not None
    assert parsed.args == {"run": 1234}
    assert parse(verdict.strip().encode(), "readme") is None  # an answer is not a command
    assert json.loads(verdict)["allowed"] == ["start", "end"]


@pytest.mark.parametrize("which", [0, 1])
def test_the_guide_for_listeners_runs(which: int, broker: Broker, tmp_path: Path) -> None:
    """Both ways of writing the old program do their steps and end on END."""
    first, polling = blocks(GUIDE, "python")[1:3]
    step = 'def do_one_step() -> None:\n    open("done", "a").close()\n'
    body = (
        first.split("def do_one_step")[0]
        if which == 0
        else f"{first.split('def main')[0]}{polling}"
    )
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "job.py").write_text(f"{body}\n\n{step}")
    toml = blocks(GUIDE, "toml")[0]

    with Program(toml, directory=folder, env={"STATUSD_REDIS__URL": broker.url}) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("RUNNING")
        wait_until((folder / "done").exists, 15, "a step")
        for word, state in (("pause", "PAUSED"), ("resume", "RUNNING")):
            broker.client().publish("mychannel", word)
            unit.wait_state(state)
        broker.client().publish("mychannel", "END")

        assert unit.wait_exit(8) == 0
        assert unit.wait_state("END")["reason"] == "exit code 0"


@pytest.mark.parametrize("source", ["README", "the guide for listeners", "the guide"])
def test_what_is_said_of_attach_runs(source: str, broker: Broker, tmp_path: Path) -> None:
    """As printed, with a step: paused, resumed and ended by words."""
    text = {
        "README": blocks(README, "python")[1],
        "the guide for listeners": blocks(GUIDE, "python")[3],
        "the guide": blocks(Path("docs/attach.md").read_text(encoding="utf-8"), "python")[0],
    }[source]
    text = text.replace("redis://localhost:6379/0", broker.url)
    step = 'def do_one_step(*_):\n    open("done", "a").close()\n\n'
    (tmp_path / "job.py").write_text(step + text + '\nprint("behind the block")\n')
    variables = environment(tmp_path) | {
        "STATUSD_REDIS__URL": broker.url,
        "STATUSD_LOG__LEVEL": "info",
    }
    log = tmp_path / "log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [sys.executable, "job.py"], cwd=tmp_path, env=variables, stdout=out, stderr=out
        ) as job,
        killing(job),
    ):
        wait_until(lambda: log.read_text().count("link.up") == 2, 10, "the links")
        for word, state in (("start", "RUNNING"), ("pause", "PAUSED"), ("end", "END")):
            broker.client().publish("mychannel", word)
            wait_until(lambda s=state: changes(log)[-1:] == [s], 10, f"{state} by {word}")  # type: ignore[misc]  # mypy can't infer lambdas with defaults
            wait_until((tmp_path / "done").exists, 10, "a step")  # before it is paused
        assert job.wait(10) == 0
    assert "behind the block" in log.read_text()


# ---- no block escapes ----------------------------------------------------------------------------

TAKEN = {
    "README.md": {"sh": 6, "python": 3, "toml": 3, "json": 2},
    "docs/coming-from-a-listener.md": {"python": 4, "toml": 1},
    "docs/lifecycles.md": {"python": 1, "toml": 2},
    "docs/attach.md": {"python": 1},
}
"""Page -> how many blocks of each language there are; a test above takes each of them."""


@pytest.mark.parametrize("page", sorted(TAKEN))
def test_no_block_escapes(page: str) -> None:
    """Whoever adds one adds a test that types it."""
    text = Path(page).read_text(encoding="utf-8")
    languages = re.findall(r"^```(\w+)$", text, re.MULTILINE)

    assert {name: languages.count(name) for name in languages} == TAKEN[page]


@pytest.mark.parametrize("page", DOCS, ids=str)
def test_every_block_is_what_it_says(page: Path) -> None:
    """Python compiles, TOML has no unknown keys, JSON is JSON, shell is no nonsense."""
    text = page.read_text(encoding="utf-8")
    for python in blocks(text, "python"):
        ast.parse(python)
    for toml in blocks(text, "toml"):
        Settings(**tomllib.loads(toml))
    for message in blocks(text, "json"):
        json.loads(message)
    scripts = "".join(blocks(text, "sh"))
    subprocess.run(["sh", "-n"], input=scripts, text=True, check=True)
    for verb in re.findall(r"^(?:\S*/)?statusd ([a-z]+)", scripts, re.MULTILINE):
        assert verb in VERBS


def test_the_guide_to_the_fleet_runs(counter: dict[str, str], broker: Broker) -> None:
    """Its Python as it stands, and its bare entry in the stream is a command."""
    text = Path("docs/fleet.md").read_text(encoding="utf-8")
    python = blocks(text, "python")[0].replace("redis://127.0.0.1:6379/0", broker.url)

    assert typed(f"python - <<'END'\n{python}END", counter).startswith("counter RUNNING")
    typed(blocks(text, "sh")[0], counter)
    entries: Any = broker.client().xrange("statusd:commands")
    assert parse(entries[0][1][b"command"], "stream") is not None


def test_the_guide_to_supervision_runs(broker: Broker, tmp_path: Path) -> None:
    """Its step that takes longer than the others is no hang."""
    text = Path("docs/supervision.md").read_text(encoding="utf-8")
    folder = tmp_path / "job"
    folder.mkdir()
    steps = (
        "import time\n\ncalibrate = lambda: time.sleep(2)\ntake_frame = lambda: time.sleep(0.01)\n"
    )
    (folder / "job.py").write_text(f"{blocks(text, 'python')[0]}\n\n{steps}")
    toml = {
        **{"name": "job", "goal": "RUNNING", "redis": {"url": broker.url}},
        "worker": {"function": "job:main", "hang_timeout_s": 1},
    }
    with Program(toml, directory=folder) as unit:
        unit.wait_state("RUNNING")
        unit.wait_logged("link.up", link="hears")
        with Fleet(broker.url) as fleet:
            assert len(fleet.send("pause", timeout_s=10).done) == 1
            assert len(fleet.send("end", timeout_s=10).done) == 1
        assert unit.wait_exit(10) == 0
        assert unit.logged("state.changed", new="BACKOFF") is None
