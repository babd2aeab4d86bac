"""The program that runs the user's function, started by its path as the daemon does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from statusd.core.lifecycle import BUILT_IN
from statusd.worker import board as page
from statusd.worker import launch

NAMES = tuple(state.name for state in BUILT_IN.members())
PARTS = "".join(BUILT_IN.parts[state].value for state in BUILT_IN.members())
JOB = """
import os, sys
def fine(worker):
    print(worker.state, sys.argv, [p for p in sys.path if os.path.exists(f"{p}/launch.py")])
def fails(worker):
    raise LookupError("no\\nfilm")
class Camera:
    @staticmethod
    def expose(worker):
        print("exposed")
def children(worker):
    print(os.popen("ls /proc/self/fd | wc -l").read().strip())
"""


def run(
    function: str, directory: Path, *python: str, ready: str = "started"
) -> tuple[subprocess.CompletedProcess[str], bytes]:
    """Launch ``function`` of `JOB` and return how it ended, and what it noted to the daemon."""
    (directory / "job.py").write_text(JOB)
    board = page.create()
    down, hold = os.pipe()
    up, up_write = os.pipe()
    fds = (board, down, up_write)
    told = launch.Launch.argv(fds, os.getpid(), ready, NAMES, PARTS, function, "", [str(directory)])
    try:
        done = subprocess.run(
            [*(python or (sys.executable,)), launch.__file__, *told],
            pass_fds=fds,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            cwd=directory,
        )
        os.close(up_write)
        return done, os.read(up, 65536)
    finally:
        for fd in (board, down, hold, up):
            os.close(fd)


def test_a_function_that_returns_leaves_with_0(tmp_path: Path) -> None:
    """It was told to be ready on entering; its arguments and its path are its own."""
    done, notes = run("job:fine", tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("['job:fine'] []\n")
    assert notes == b'{"note":"ready"}\n{"note":"returned"}\n'


def test_a_failure_is_told_in_a_line(tmp_path: Path) -> None:
    """Exit 1; the traceback begins in the user's own code."""
    done, notes = run("job:fails", tmp_path)

    assert done.returncode == 1
    assert "launch.py" not in done.stderr
    assert "job.py" in done.stderr
    assert notes.endswith(b'{"note": "error", "reason": "LookupError: no film"}\n')


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("nowhere:main", b"No module named 'nowhere'"),
        ("job:main", b"module 'job' has no attribute 'main'"),
    ],
)
def test_what_is_not_there_is_named(function: str, reason: bytes, tmp_path: Path) -> None:
    """And it was never ready."""
    done, notes = run(function, tmp_path)

    assert done.returncode == 1
    assert reason in notes
    assert b"ready" not in notes


def test_a_function_may_be_an_attribute_of_something(tmp_path: Path) -> None:
    """``module:Class.method``; with ``notified`` nobody says ready for it."""
    done, notes = run("job:Camera.expose", tmp_path, ready="notified")

    assert (done.returncode, done.stdout, notes) == (0, "exposed\n", b'{"note":"returned"}\n')


def test_grandchildren_do_not_hold_our_pipes(tmp_path: Path) -> None:
    """The standard three and the listing's own: nothing of the daemon's is inherited."""
    done, _ = run("job:children", tmp_path)

    assert int(done.stdout) <= 4


def test_an_interpreter_without_statusd_will_do(tmp_path: Path) -> None:
    """The worker's side is found by its own path: no packages at all are needed."""
    done, notes = run("job:fine", tmp_path, sys.executable, "-I", "-S")

    assert (done.returncode, done.stderr) == (0, "")
    assert notes == b'{"note":"ready"}\n{"note":"returned"}\n'
