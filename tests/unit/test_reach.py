"""Tests of `proc`, `reach` and `worker_file` in `statusd.daemon`: who lives, who can be reached."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from statusd.supervision import proc, reach
from statusd.supervision.worker_file import Left, WorkerFile
from statusd.worker import wrapper
from tests.tools import Process, wait_until
from tests.tools.processes import descendants

KEEP = "import statusd.worker.wrapper as w; w.keep_identity(); print('kept', flush=True)"
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program in a session of its own; it is killed at the end, with all of its own."""
    with ExitStack() as stack:

        def start(*command: str, **more: str) -> subprocess.Popen[bytes]:
            one = stack.enter_context(
                subprocess.Popen(
                    command,
                    start_new_session=True,
                    stdin=subprocess.PIPE,  # whatever ours is: who reads it shall wait
                    stdout=subprocess.PIPE,
                    env={**os.environ, **more},
                )
            )
            stack.callback(reach.send, one.pid, 9, group=True)
            stack.callback(kill_descendants, one.pid)
            return one

        yield start


def kill_descendants(pid: int) -> None:
    """Kill what it has started, also what has left its group."""
    for process in filter(None, map(Process.of, descendants(pid))):
        process.kill()


def test_a_process_is_seen_as_it_is(start: Start) -> None:
    """Whatever its name is made of; nobody is None."""
    me = proc.look(os.getpid())
    assert me is not None
    assert (me.group, me.session, me.is_dead) == (os.getpgrp(), os.getsid(0), False)
    odd = start(
        sys.executable, "-c", "open('/proc/self/comm', 'w').write(') Z 1 (')\ninput(print())"
    )
    assert odd.stdout is not None
    odd.stdout.readline()

    seen = proc.look(odd.pid)

    assert seen is not None
    assert (seen.name, seen.state in "RS", seen.group) == (") Z 1 (", True, odd.pid)
    assert proc.look(2**22 + 1) is None
    assert proc.owner(os.getpid()) == ("root" if os.geteuid() == 0 else f"uid {os.geteuid()}")
    assert proc.owner(2**22 + 1) == ""


def test_a_family_is_the_whole_group_and_nobody_else(start: Start) -> None:
    """Children and grandchildren, but not who has left for a group of its own."""
    script = "setsid sleep 600 & sh -c 'sleep 600; true' & sleep 600"
    shell = start("sh", "-c", script)

    def names(found: list[proc.Member]) -> list[str]:
        return sorted(one.name for one in found)

    all_of_it = ["sh", "sh", "sleep", "sleep"]
    wait_until(lambda: names(proc.living(shell.pid)) == all_of_it, 15, "all of them")

    assert names(proc.family(shell.pid)) == all_of_it
    # Not as a whole: one may sleep by now that was seen running.
    assert [one.pid for one in reach.rest(shell.pid)] == [one.pid for one in proc.living(shell.pid)]
    assert reach.beyond(proc.family(shell.pid)) is None


def test_the_unburied_are_not_the_living(start: Start) -> None:
    """The kernel still counts them as a group."""
    one = start("true")
    wait_until(lambda: (found := proc.look(one.pid)) and found.is_dead, 15, "its end")

    assert reach.rest(one.pid) == []
    assert proc.family(one.pid) == []
    one.wait()
    assert reach.rest(one.pid) == []
    assert reach.send(one.pid, 15) == reach.send(one.pid, 15, group=True) == ""


def kept(start: Start, tmp_path: Path) -> tuple[subprocess.Popen[bytes], Left]:
    """Return a worker that has written its file, and what that says."""
    path = tmp_path / "unit.worker"
    script = f"{KEEP}; import os; print(os.environ.get('{wrapper.FILE}'), flush=True); input()"
    one = start(sys.executable, "-c", script, **{wrapper.FILE: f"7 {path}"})
    assert one.stdout is not None
    assert [one.stdout.readline(), one.stdout.readline()] == [b"kept\n", b"None\n"]
    left = WorkerFile(tmp_path, "unit").load()
    assert left is not None
    return one, left


def test_a_worker_writes_down_who_it_is(start: Start, tmp_path: Path) -> None:
    """For us alone; what it becomes later doesn't see where."""
    one, left = kept(start, tmp_path)

    assert (left.run, left.pid) == (7, one.pid)
    assert [member.pid for member in left.members()] == [one.pid]
    assert left.is_led()
    assert (tmp_path / "unit.worker").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "unit.worker"]
    one.kill()
    one.wait()
    assert (left.members(), left.is_led()) == ([], False)


def test_what_a_dead_leader_leaves_is_of_it(start: Start, tmp_path: Path) -> None:
    """Members of its group and session, none of them older than it."""
    script = f"{KEEP}; import os; os.spawnvp(os.P_NOWAIT, 'sleep', ['sleep', '600'])"
    one = start(sys.executable, "-c", script, **{wrapper.FILE: f"7 {tmp_path}/unit.worker"})
    one.wait()
    left = WorkerFile(tmp_path, "unit").load()
    assert left is not None

    wait_until(lambda: [one.name for one in left.members()] == ["sleep"], 15, "it to be executed")
    assert not left.is_led()
    assert left._replace(started=left.started + 10**9).members() == []


def test_a_stranger_with_its_number_is_not_of_it(start: Start, tmp_path: Path) -> None:
    """It began at another time, and so did all that it has started."""
    one, left = kept(start, tmp_path)

    old = left._replace(started=left.started - 1)

    assert (old.pid, old.members(), old.is_led()) == (one.pid, [], False)


@pytest.mark.parametrize(
    "change", [{"boot_id": "another"}, {"pid_ns": "pid:[1]"}, {"pid": None}, {"started": "x"}]
)
def test_a_file_of_another_life_names_nobody(
    change: dict[str, object], start: Start, tmp_path: Path
) -> None:
    """Of another boot or machine, another container; or no such file at all."""
    kept(start, tmp_path)
    file = WorkerFile(tmp_path, "unit")
    content = json.loads(file.path.read_bytes())

    file.path.write_text(json.dumps(content | change), encoding="utf-8")

    assert file.load() is None
    for nonsense in (b"", b"[]", b"null", b"\xff"):
        file.path.write_bytes(nonsense)
        assert file.load() is None


def test_a_file_that_can_not_be_written_is_no_reason_not_to_work(tmp_path: Path) -> None:
    """Nothing is raised, and nothing is printed."""
    told = {wrapper.FILE: f"7 {tmp_path}/missing/unit.worker"}

    done = subprocess.run(
        [sys.executable, "-c", KEEP], env={**os.environ, **told}, capture_output=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"kept\n", b"")


def test_nobody_is_taken_for_gone_because_nobody_can_look(start: Start, tmp_path: Path) -> None:
    """Without a descriptor left, the group stands for its members; with one, they are back."""
    one, left = kept(start, tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        rest, members, is_led = reach.rest(one.pid), left.members(), left.is_led()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert [member.pid for member in (*rest, *members)] == [-one.pid] * 2
    assert not is_led
    assert [member.pid for member in left.members()] == [one.pid]
