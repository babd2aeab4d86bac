"""The program that runs the user's function, started by its path as the daemon does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from statusd.core.lifecycle import BUILT_IN
from statusd.worker import board as page
from statusd.worker import launch
from statusd.worker.function import TERMINATED, UNUSABLE, Launch
from tests.tools import Process, wait_until

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
def exits(worker):
    sys.exit("no film")
def exits_with_a_code(worker):
    sys.exit(3)
def interrupted(worker):
    raise KeyboardInterrupt
def several(worker):
    raise ExceptionGroup("night", [LookupError("no film"), ValueError("cloudy")])
async def waits(worker):
    print(type(worker).__name__, worker.state, await worker.wait(0))
async def fails_later(worker):
    raise LookupError("no film")
def hides_it(worker):
    return waits(worker)
def none_at_all(): pass
def steps(worker):
    yield
async def async_steps(worker):
    yield
def by_keyword(*, worker): pass
def two(worker, camera): pass
number = 5
def needs_a_library(worker):
    import nowhere
def children(worker):
    print(os.popen("ls /proc/self/fd | wc -l").read().strip())
"""


@contextmanager
def launched(
    function: str, directory: Path, *python: str, ready: str = "started", job: str = JOB
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Launch ``function`` of ``job``; yield its process, and where it notes to the daemon."""
    (directory / "job.py").write_text(job)
    board = page.create()
    down, hold = os.pipe()
    up, up_write = os.pipe()
    fds = (board, down, up_write)
    told = Launch.argv(fds, os.getpid(), ready, NAMES, PARTS, function, "", [str(directory)])
    try:
        process = subprocess.Popen(
            [*(python or (sys.executable,)), launch.__file__, *told],
            pass_fds=fds,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory,
        )
        os.close(up_write)
        with process:
            try:
                yield process, up
            finally:
                process.kill()
    finally:
        for fd in (board, down, hold, up):
            os.close(fd)


def run(
    function: str, directory: Path, *python: str, ready: str = "started"
) -> tuple[subprocess.CompletedProcess[str], bytes]:
    """Launch ``function`` of `JOB` and return how it ended, and what it noted to the daemon."""
    with launched(function, directory, *python, ready=ready) as (process, up):
        out, err = process.communicate(timeout=20)
        return subprocess.CompletedProcess("", process.returncode, out, err), os.read(up, 65536)


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

    assert done.returncode == UNUSABLE
    assert reason in notes
    assert b"ready" not in notes


@pytest.mark.fault("J14")
@pytest.mark.parametrize(
    ("function", "code", "reason"),
    [
        ("exits", 1, "no film"),
        ("exits_with_a_code", 3, ""),
        ("interrupted", 1, "KeyboardInterrupt"),
        ("several", 1, "ExceptionGroup: night (2 sub-exceptions): LookupError: no film"),
        ("fails_later", 1, "LookupError: no film"),
        ("needs_a_library", 1, "ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_however_a_function_fails_it_is_told_why(
    function: str, code: int, reason: str, tmp_path: Path
) -> None:
    """What it leaves with is its exit code, and its last exception the reason."""
    done, notes = run(f"job:{function}", tmp_path)

    assert done.returncode == code
    told = [json.loads(line) for line in notes.splitlines()]
    assert [note["reason"] for note in told if note["note"] == "error"] == [reason] * bool(reason)
    assert reason.rpartition(": ")[2] in done.stderr


@pytest.mark.fault("J10")
def test_an_async_function_runs_in_a_loop_of_its_own(tmp_path: Path) -> None:
    """It is given an `AsyncWorker`."""
    done, notes = run("job:waits", tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "AsyncWorker INIT INIT\n"
    assert notes.splitlines()[-1] == b'{"note":"returned"}'


@pytest.mark.fault("J10")
@pytest.mark.parametrize(
    ("function", "cure"),
    [
        ("Camera", "Camera is a class, and a function is called: write def Camera(worker)"),
        ("none_at_all", "takes no argument, and is given the worker: write def none_at_all(w"),
        ("by_keyword", "wants worker by keyword: write def by_keyword(worker)"),
        ("two", "wants 2 arguments, and is given the worker: write def two(worker)"),
        ("steps", "take the yield out"),
        ("async_steps", "take the yield out"),
        ("number", "number is a value (int), and a function is called"),
        ("hides_it", "has returned a coroutine, so nothing was done"),
    ],
)
def test_what_can_not_be_the_work_is_refused_with_the_cure(
    function: str, cure: str, tmp_path: Path
) -> None:
    """By an exit code that means that another start is of no use; and there is no traceback."""
    done, notes = run(f"job:{function}", tmp_path)

    assert done.returncode == UNUSABLE
    assert cure in done.stderr
    assert "Traceback" not in done.stderr.partition("RuntimeWarning")[0]
    assert cure in json.loads(notes.splitlines()[-1])["reason"]


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


# ---- SIGTERM -------------------------------------------------------------------------------------

AT_WORK = """
import asyncio, atexit, os, signal, sys, threading, time

def say(text):
    print(text, flush=True)

def steps(worker):
    atexit.register(say, "atexit")
    try:
        say("there")
        time.sleep(3600)
    finally:
        say("finally")

def waits(worker):
    try:
        worker.ack()
        say("there")
        worker.wait()
    finally:
        say("finally")

async def awaits(worker):
    atexit.register(say, "atexit")
    try:
        say("there")
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0)
        say("finally")

async def blocks(worker):
    try:
        say("there")
        time.sleep(3600)
    finally:
        say("finally")

def has_its_own(worker):
    signal.signal(signal.SIGTERM, lambda *_: (say("handler"), os._exit(7)))
    say("there")
    time.sleep(3600)

def has_a_child(worker):
    child = os.fork()
    if child == 0:
        try:
            os.write(2, signal.getsignal(signal.SIGTERM).name.encode())
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(3600)
        finally:
            say("the child's finally")
    say(f"child {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")
    say("there")
    time.sleep(3600)

def is_told_twice(worker):
    try:
        say("there")
        time.sleep(3600)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        say("finally")
"""


@pytest.mark.fault("J19")
@pytest.mark.parametrize(
    ("function", "code", "said"),
    [
        ("steps", TERMINATED, "there finally atexit"),
        ("waits", TERMINATED, "there finally"),
        ("awaits", TERMINATED, "there finally atexit"),
        ("blocks", TERMINATED, "there finally"),
        ("has_its_own", 7, "there handler"),
        ("has_a_child", TERMINATED, "child -15 there"),
        ("is_told_twice", TERMINATED, "there finally"),
    ],
)
def test_sigterm_lets_a_function_clean_up(
    function: str, code: int, said: str, tmp_path: Path
) -> None:
    """Whatever it is in the middle of. Its own handler wins, and a forked child has none."""
    with launched(f"job:{function}", tmp_path, job=AT_WORK) as (process, _):
        assert process.stdout is not None
        assert process.stderr is not None
        words: list[str] = []
        while words[-1:] != ["there"]:
            words += process.stdout.readline().split()
        # A signal just before it sleeps would be seen after its sleep, as ever in Python.
        its = Process.of(process.pid)
        wait_until(lambda: its is not None and its.state == "S", 20, "it to sleep")
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        words += process.stdout.read().split()
        assert process.stderr.read() in ("", "SIG_DFL")

    assert (process.returncode, " ".join(words)) == (code, said)
