"""Tests of `tests.tools.program`, with a small stand-in for the real program.

The stand-in is a package ``statusd`` in the directory that the program runs in; Python finds it
there first.
"""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools import SESSION, Process, Program, processes_with_marker, wait_until
from tests.tools.processes import MARKER

pytestmark = pytest.mark.nightly  # it tests what tests are made with

STAND_IN = """
import json, os, signal, subprocess, sys, tomllib

def log(event, **fields):
    print(json.dumps({"event": event} | fields), file=sys.stderr, flush=True)

def start_worker(run, family):
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60']); input()"
    code = code if family else "input()"
    ignoring = lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                              start_new_session=True, preexec_fn=ignoring)
    log("worker.started", run=run, pid=worker.pid)
    return worker

def end(number, frame):
    log("state.changed", old="READY", new="END")
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
with open(sys.argv[2], "rb") as file:
    settings = tomllib.load(file)
print("no log line")
print('["neither is this"]', flush=True)
log("daemon.started", argv=sys.argv[1:], cwd=os.getcwd(), path=sys.path,
    environment={k: v for k, v in os.environ.items() if "STATUSD" in k})
if settings.get("fail"):
    raise SystemExit("bad luck")
workers = [start_worker(run, settings.get("family", False))
           for run in range(1, settings.get("workers", 0) + 1)]
log("state.changed", old="INIT", new="READY")
while True:
    signal.pause()
"""

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts the stand-in; what it started is closed in the end."""
    package = tmp_path / "statusd"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN)
    programs: list[Program] = []

    def start(toml: Any = "", **options: Any) -> Program:
        programs.append(Program(toml, directory=tmp_path, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.close()
        assert processes_with_marker(program.marker) == []


def test_it_is_started_as_a_user_would(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verb, the file and more arguments; a session and a directory of its own."""
    monkeypatch.setenv("STATUSD_REDIS__URL", "redis://elsewhere")
    program = start({"name": "a"}, args=["--fresh"], env={"STATUSD_GOAL": "RUNNING"})

    line = program.wait_logged("daemon.started")

    file = tmp_path / "statusd.toml"
    assert line["argv"] == ["run", str(file), "--fresh"]
    assert tomllib.loads(file.read_text()) == {"name": "a"}
    assert line["cwd"] == str(tmp_path)
    assert str(Path(__file__).parents[2]) in line["path"]
    assert os.getsid(program.pid) == program.pid
    assert line["environment"] == {
        "STATUSD_GOAL": "RUNNING",
        "STATUSD_LOG__FORMAT": "json",
        "STATUSD_STATE_DIRECTORY": str(tmp_path / "state"),
        MARKER: program.marker,
    }


def test_its_log_is_read_line_by_line(start: Start) -> None:
    """Lines are found by event and fields; what is no log line is in the output only."""
    program = start("workers = 2")

    program.wait_state("READY")

    events = [line["event"] for line in program.log()]
    assert events == ["daemon.started", "worker.started", "worker.started", "state.changed"]
    first, second = program.logged("worker.started"), program.logged("worker.started", run=2)
    assert first is not None
    assert second is not None
    assert (first["run"], second["run"]) == (1, 2)
    assert program.logged("worker.started", run=3) is None
    assert program.output().startswith('no log line\n["neither is this"]\n{"event": "daemon')


def test_the_state_is_the_newest_one(start: Start) -> None:
    """A state that was left again doesn't count; the exit code comes with the end."""
    program = start()
    program.wait_state("READY")

    program.signal(signal.SIGTERM)

    assert program.wait_state("END")["old"] == "READY"
    assert program.wait_exit() == 0
    with pytest.raises(AssertionError, match="ended with 0 before the state READY"):
        program.wait_state("READY")
    program.signal(signal.SIGTERM)


def test_a_wait_in_vain_shows_the_log(start: Start) -> None:
    """The error says what was waited for and how the output ends."""
    program = start()
    program.wait_state("READY")

    with pytest.raises(AssertionError, match=r"(?s)line moon\.landed phase='full'.*daemon\.star"):
        program.wait_logged("moon.landed", 0.05, phase="full")
    with pytest.raises(AssertionError, match=r"(?s)for the program to end.*state\.changed"):
        program.wait_exit(0.05)
    with pytest.raises(AssertionError, match="no worker was started"):
        program.worker_pid()


def test_a_program_that_fails_ends_the_wait_at_once(start: Start) -> None:
    """Nobody waits ten seconds for a dead program; its last words are shown."""
    program = start("fail = true")

    with pytest.raises(AssertionError, match=r"(?s)ended with 1 before.*bad luck"):
        program.wait_state("READY", 60.0)

    assert program.exit_code() == 1


def test_it_knows_its_family(start: Start) -> None:
    """The newest worker, and all that lives below the daemon."""
    program = start({"workers": 2, "family": True})
    program.wait_state("READY")
    wait_until(lambda: len(program.descendants()) == 4, 5.0, "two workers with a child each")

    assert program.worker_pid() == program.log()[2]["pid"]
    assert program.worker_pid() in program.descendants()
    assert set(program.leftovers()) == {program.pid, *program.descendants()}
    assert set(processes_with_marker(program.marker)) == set(program.leftovers())


def test_close_kills_the_tree(start: Start) -> None:
    """Daemon, stubborn workers and grandchildren are gone, even when nobody read the log."""
    program = start({"workers": 2, "family": True})
    wait_until(lambda: len(program.descendants()) == 4, 5.0, "two workers with a child each")
    family = [Process.of(pid) for pid in program.descendants()]

    program.close()

    assert program.exit_code() == -signal.SIGKILL
    assert program.leftovers() == []
    assert not any(process.is_alive() for process in family if process is not None)
    program.close()


def test_workers_that_survive_their_daemon_are_leftovers(start: Start) -> None:
    """They are found although their parent is dead, and so are their children without them."""
    program = start({"workers": 1, "family": True})
    program.wait_state("READY")
    worker = Process.of(program.worker_pid())
    assert worker is not None
    child = wait_until(lambda: set(program.descendants()) - {worker.pid}, 5.0, "its child")

    program.signal(signal.SIGKILL)
    program.wait_exit()
    worker.kill()

    wait_until(lambda: set(program.leftovers()) == child, 5.0, "only the child to be left")


def test_a_stranger_with_a_logged_pid_is_spared(start: Start) -> None:
    """A pid in the log isn't enough: a process that is none of ours lives on."""
    program = start()
    program.wait_state("READY")
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with bystander:
        line = json.dumps({"event": "worker.started", "pid": bystander.pid})
        with next(program.directory.glob("stderr-*.log")).open("a") as file:
            file.write(line + "\n")

        assert program.worker_pid() == bystander.pid
        assert program.leftovers() == [program.pid]
        program.close()

        assert bystander.poll() is None


def test_a_second_program_has_its_own_log(start: Start) -> None:
    """In the same directory, each sees what it printed itself, and has its own marker."""
    first = start()
    first.wait_state("READY")
    first.close()
    second = start("workers = 1")
    second.wait_state("READY")

    assert first.logged("worker.started") is None
    assert second.logged("worker.started") is not None
    assert first.marker != second.marker
    assert second.marker.startswith(f"{SESSION}/")
