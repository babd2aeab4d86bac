"""Attacks from the disk, and a lack of it: no process, no thread, no name server."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import settings
from tests.faults.outages import lines, wait_listening
from tests.tools import Broker, Program, environment, free_port, wait_until
from tests.tools.halt import threads

pytestmark = pytest.mark.timeout(240)

_users = itertools.count(100_000 + os.getpid() % 20_000 * 20)
"""Users who have no other process, nor a dead one that nobody has buried: a limit counts all."""


def as_stranger(folder: Path, user: int) -> tuple[str, ...]:
    """Return what makes a user of a program who has no other process; he may work in ``folder``.

    He keeps the right to read and write everybody's files, which the limit isn't about.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, user, user)
    rights = ("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override")
    who = ("--reuid", str(user), "--regid", str(user), "--clear-groups")
    return ("setpriv", *who, *rights)


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="to become somebody else needs root")


@AS_ROOT
@pytest.mark.fault("X35")
def test_without_a_thread_for_the_state_file_nothing_starts(tmp_path: Path) -> None:
    """78, and the limit is named: a daemon that can keep nothing would be no help."""
    folder = tmp_path / "unit"
    below = (*as_stranger(folder, next(_users)), "prlimit", "--nproc=1:1")
    toml = settings("tests.workers:obedient", f"redis://127.0.0.1:{free_port()}")

    with Program(toml, directory=folder, below=below) as unit:
        assert unit.wait_exit(20) == 78
        assert "no thread is to be had: the limit on processes is reached" in unit.output()
        assert "Traceback" not in unit.output()


JOB = {"command": ["sleep", "1000"], "backoff_s": [0.2, 0.5], "budget": 1000}


@AS_ROOT
@pytest.mark.fault("X35")
def test_a_daemon_lives_with_no_more_than_its_own_two_threads(
    broker: Broker, tmp_path: Path
) -> None:
    """From the start: no worker, guard, nor a thread for a name or for output; tried again."""
    folder = tmp_path / "unit"
    by_name = broker.url.replace("127.0.0.1", "localhost")
    toml = settings("", by_name, goal="RUNNING")
    toml["worker"] = JOB
    below = (*as_stranger(folder, next(_users)), "prlimit", f"--nproc={OURS}:1000")
    with Program(toml, directory=folder, below=below) as unit:
        wait_until(lambda: not_started(unit), 20, "a worker that can't be started")
        wait_until(lambda: threadless(unit), 20, "a name that can't be looked up")
        assert (unit.exit_code(), lines(unit, "bug.caught")) == (None, [])

        limit_processes(unit, 1000)
        unit.wait_state("RUNNING", 20)
        wait_listening(unit)
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit(15) == 0


@AS_ROOT
@pytest.mark.fault("X35")
def test_a_limit_on_processes_stops_no_write(broker: Broker, tmp_path: Path) -> None:
    """The thread of the state file is there from the start: what can't be started is kept."""
    folder = tmp_path / "unit"
    toml = settings("", broker.url, goal="RUNNING")
    toml["worker"] = JOB
    with Program(toml, directory=folder, below=as_stranger(folder, next(_users))) as unit:
        wait_listening(unit)
        unit.wait_state("RUNNING")
        limit_processes(unit, 1)
        os.kill(unit.worker_pid(), signal.SIGKILL)
        wait_until(lambda: not_started(unit), 20, "a worker that can't be started")
        before = kept_at(folder)
        wait_until(lambda: kept_at(folder) != before, 20, "another state file")

        limit_processes(unit, 1000)
        unit.wait_state("RUNNING", 20)
        assert lines(unit, "bug.caught") == []


@AS_ROOT
@pytest.mark.fault("X35")
def test_output_waits_for_a_thread(broker: Broker, tmp_path: Path) -> None:
    """What a worker prints while there is no thread to write it is written when there is one."""
    folder = tmp_path / "unit"
    toml = settings("", broker.url, goal="RUNNING")
    toml["worker"] = {**JOB, "command": ["sh", "-c", "read x < go; echo said; exec sleep 1000"]}
    below = as_stranger(folder, next(_users))
    os.mkfifo(folder / "go")
    with Program(toml, directory=folder, below=below) as unit:
        wait_listening(unit)
        unit.wait_state("RUNNING")
        limit_processes(unit, 1)
        (folder / "go").write_text("\n")
        unit.wait_logged("output.failed", 20)
        assert "run 1 | said" not in unit.output()

        limit_processes(unit, 1000)
        wait_until(lambda: "run 1 | said" in unit.output(), 20, "what was said")
        assert lines(unit, "bug.caught") == []


def not_started(unit: Program) -> bool:
    """Tell whether a worker could not be started for want of a process."""
    changes = lines(unit, "state.changed")
    return any("can't be started" in line.get("reason", "") for line in changes)


def limit_processes(unit: Program, most: int) -> None:
    """Let a unit's user have so many processes and threads; he may ask for that himself."""
    user = str(Path(f"/proc/{unit.pid}").stat().st_uid)
    who = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    limit = ["prlimit", "--pid", str(unit.pid), f"--nproc={most}:"]
    subprocess.run([*who, *limit], check=True, timeout=10)


def threadless(unit: Program) -> bool:
    """Tell whether a link has said that there is no thread to be had."""
    return any("no thread" in line.get("reason", "") for line in lines(unit, "link.failed"))


def kept_at(folder: Path) -> int:
    """Return which file the state file is: each write makes another one."""
    return (folder / "state" / "unit.json").stat().st_ino


HANGING_RESOLVER = """\
import socket, time
_real = socket.getaddrinfo
def _slow(host, *more, **others):
    if host == "slow.invalid":
        time.sleep(20)
    return _real(host, *more, **others)
socket.getaddrinfo = _slow
"""
"""A ``sitecustomize``: a name server that doesn't answer for 20 s, for one name."""


@pytest.mark.fault("X35")
def test_a_name_server_that_hangs_delays_no_write(tmp_path: Path) -> None:
    """Names are looked up in threads; the state file has its own, and the end waits for no name."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(HANGING_RESOLVER)
    paths = os.pathsep.join([str(site), environment(tmp_path)["PYTHONPATH"]])
    toml = settings("tests.workers:obedient", "redis://slow.invalid:6379", goal="RUNNING")
    with Program(toml, directory=tmp_path / "unit", env={"PYTHONPATH": paths}) as unit:
        unit.wait_state("RUNNING", 20)
        wait_until(lambda: len(lines(unit, "link.failed")) >= 2, 20, "names to be looked up")
        most = min(32, (os.cpu_count() or 1) + 4)  # asyncio has no more
        wait_until(
            lambda: len(threads(unit.pid)) >= most + OURS, 60, "all of asyncio's threads to wait"
        )
        began = unit.kept()["last_event"]
        words = ["send", "pause", "--socket", str(tmp_path / "unit"), "--wait"]
        send = subprocess.Popen(
            [sys.executable, "-m", "statusd", *words],
            cwd=tmp_path / "unit",
            env=environment(tmp_path / "unit"),
        )
        unit.wait_state("PAUSED", 20)
        wait_until(lambda: unit.kept()["goal"] == "PAUSED", 1.5, "the goal on the disk")
        assert unit.kept()["last_event"] != began
        assert send.wait(20) == 0
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit(10) == 0


OURS = 2
"""The threads of a daemon that doesn't wait for names: the loop's, and the state file's."""
