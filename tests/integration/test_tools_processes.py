"""Tests of `tests.tools.processes`."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.tools import SESSION, Process, processes_with_marker, wait_until
from tests.tools.processes import MARKER, descendants, is_abandoned

pytestmark = pytest.mark.nightly  # it tests what tests are made with

FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=sys.stdin)
print("born", flush=True)
child.wait()
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    """A process with one child; both carry the marker ``<SESSION>/family`` and end with us."""
    popen = subprocess.Popen(
        [sys.executable, "-c", FAMILY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {MARKER: f"{SESSION}/family"},
    )
    assert popen.stdout is not None
    with popen:
        popen.stdout.readline()
        yield popen
        popen.kill()


def test_the_marker_finds_a_process_and_what_it_started(
    family: subprocess.Popen[bytes],
) -> None:
    """Both are found by the whole marker and by the session's; a longer name is another one."""
    both = {family.pid, *descendants(family.pid)}

    assert len(both) == 2
    assert set(processes_with_marker(f"{SESSION}/family")) == both
    assert both <= set(processes_with_marker())
    assert processes_with_marker(f"{SESSION}/fam") == []


def test_a_zombie_is_not_alive(family: subprocess.Popen[bytes]) -> None:
    """What has ended but wasn't waited for doesn't count as left behind."""
    process = Process.of(family.pid)
    assert process is not None
    assert process.is_alive()
    assert process.parent == os.getpid()

    process.kill()

    wait_until(lambda: process.state == "Z", 5.0, "the zombie")
    assert not process.is_alive()
    assert family.pid not in processes_with_marker()


def test_another_process_of_the_same_pid_is_never_killed(
    family: subprocess.Popen[bytes],
) -> None:
    """A process that started at another time is somebody else."""
    process = Process.of(family.pid)
    assert process is not None
    earlier = Process(process.pid, process.started - 1)

    earlier.kill()

    assert not earlier.is_alive()
    assert earlier.group == 0
    with pytest.raises(subprocess.TimeoutExpired):
        family.wait(0.1)


def test_an_owner_is_abandoned_once_it_is_dead(family: subprocess.Popen[bytes]) -> None:
    """Not before; and of those in another PID namespace nobody can tell."""
    process = Process.of(family.pid)
    assert process is not None
    namespace, _, number = process.name.partition("-")
    elsewhere = f"{int(namespace, 16) + 1:x}-{number}"
    assert not is_abandoned(process.name)

    process.kill()

    wait_until(lambda: is_abandoned(process.name), 5.0, "its end to be seen")
    assert not is_abandoned(elsewhere)
    assert not is_abandoned(SESSION.partition("/")[0])


def test_nobody_has_no_process() -> None:
    """A pid that can't be is nobody's."""
    assert Process.of(2**22 + 1) is None
    Process(2**22 + 1, 0).kill()
