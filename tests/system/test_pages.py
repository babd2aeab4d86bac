"""What the README and the pages of docs/ say is typed here as it stands.

A shell block is asked for by `pages.block`, with its first line: by these calls
tests/unit/test_pages.py knows which are typed. What can be judged without a broker is judged there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from statusd.core.messages import parse
from statusd.fleet.fleet import Fleet
from tests.conftest import Run
from tests.system.commands import changes, redis_cli, statusd, typed
from tests.tools import Broker, Program, environment, killing, wait_until
from tests.tools.pages import block, blocks, shell_lines, text

README = text("README.md")
GUIDE = text("docs/coming-from-a-listener.md")
JOB, SETTINGS = blocks(README, "python")[0], blocks(README, "toml")[0]
BARE = (
    "redis-cli XADD statusd:commands '*' command "
    """'{"command": "pause", "target": {"tag": "gpu"}}'"""
)
NOTIFY = 'systemd-notify --ready --status="cooling down"'


def test_the_readme_job_runs(broker: Broker, run: Run, tmp_path: Path) -> None:
    """job.py and statusd.toml as printed: checked, run, commanded, ended."""
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "job.py").write_text(JOB)
    toml = SETTINGS
    (folder / "statusd.toml").write_text(toml)

    checked = statusd("check", cwd=folder)
    with Program(toml, directory=folder, env={"STATUSD_REDIS__URL": broker.url}) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("RUNNING")
        broker.client().publish("mychannel", "END")

        assert unit.wait_exit(15) == 0
    assert checked.returncode == 0
    assert "no mistakes" in checked.stdout


def test_the_readme_s_program_has_no_mistakes(tmp_path: Path) -> None:
    """As printed; and it is there."""
    (tmp_path / "statusd.toml").write_text(blocks(README, "toml")[1])

    done = statusd("check", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_guide_to_lifecycles_is_sound(tmp_path: Path) -> None:
    """Its table, its condition, and its way to name both in Python."""
    guide = text("docs/lifecycles.md")
    table, python = blocks(guide, "toml")
    (tmp_path / "scan.py").write_text(
        f"{blocks(guide, 'python')[0]}\nimport tomllib\n"
        f"Scan = tomllib.loads({table!r})['lifecycle']['states']\n"
        f"TRANSITIONS = tomllib.loads({table!r})['lifecycle']['transitions']\n"
    )
    (tmp_path / "job.py").write_text(JOB)
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
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert "\npip install '.[embedded]' " in README
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


def test_a_fleet_is_asked_as_the_pages_say(counter: dict[str, str], broker: Broker) -> None:
    """Each line, `watch` as long as it takes to see an event; then from Python; then durably."""
    send, status, watch, history, logs = shell_lines(
        block("README.md", "statusd send pause --wait")
    )
    with (
        subprocess.Popen(watch.split(), env=counter, stdout=subprocess.PIPE, text=True) as it,
        killing(it),
    ):
        wait_until(lambda: "statusd-watch" in str(broker.client().client_list()), 10, "a watcher")
        sent, shown, listed = (typed(line, counter) for line in (send, status, history))
        typed(logs.removesuffix(" -f"), counter)
        assert it.stdout is not None
        seen = it.stdout.readline()

    assert "pause: 1 done" in sent
    assert "PAUSED" in shown
    assert "RUNNING -> PAUSED" in listed
    assert "RUNNING -> PAUSED" in seen
    of_readme, of_guide = blocks(README, "python")[2], blocks(text("docs/fleet.md"), "python")[0]
    assert by_python(of_readme, counter, broker) == "[]\n"
    assert by_python(of_guide, counter, broker).startswith("counter PAUSED")
    _ask_durably(counter, broker)


def by_python(source: str, env: dict[str, str], broker: Broker) -> str:
    """Return what a block prints that talks to the default broker."""
    source = source.replace("redis://127.0.0.1:6379/0", broker.url)
    return typed(f"python - <<'END'\n{source}END", env)


def _ask_durably(counter: dict[str, str], broker: Broker) -> None:
    """All ways that are told: what was kept is obeyed, and is a command."""
    typed("statusd send resume --wait", counter)
    for line in shell_lines(block("docs/messages.md", "statusd send pause --durable")):
        typed(line, counter)
    with Fleet(broker.url) as fleet:
        wait_until(lambda: fleet.status()[0].state == "PAUSED", 10, "the unit to be paused")
    typed(block("docs/fleet.md", BARE), counter)
    entries: Any = broker.client().xrange("statusd:commands")
    assert len(entries) == 3
    assert parse(entries[2][1][b"command"], "stream") is not None


def test_messages_are_real() -> None:
    """The command is one, and the verdict has the fields that verdicts have."""
    command, verdict, progress = blocks(text("docs/messages.md"), "json")

    parsed = parse(command.strip().encode(), "page")

    assert parsed is not None
    assert parsed.args == {"run": 1234}
    assert parse(verdict.strip().encode(), "page") is None  # an answer is not a command
    assert json.loads(verdict)["allowed"] == ["start", "end"]
    assert json.loads(progress)["progress"].keys() == {"step", "total", "unit", "rate", "left_s"}


@pytest.fixture
def project(broker: Broker, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody in a folder with the README's job, named, and with a broker."""
    (tmp_path / "job.py").write_text(JOB)
    for name in ("statusd.toml", "job.toml"):
        (tmp_path / name).write_text(SETTINGS.removeprefix("# "))  # the name is chosen
    paths = [str(Path(sys.prefix, "bin")), str(redis_cli(tmp_path, broker.port))]
    return environment(tmp_path) | {
        "PATH": ":".join([*paths, os.environ["PATH"]]),
        "STATUSD_REDIS__URL": broker.url,
        "TMUX_TMPDIR": str(tmp_path),
    }


def test_the_broker_is_looked_at_as_the_pages_say(project: dict[str, str], tmp_path: Path) -> None:
    """`doctor` finds no error, `acl` writes a file; completion is a script that bash takes."""
    said = typed(block("docs/doctor.md", "statusd doctor job.toml"), project, tmp_path)
    again = typed(block("docs/security.md", "statusd doctor job.toml"), project, tmp_path)
    typed(block("docs/security.md", "statusd acl --file job.toml > statusd.acl"), project, tmp_path)
    completing = block("docs/cli.md", "source <(statusd completion bash)")
    completed = typed(f"{completing}\ncomplete -p statusd", project, tmp_path)

    assert "strangers" in said
    assert "strangers" in again
    assert (tmp_path / "statusd.acl").read_text().startswith("user statusd-daemon reset on >")
    assert completed.startswith("complete ")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux here")
def test_it_runs_in_tmux(project: dict[str, str], tmp_path: Path) -> None:
    """It is looked at there, and the session ends with it."""
    start, look, end = shell_lines(
        block("docs/running.md", "tmux new-session -d -s camera statusd run")
    )
    del project["STATUSD_LOG__FORMAT"]  # for people: a line fits into the pane
    try:
        typed(start, project, tmp_path)
        _wait_healthy(project, tmp_path)
        wait_until(lambda: "new=RUNNING" in typed(look, project), 10, "its log in the pane")
        assert "1 done" in typed(end, project, tmp_path)
        wait_until(lambda: not _has_session(project), 10, "the session to be over")
    finally:
        subprocess.run(["tmux", "kill-server"], env=project, stderr=subprocess.DEVNULL, check=False)


def _has_session(env: dict[str, str]) -> bool:
    words = ["tmux", "has-session", "-t", "camera"]
    return not subprocess.run(words, env=env, stderr=subprocess.DEVNULL, check=False).returncode


def _wait_healthy(env: dict[str, str], folder: Path) -> None:
    """Wait until a daemon's loop turns, its links are up, and its worker works."""
    look = ("status", "--socket", "--json")
    wait_until(
        lambda: '"RUNNING"' in statusd(*look, cwd=folder, env=env).stdout, 15, "a worker at work"
    )


def test_it_runs_without_a_terminal(project: dict[str, str], tmp_path: Path) -> None:
    """It is there for who looks from elsewhere, and ends by a word."""
    start, *looks = shell_lines(
        block("docs/running.md", "setsid statusd run </dev/null >>statusd.log 2>&1 &")
    )
    typed(start, project, tmp_path)
    _wait_healthy(project, tmp_path)

    status, health = (typed(line, project, tmp_path) for line in looks)

    assert "RUNNING" in status
    assert "camera: RUNNING, the loop turns (" in health
    log = tmp_path / "statusd.log"
    typed("statusd send end --socket", project, tmp_path)
    wait_until(lambda: changes(log)[-1:] == ["END"], 10, "its end")


@pytest.mark.skipif(
    shutil.which("systemd-notify") is None, reason="there is no systemd-notify here"
)
def test_a_script_notifies_as_the_guide_says(broker: Broker, tmp_path: Path) -> None:
    """The first line makes it ready, with a text; the second pauses it, with a reason."""
    ready, pause = shell_lines(block("docs/programs.md", NOTIFY))
    script = f"{ready}; until [ -e go ]; do sleep 0.05; done; {pause}; sleep 99"
    worker = {
        "command": ["sh", "-c", script],
        **{"ready": "notified", "directory": str(tmp_path)},
        "signals": {"PAUSED": "SIGSTOP", "RUNNING": "SIGCONT"},
    }
    toml = {"name": "cooler", "redis": {"url": broker.url}, "worker": worker}
    with Program(toml, directory=tmp_path) as unit:
        unit.wait_state("RUNNING")
        unit.wait_logged("link.up", link="hears")
        (tmp_path / "go").touch()

        assert unit.wait_state("PAUSED")["reason"] == "out of film"
        with Fleet(broker.url) as fleet:
            assert fleet.status()[0].document["text"] == "cooling down"
        unit.signal(15)
        assert unit.wait_exit(10) == 0


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
    source = {
        "README": blocks(README, "python")[1],
        "the guide for listeners": blocks(GUIDE, "python")[3],
        "the guide": blocks(text("docs/attach.md"), "python")[0],
    }[source]
    source = source.replace("redis://localhost:6379/0", broker.url)
    step = 'def do_one_step(*_):\n    open("done", "a").close()\n\n'
    (tmp_path / "job.py").write_text(step + source + '\nprint("behind the block")\n')
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


def test_the_log_of_a_job_is_its_text(broker: Broker, tmp_path: Path) -> None:
    """By the handler of the guide; a job that returns has ended well."""
    (tmp_path / "job.py").write_text(blocks(text("docs/supervision.md"), "python")[2])
    toml = {"name": "job", "goal": "RUNNING", "redis": {"url": broker.url}}
    with Program({**toml, "worker": {"function": "job:main"}}, directory=tmp_path) as unit:
        assert unit.wait_exit(15) == 0
    with Fleet(broker.url) as fleet:
        (left,) = fleet.status()
        assert (left.state, left.document["text"]) == ("END", "cooling down to 170 K")


@pytest.mark.parametrize("which", [0, 1, 3, 4])
def test_the_guide_to_supervision_runs(which: int, broker: Broker, tmp_path: Path) -> None:
    """A step that takes longer than the others is no hang; tasks, and processes, follow."""
    python = blocks(text("docs/supervision.md"), "python")[which]
    steps = {
        "calibrate": "time.sleep(2)",
        "take_frame": "time.sleep(0.01)",
        "compute": "time.sleep(0.01)",
        "expose": "time.sleep(0.01)",
    }
    folder = tmp_path / "job"
    folder.mkdir()
    defined = "\n".join(f"def {name}(*_): {body}" for name, body in steps.items())
    (folder / "job.py").write_text(f"{python}\n\nimport time\nimages = range(10_000)\n{defined}\n")
    toml = {
        **{"name": "job", "goal": "RUNNING", "redis": {"url": broker.url}},
        "worker": {"function": "job:main", "hang_timeout_s": 1 if which == 0 else 0},
    }
    with Program(toml, directory=folder) as unit:
        unit.wait_state("RUNNING")
        unit.wait_logged("link.up", link="hears")
        with Fleet(broker.url) as fleet:
            assert len(fleet.send("pause", timeout_s=10).done) == 1
            assert len(fleet.send("end", timeout_s=10).done) == 1
        assert unit.wait_exit(10) == 0
        assert unit.logged("state.changed", new="BACKOFF") is None
