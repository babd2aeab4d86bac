"""What stands between daemon and worker: nothing that one could break for the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, settings
from tests.tools import Broker, Journal, Process, Program, environment, to_toml, wait_until
from tests.tools.processes import descendants

QUICK = {"stop_timeout_s": 0.3, "kill_timeout_s": 0.3, "backoff_s": [0.05, 0.1]}
DOCUMENT = "statusd:status:{unit}"


def ready(unit: Program) -> None:
    """Wait until it hears, speaks, and works."""
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("RUNNING")


def opened_by(pid: int) -> dict[int, str]:
    """Return what each descriptor of a process leads to."""
    folder = Path(f"/proc/{pid}/fd")
    return {int(entry.name): os.readlink(entry) for entry in folder.iterdir()}


@pytest.mark.fault("W09", "W12", "X12")
def test_a_worker_inherits_a_page_two_pipes_and_nothing_else(broker: Broker, run: Run) -> None:
    """No socket that it could steal from, and no memory that has a name."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    ready(unit)

    theirs, ours = opened_by(unit.worker_pid()), opened_by(unit.pid)

    pipes = {target for target in theirs.values() if target.startswith("pipe:")}
    assert len(pipes) == 4  # down, up, and its output
    assert {*theirs.values()} - pipes == {"/dev/null", "/memfd:statusd-board (deleted)"}
    assert any(target.startswith("socket:") for target in ours.values())
    assert named_memory(unit) == []


def named_memory(unit: Program) -> list[str]:
    """Return what daemon and worker have mapped that has a name others could open it by."""
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in (unit.pid, unit.worker_pid())]
    return [row for text in maps for row in text.splitlines() if "/dev/shm" in row]


@pytest.mark.fault("W13")
def test_a_worker_begins_with_the_system_s_signals(broker: Broker, run: Run) -> None:
    """SIGTERM and SIGHUP are not ignored or blocked, nor is a handler of the daemon's inherited.

    A function's own process catches SIGTERM, to leave by it (J19).
    """
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    ready(unit)

    theirs, ours = signals_of(unit.worker_pid()), signals_of(unit.pid)

    for number, masks in ((signal.SIGTERM, UNHEARD), (signal.SIGHUP, (*UNHEARD, "SigCgt"))):
        bit = 1 << number - 1
        assert ours["SigCgt"] & bit
        assert [mask for mask in masks if theirs[mask] & bit] == []


UNHEARD = ("SigIgn", "SigBlk")
"""The masks of proc(5) for what doesn't reach a process."""


def signals_of(pid: int) -> dict[str, int]:
    """Return the masks of a process, see proc(5)."""
    rows = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    masks = ("SigBlk", "SigIgn", "SigCgt")
    return {row[:6]: int(row[8:], 16) for row in rows if row.startswith(masks)}


@pytest.mark.fault("W07")
def test_a_worker_is_a_child_of_the_main_thread(broker: Broker, run: Run) -> None:
    """Whose end is the daemon's own; also the next one, after threads have come and gone."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING", worker=QUICK)
    ready(unit)
    main = Path(f"/proc/{unit.pid}/task/{unit.pid}/children")
    first = unit.worker_pid()
    assert str(first) in main.read_text(encoding="ascii").split()

    os.kill(first, signal.SIGKILL)
    unit.wait_logged("state.changed", new="RUNNING", run=2)

    assert str(unit.worker_pid()) in main.read_text(encoding="ascii").split()


@pytest.mark.fault("W02", "W03")
def test_a_stopped_worker_stops_nobody(broker: Broker, journal: Journal, run: Run) -> None:
    """The daemon goes on, answers, and tells it a thousand states; awake, it takes in the last."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    ready(unit)
    client = broker.client()

    os.kill(unit.worker_pid(), signal.SIGSTOP)
    pipe = client.pipeline(transaction=False)
    for _ in range(500):
        pipe.publish("mychannel", "pause")
        pipe.publish("mychannel", "resume")
    pipe.publish("mychannel", '{"command": "pause", "id": "last"}')
    pipe.publish("mychannel", '{"command": "ping", "id": "ping"}')
    pipe.execute()

    wait_until(lambda: answers(journal, "ping") == ["done"], 15, "an answer")
    assert answers(journal, "last") == ["accepted"]
    os.kill(unit.worker_pid(), signal.SIGCONT)
    wait_until(lambda: answers(journal, "last") == ["accepted", "done"], 15, "the worker")
    assert unit.logged("bug.caught") is None


def answers(journal: Journal, command_id: str) -> list[str]:
    """Return what was answered to the command with that id."""
    return [v["verdict"] for v in journal.verdicts() if v.get("id") == command_id]


@pytest.mark.fault("W10")
def test_a_killed_family_leaves_nothing_that_the_next_start_trips_over(
    broker: Broker, run: Run
) -> None:
    """Daemon, guard and worker are killed at once: no named memory is left, and it starts again."""
    for _ in range(3):
        unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
        ready(unit)
        assert named_memory(unit) == []

        for pid in (unit.pid, *unit.descendants()):
            os.kill(pid, signal.SIGKILL)
        unit.wait_exit(5)

    again = run("tests.workers:obedient", broker.url, goal="RUNNING")
    ready(again)


@pytest.mark.fault("W21")
def test_an_old_worker_that_wakes_up_is_not_heard(broker: Broker, run: Run) -> None:
    """It has the first run's page and pipes; the second run's status stays as it is."""
    unit = run("tests.workers:leaving_a_ghost", broker.url, goal="RUNNING", worker=QUICK)
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("state.changed", new="RUNNING", run=2)
    client = broker.client()

    (unit.directory / "wake").touch()
    wait_until((unit.directory / "haunted").exists, 15, "the ghost to have spoken")

    client.publish("mychannel", "pause")
    unit.wait_state("PAUSED")
    document = wait_until(lambda: shown(broker, "PAUSED"), 15, "the document")
    assert document["run"] == 2
    assert "grave" not in json.dumps(document)
    moves = [line["new"] for line in unit.log() if line["event"] == "state.changed"]
    assert moves[moves.index("BACKOFF") :] == ["BACKOFF", "INIT", "READY", "RUNNING", "PAUSED"]
    client.publish("mychannel", "END")
    assert unit.wait_exit(15) == 0


def shown(broker: Broker, state: str) -> dict[str, Any]:
    """Return the unit's document, once it shows that state; else nothing."""
    document: dict[str, Any] = json.loads(broker.client().get(DOCUMENT) or b"{}")
    return document if document.get("state") == state else {}


@pytest.mark.fault("R08", "W20")
def test_a_long_call_in_c_holds_up_nobody_else(broker: Broker, journal: Journal, run: Run) -> None:
    """Its own handler has to wait; the daemon answers, and ends it all the same."""
    unit = run("tests.workers:calculating_for_ever", broker.url, goal="RUNNING", worker=QUICK)
    ready(unit)
    wait_until((unit.directory / "calculating").exists, 15, "the worker to calculate")
    client = broker.client()

    client.publish("mychannel", '{"command": "ping", "id": "ping"}')
    wait_until(lambda: answers(journal, "ping") == ["done"], 1, "an answer")
    began = time.monotonic()
    client.publish("mychannel", "end")

    assert unit.wait_exit(15) == 0
    assert time.monotonic() - began < 5
    assert unit.wait_state("END")["reason"] == "SIGKILL after 0.6 s in the middle of a step"


# ---- in namespaces -------------------------------------------------------------------------------

MAPPED = ["unshare", "--user", "--map-root-user"]
SMALL = "mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero >/dev/shm/full"


def is_allowed(*words: str) -> bool:
    """Tell whether this machine lets us make such namespaces."""
    try:
        done = subprocess.run([*MAPPED, *words], capture_output=True, check=False, timeout=10)
    except FileNotFoundError:
        return False
    return done.returncode == 0


@contextmanager
def started_by(
    script: str, options: list[str], directory: Path, broker: Broker, **worker: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a unit by a shell script in namespaces; ``"$@"`` in it is the daemon's command."""
    file = directory / "statusd.toml"
    file.write_text(to_toml(settings("tests.workers:obedient", broker.url, worker=worker)))
    command = [sys.executable, "-m", "statusd", "run", str(file)]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*MAPPED, *options, "sh", "-c", script, "sh", *command],
            env=environment(directory),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(5)


@pytest.mark.fault("W24")
@pytest.mark.skipif(not is_allowed("--mount", "sh", "-c", SMALL[:-14]), reason="no tmpfs here")
def test_shared_memory_may_be_full(broker: Broker, tmp_path: Path) -> None:
    """One page is all that /dev/shm has here, and it is taken: the board needs none of it."""
    script = f'{SMALL}; exec "$@"'
    with started_by(script, ["--mount"], tmp_path, broker) as unit:
        wait_until(lambda: shown(broker, "READY"), 15, "READY")
        client = broker.client()
        wait_until(lambda: client.publish("mychannel", "start"), 15, "a listener")
        wait_until(lambda: shown(broker, "RUNNING"), 15, "RUNNING")

        client.publish("mychannel", "end")

        assert unit.wait(10) == 0


def below(pid: int) -> list[Process]:
    """Return all that lives below a process."""
    return [found for child in descendants(pid) if (found := Process.of(child)) is not None]


def named(pid: int, part: bytes) -> list[Process]:
    """Return what lives below a process and has ``part`` in its command line."""
    return [process for process in below(pid) if part in look(process, "cmdline")]


def is_shell(process: Process) -> bool:
    """Tell whether it is ``sh``."""
    return look(process, "comm") == b"sh\n"


def look(process: Process, file: str) -> bytes:
    """Return what /proc says of a process; nothing once it is gone."""
    try:
        return Path(f"/proc/{process.pid}/{file}").read_bytes()
    except OSError:
        return b""


def number_inside(process: Process) -> int:
    """Return the pid that a process has in its own namespace."""
    rows = look(process, "status").decode().splitlines()
    return int(next(row for row in rows if row.startswith("NSpid")).split()[-1])


STRANGER = """
import os, sys, time
wanted, pid = int(sys.argv[1]), 0
while pid != wanted:
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(wanted - 1))
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(600 if os.getpid() == wanted else 0)
        os._exit(0)
    if pid != wanted:
        os.waitpid(pid, 0)
print("there", flush=True)
time.sleep(600)
"""
"""Runs in the daemon's PID namespace until one of its children has the wanted number."""


@pytest.mark.fault("W23")
@pytest.mark.parametrize("how", ["END", "SIGKILL"])
@pytest.mark.skipif(not is_allowed("--pid", "--fork", "true"), reason="no PID namespaces here")
def test_a_number_that_is_somebody_else_s_now_is_not_signalled(
    how: str, broker: Broker, tmp_path: Path
) -> None:
    """The worker is dead; a stranger, and its group, has its number when the daemon ends."""
    script = '"$@" & wait; sleep 600'
    options = ["--pid", "--fork", "--kill-child"]
    with started_by(script, options, tmp_path, broker, restart="never") as outer:
        wait_until(lambda: shown(broker, "READY"), 15, "READY")
        (daemon,) = [p for p in named(outer.pid, b"-m\0statusd") if not is_shell(p)]
        (worker,) = named(outer.pid, b"launch.py")
        number = number_inside(worker)
        worker.kill()
        wait_until(lambda: shown(broker, "FAILED"), 15, "FAILED")
        enter = ["nsenter", "-t", str(daemon.pid), "-U", "-p", "--preserve-credentials"]
        with subprocess.Popen(
            [*enter, sys.executable, "-c", STRANGER, str(number)], stdout=subprocess.PIPE
        ) as helper:
            assert helper.stdout is not None
            assert helper.stdout.readline() == b"there\n"
            (stranger,) = [p for p in below(helper.pid) if p.pid == p.group]

            if how == "END":
                broker.client().publish("mychannel", "end")
            else:
                daemon.kill()
            wait_until(lambda: not daemon.is_alive(), 15, "the daemon to be gone")
            wait_until(lambda: not named(outer.pid, b"statusd-guard"), 15, "the guard's end")

            assert stranger.is_alive()
            assert number_inside(stranger) == number
            helper.kill()
