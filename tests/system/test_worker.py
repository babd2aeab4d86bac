"""The worker's life: what it does wrong, and what the unit makes of it."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from functools import partial

import pytest

from tests.conftest import Run
from tests.tools import Broker, Journal, Process, Program, wait_until

QUICK = {"stop_timeout_s": 0.3, "kill_timeout_s": 0.3, "backoff_s": [0.05, 0.1]}


def test_a_worker_that_ignores_end_gets_sigterm(broker: Broker, journal: Journal, run: Run) -> None:
    """After stop_timeout_s; and END is done only when it is gone."""
    worker = {**QUICK, "kill_timeout_s": 5}
    unit = run("tests.workers:deaf", broker.url, goal="RUNNING", worker=worker)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")

    broker.client().publish("mychannel", '{"command": "end", "id": "e"}')

    assert unit.wait_exit(15) == 0
    reason = unit.wait_state("END")["reason"]
    assert re.fullmatch(r"SIGTERM after [0-9.]+ s in the middle of a step", reason)
    wait_until(lambda: len(journal.verdicts()) == 2, 15, "two verdicts")
    accepted, done = journal.verdicts()
    assert (accepted["verdict"], accepted["state"]) == ("accepted", "ENDING")
    assert (done["verdict"], done["state"]) == ("done", "END")
    assert done["ms"] >= 300


@pytest.mark.fault("W20")
def test_a_worker_that_ignores_sigterm_is_killed(broker: Broker, run: Run) -> None:
    """After kill_timeout_s more; nothing of it is left."""
    worker = {**QUICK, "ready": "notified"}
    unit = run("tests.workers:stubborn", broker.url, worker=worker)
    unit.wait_state("READY")

    unit.signal(signal.SIGTERM)

    assert unit.wait_exit(15) == 0
    assert unit.wait_state("END")["reason"] == "SIGKILL after 0.6 s in the middle of a step"
    assert unit.leftovers() == []


def test_force_does_not_wait(broker: Broker, run: Run) -> None:
    """In ENDING, `force` kills at once what would have had a minute."""
    worker = {"stop_timeout_s": 60, "ready": "notified"}
    unit = run("tests.workers:stubborn", broker.url, worker=worker)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    client = broker.client()

    client.publish("mychannel", "force")  # refused: nobody said end
    client.publish("mychannel", "end")
    unit.wait_state("ENDING")
    client.publish("mychannel", "force")

    assert unit.wait_exit(15) == 0


def test_a_second_signal_does_not_wait(broker: Broker, run: Run) -> None:
    """The first SIGTERM is END, the second kills the worker."""
    worker = {"stop_timeout_s": 60, "ready": "notified"}
    unit = run("tests.workers:stubborn", broker.url, worker=worker)
    unit.wait_state("READY")

    unit.signal(signal.SIGTERM)
    unit.wait_state("ENDING")
    unit.signal(signal.SIGTERM)

    assert unit.wait_exit(15) == 0


def test_the_step_is_finished_before_the_end(broker: Broker, journal: Journal, run: Run) -> None:
    """`done` for a pause comes when the worker was seen there, not when the state changed."""
    unit = run("tests.workers:slow_to_pause", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    wait_until((unit.directory / "working").exists, 15, "the worker to be in its step")
    client = broker.client()

    client.publish("mychannel", '{"command": "pause", "id": "p"}')
    unit.wait_state("PAUSED")
    client.publish("mychannel", '{"command": "status", "id": "s"}')

    wait_until(lambda: len(journal.verdicts()) == 2, 15, "accepted, and the status")
    assert [v["verdict"] for v in journal.verdicts()] == ["accepted", "done"]
    assert journal.verdicts()[1]["status"]["observed"] is False
    (unit.directory / "release").touch()
    wait_until(lambda: len(journal.verdicts()) == 3, 15, "done")
    assert journal.verdicts()[2]["id"] == "p"


@pytest.mark.fault("W17")
def test_a_killed_worker_is_told_at_once_and_started_again(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """BACKOFF with the cause, then a new run that takes up the goal."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING", worker=QUICK)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")
    first = Process.of(unit.worker_pid())
    assert first is not None

    first.kill()

    crash = unit.wait_logged("state.changed", new="BACKOFF")
    assert "killed by SIGKILL" in crash["reason"]
    unit.wait_logged("state.changed", new="RUNNING", run=2)
    assert unit.worker_pid() != first.pid


@pytest.mark.fault("W16")
def test_a_worker_that_fails_too_often_is_given_up(broker: Broker, run: Run) -> None:
    """FAILED with the last line of its traceback; `reset` tries again."""
    unit = run("tests.workers:raising", broker.url, goal="RUNNING", worker={**QUICK, "budget": 2})
    unit.wait_logged("link.up", link="hears")

    failed = unit.wait_state("FAILED")

    assert failed["reason"] == "exit code 1: ValueError: the detector is on fire"
    assert failed["run"] == 3
    assert "test_worker" not in unit.output()  # the traceback begins in the user's code
    broker.client().publish("mychannel", "reset")
    unit.wait_logged("state.changed", trigger="reset")
    unit.wait_logged("state.changed", new="FAILED", run=6)


@pytest.mark.fault("W16")
def test_the_program_leaves_with_75_if_asked_to(broker: Broker, run: Run) -> None:
    """`on_failed = "exit"` hands the trouble to the service manager."""
    worker = {**QUICK, "budget": 0, "on_failed": "exit"}

    unit = run("tests.workers:raising", broker.url, goal="RUNNING", worker=worker)

    assert unit.wait_exit(10) == 75


@pytest.mark.fault("W18")
def test_exit_0_before_the_work_is_no_success(broker: Broker, run: Run) -> None:
    """A worker that leaves before anybody said start has crashed (faults.md W18)."""
    unit = run("tests.workers:early", broker.url, worker={**QUICK, "restart": "never"})

    assert "exit code 0" in unit.wait_state("FAILED")["reason"]


def test_a_worker_that_finishes_ends_the_unit(broker: Broker, run: Run) -> None:
    """The main function returned while RUNNING: END, exit 0, and the goal stays RUNNING."""
    unit = run("tests.workers:finishing", broker.url, goal="RUNNING")

    assert unit.wait_exit(10) == 0
    assert unit.wait_logged("state.changed", new="ENDING")["reason"] == "the worker finished"
    state_file = json.loads((unit.directory / "state" / "unit.json").read_text())
    assert state_file["goal"] == "RUNNING"


def test_a_worker_that_is_never_ready_is_killed(broker: Broker, run: Run) -> None:
    """ready = "notified", and no note within ready_timeout_s."""
    worker = {**QUICK, "ready": "notified", "ready_timeout_s": 0.3, "restart": "never"}

    unit = run("tests.workers:never_ready", broker.url, worker=worker)

    assert unit.wait_state("FAILED")["reason"] == "not ready within 0.3 s"
    wait_until(lambda: Process.of(unit.worker_pid()) is None, 15, "the worker to be gone")


def test_a_function_that_is_not_there_says_so(broker: Broker, run: Run) -> None:
    """The reason names the module; only another interpreter can tell, for it has its own."""
    elsewhere = {**QUICK, "python": sys.executable}
    unit = run("nowhere.to_be:found", broker.url, worker=elsewhere)

    reason = unit.wait_state("FAILED")["reason"]
    assert reason.startswith("exit code 78: nowhere.to_be:found: No module named 'nowhere'")


def test_a_word_during_the_start_is_kept(broker: Broker, journal: Journal, run: Run) -> None:
    """`postponed` in INIT, `done` when the worker is ready and obeyed."""
    unit = run("tests.workers:ready_on_file", broker.url, worker={"ready": "notified"})
    unit.wait_logged("link.up", link="hears")
    client = broker.client()

    client.publish("mychannel", '{"command": "pause", "id": "p"}')
    client.publish("mychannel", '{"command": "start", "id": "s"}')
    wait_until(lambda: len(journal.verdicts()) == 3, 15, "postponed, superseded, postponed")
    (unit.directory / "release").touch()

    wait_until(lambda: len(journal.verdicts()) == 4, 15, "done")
    told = [(v["id"], v["verdict"]) for v in journal.verdicts()]
    assert told == [("p", "postponed"), ("p", "refused"), ("s", "postponed"), ("s", "done")]


def test_a_pause_by_the_worker_itself_leaves_the_goal(broker: Broker, run: Run) -> None:
    """Its trigger and reason stand in the event; only a command sets the goal."""
    unit = run("tests.workers:pausing_itself", broker.url, goal="RUNNING")

    line = unit.wait_state("PAUSED")

    assert (line["source"], line["reason"]) == ("worker", "out of film")
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(15) == 0
    assert json.loads((unit.directory / "state" / "unit.json").read_text())["goal"] == "RUNNING"


def test_what_the_worker_started_goes_with_it(broker: Broker, run: Run) -> None:
    """END is not done while a grandchild lives; it is killed with the group."""
    unit = run("tests.workers:with_children", broker.url, goal="RUNNING", worker=QUICK)
    unit.wait_state("RUNNING")
    wait_until(lambda: len(unit.descendants()) == 3, 15, "the grandchild")

    unit.signal(signal.SIGTERM)

    assert unit.wait_exit(15) == 0
    assert unit.leftovers() == []


def is_gone(unit: Program) -> bool:
    """Tell whether nothing of the unit lives."""
    return unit.leftovers() == []


def test_a_worker_notices_that_its_daemon_is_gone(broker: Broker, run: Run) -> None:
    """The daemon is killed outright: a blocked worker and a working one both leave."""
    for goal in ("READY", "RUNNING"):
        unit = run("tests.workers:obedient", broker.url, name=goal.lower(), goal=goal)
        unit.wait_state(goal)

        unit.signal(signal.SIGKILL)

        wait_until(partial(is_gone, unit), 2, "the worker to be gone")


def test_the_worker_pays_for_its_own_side_only(broker: Broker, run: Run) -> None:
    """No library of the daemon is loaded, nothing meant for the daemon is in its environment."""
    unit = run("tests.workers:telling_modules", broker.url, goal="RUNNING")
    wait_until((unit.directory / "environment").exists, 15, "both lists")

    modules = set((unit.directory / "modules").read_text().split())

    heavy = {"redis", "hiredis", "transitions", "structlog", "pydantic", "asyncio", "logging"}
    assert modules & heavy == set()
    assert {name for name in modules if name.startswith("statusd")} == {
        "statusd",
        "statusd.worker",
        "statusd.worker.function",
        "statusd.worker.api",
        "statusd.worker.board",
        "statusd.worker.callee",
        "statusd.worker.descriptor",
        "statusd.worker.notes",
        "statusd.worker.progress",
        "statusd.worker.spectator",
        "statusd.worker.standard",
        "statusd.worker.states",
        "statusd.worker.waiters",
        "statusd.worker.wrapper",
    }
    environment = (unit.directory / "environment").read_text().split()
    assert [name for name in environment if name.startswith("STATUSD_")] == ["STATUSD_RUN"]


def test_nonsense_in_the_pipe_hurts_nobody(broker: Broker, run: Run) -> None:
    """The pipe is the user's process': anything may be written there."""
    unit = run("tests.workers:babbling", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")

    unit.signal(signal.SIGTERM)

    assert unit.wait_exit(15) == 0
    assert unit.logged("bug.caught") is None


@pytest.mark.fault("W22")
def test_a_worker_that_never_reads_its_pipe_blocks_nobody(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """2,000 wake-ups and megabytes of args: the daemon goes on, answers, and ends it."""
    unit = run("tests.workers:deaf", broker.url, goal="RUNNING", worker=QUICK)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")
    client = broker.client()
    args = {"text": "x" * 3000}

    pipe = client.pipeline()
    for word in ("pause", "resume") * 1000:
        pipe.publish("mychannel", json.dumps({"command": word, "args": args}))
    pipe.publish("mychannel", '{"command": "ping", "id": "p"}')
    pipe.execute()
    wait_until(lambda: [v for v in journal.finals() if v.get("id") == "p"], 20, "an answer")
    unit.signal(signal.SIGTERM)

    assert unit.wait_exit(15) == 0
    reason = unit.wait_state("END")["reason"]
    assert re.fullmatch(r"SIGTERM after [0-9.]+ s in the middle of a step", reason)


def test_a_blocked_worker_costs_no_cpu(broker: Broker, run: Run) -> None:
    """`wait()` is a read of a pipe, not a poll."""
    unit = run("tests.workers:blocked", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    stat = f"/proc/{unit.worker_pid()}/stat"

    def ticks() -> int:
        with open(stat, encoding="ascii") as file:
            return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))

    wait_until(lambda: open_syscall(unit.worker_pid()) == "read", 15, "the worker to block")
    before, deadline = ticks(), time.monotonic() + 0.5
    wait_until(lambda: time.monotonic() > deadline, 15, "half a second")
    assert ticks() == before


def open_syscall(pid: int) -> str:
    """Return ``read`` if the process is blocked reading a pipe (/proc/PID/wchan)."""
    with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
        channel = file.read()
    return "read" if "pipe" in channel else channel
