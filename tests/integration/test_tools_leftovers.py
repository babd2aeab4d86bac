"""Tests of `tests.tools.leftovers` and `guard`: nothing outlives a run of tests that is killed."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.tools import Namespace, Process, SmallDisk, wait_until
from tests.tools.control_groups import groups
from tests.tools.leftovers import processes_of
from tests.tools.namespace import networks, owner_of
from tests.tools.processes import descendants

pytestmark = pytest.mark.nightly  # it tests what tests are made with

ROOT = Path(__file__).parents[2]
SOON_S = 15.0

# A test that holds one of everything, tells what, and doesn't end; behind it one that only stays.
STORY = """
import json, os, subprocess, time
from contextlib import ExitStack
from pathlib import Path
from tests.conftest import BROKERS, settings
from tests.tools import SESSION, Broker, Namespace, Program, SmallDisk
from tests.tools.control_groups import CannotGroup, make

def test_everything(tmp_path):
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(BROKERS["valkey"]))
        if not Namespace.why_not():
            network = stack.enter_context(Namespace())
            far = Broker(BROKERS["valkey"], inside=network.inside, host=network.far)
            stack.enter_context(far)
        toml = settings("tests.workers:obedient", broker.url, goal="RUNNING")
        unit = stack.enter_context(Program(toml, directory=tmp_path / "unit"))
        unit.wait_state("RUNNING")
        if not SmallDisk.why_not():
            stack.enter_context(SmallDisk())
        guests = []
        try:
            group = make("freezer")
        except CannotGroup:
            pass
        else:
            (group / "tasks").write_text(str(unit.worker_pid()))
            (group / "freezer.state").write_text("FROZEN")
            guest = subprocess.Popen(["sleep", "50"], cwd="/", env={}, start_new_session=True)
            (group / "tasks").write_text(str(guest.pid))
            guests = [guest.pid]
        pids = [unit.pid, unit.worker_pid(), broker.process.pid]
        told = {"session": SESSION, "folder": os.environ["TMPDIR"], "pids": pids, "guests": guests}
        Path(os.environ["TOLD"]).write_text(json.dumps(told))
        time.sleep(50)

def test_nothing():
    time.sleep(50)
"""


class Run:
    """A run of `STORY` that is amidst of it.

    Args:
        words: more arguments for pytest.
        by_make: it is started by a shell that make(1) has started.
    """

    def __init__(self, directory: Path, words: Sequence[str] = (), *, by_make: bool = False):
        directory.mkdir()
        (directory / "test_story.py").write_text(STORY)
        told, command = directory / "told", [*pytest_words(directory), *words]
        if by_make:
            (directory / "Makefile").write_text(f"test:\n\t{shlex.join(command)}; true\n")
            command = ["make"]
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TOLD": str(told)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: told.exists() and told.read_text().endswith("}"), 30, "the story")
        self._told: dict[str, Any] = json.loads(told.read_text())
        self.session: str = self._told["session"]
        pids = [self._owner_pid(), *self._told["pids"]]
        self.owner, self.daemon, self.worker, self.broker = map(process_of, pids)
        guests = map(process_of, self._told["guests"])
        self.processes = [self.owner, self.daemon, self.worker, self.broker, *guests]

    def _owner_pid(self) -> int:
        return int(self.session.split("-")[1], 16)

    @property
    def guard(self) -> Process:
        """Its guard."""
        (pid,) = (pid for pid in descendants(self.owner.pid) if is_guard(pid))
        return process_of(pid)

    def left(self, *, files: bool = True) -> list[object]:
        """Return what there is of it: processes, networks, mounts, groups, files."""
        owner, where = self.session.partition("/")[0], Path(self._told["folder"])
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        return [
            *processes_of(self.session, where),
            *(process for process in self.processes if process.is_alive()),
            *(name for name in networks() if owner_of(name) == owner),
            *(row for row in mounts if where.name in row),
            *groups(self.session),
            *([where] if files and where.exists() else []),
        ]

    def close(self) -> None:
        """Kill it, and wait until nothing is left but files, which a failed run leaves."""
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not self.left(files=False), SOON_S, f"nothing of {self.left()}")


def pytest_words(directory: Path) -> list[str]:
    """Return the words that run the tests in a folder as if they were among ours."""
    ini = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-p", "tests.conftest"]
    return [sys.executable, "-m", "pytest", *ini, "-p", "no:randomly", str(directory)]


def process_of(pid: int) -> Process:
    """Return the process that has the number now."""
    process = Process.of(pid)
    assert process is not None, pid
    return process


def is_guard(pid: int) -> bool:
    """Tell whether it is the guard of a session."""
    return b"tests.tools.guard" in Path(f"/proc/{pid}/cmdline").read_bytes()


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a run: ``start("name", ...)``."""
    with ExitStack() as stack:

        def started(name: str, *args: Any, **changes: Any) -> Run:
            run = Run(tmp_path / name, *args, **changes)
            stack.callback(run.close)
            return run

        yield started


def check_that_all_is_there(run: Run) -> None:
    """Let no test pass because there was nothing to be left, or nobody saw it."""
    left = "\n".join(map(str, run.left()))
    for text, why_not in (
        (f"pid={run.daemon.pid}", ""),
        (run._told["folder"], ""),
        (f"statusd-{run.session.replace('/', '-')}-", Namespace.why_not()),
        ("tmpfs", SmallDisk.why_not()),
    ):
        assert why_not or text in left
    assert all(process.is_alive() for process in run.processes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("words", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_nothing_outlives_a_run(words: list[str], number: int, start: Start) -> None:
    """Neither process, network, mount, control group nor file."""
    run = start("run", words)
    check_that_all_is_there(run)

    run.owner.kill() if number == signal.SIGKILL else run.process.send_signal(number)

    wait_until(lambda: not run.left(), SOON_S, "nothing to be left")


def test_nothing_outlives_the_make_that_it_was_started_by(start: Start) -> None:
    """The command that was typed is killed, and not what it has started: that goes as well."""
    run = start("run", by_make=True)
    assert run.process.pid != run.owner.pid

    run.process.kill()

    wait_until(lambda: not run.left(), SOON_S, "nothing to be left")


def test_nothing_outlives_a_worker_of_xdist(start: Start) -> None:
    """It is killed and the run isn't: what it has started and made goes, its files tell why."""
    run = start("run", ["-n", "1"])
    worker = process_of(run.daemon.parent)
    assert worker.pid != run.owner.pid

    worker.kill()

    wait_until(lambda: run.left(files=False) == [run.owner], SOON_S, "all but the run to be gone")
    assert len(run.left()) == 2


def test_the_next_run_clears_what_no_guard_could(start: Start, tmp_path: Path) -> None:
    """Run and guards are killed; the daemon dies by itself, the rest goes when somebody else runs.

    Who lives beside both of them loses nothing. The tests of a neighbour may be the next run, too:
    so it isn't asked who has cleared.
    """
    neighbour, run = start("neighbour"), start("run")
    before = neighbour.left()
    guards = [run.guard, process_of(run.broker.parent)]
    for guard in guards:
        guard.kill()
    wait_until(lambda: not any(guard.is_alive() for guard in guards), SOON_S, "the guards' end")
    run.owner.kill()
    run.process.wait()
    wait_until(lambda: not run.daemon.is_alive(), SOON_S, "the daemon's end")
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "test_next.py").write_text("def test_nothing(): pass\n")

    done = subprocess.run(
        pytest_words(tmp_path / "next"),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert run.left() == []
    assert neighbour.left() == before
    check_that_all_is_there(neighbour)
