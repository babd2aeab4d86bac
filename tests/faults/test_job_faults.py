"""What people's jobs do: report nonsense, close descriptors, fork, use threads, and just return."""

from __future__ import annotations

import json
import os
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.system.attach.programs import Start, start, way  # noqa: F401  # `start` is a fixture
from tests.system.commands import statusd
from tests.tools import Broker, Journal, Process, Program, wait_until

QUICK = {"stop_timeout_s": 20, "backoff_s": [0.05, 0.1]}


def hears(unit: Program, state: str = "RUNNING") -> None:
    """Wait until it hears and is in ``state``."""
    unit.wait_logged("link.up", link="hears")
    unit.wait_state(state)


def say(broker: Broker, word: str) -> None:
    """Send a word that is answered by its own name."""
    broker.client().publish("mychannel", json.dumps({"command": word, "id": word}))


def told(journal: Journal, word: str) -> list[str]:
    """Return the verdicts to ``word``, in order."""
    return [verdict["verdict"] for verdict in journal.verdicts() if verdict.get("id") == word]


def wait_told(journal: Journal, word: str, *verdicts: str) -> None:
    """Wait for these verdicts to ``word``."""
    wait_until(lambda: told(journal, word) == [*verdicts], 15, f"{word}: {verdicts}")


def turns(directory: Path) -> list[int]:
    """Return how many turns each thread has made."""
    files = [directory / f"turns-{number}" for number in range(3)]
    return [int(file.read_text() or 0) if file.exists() else 0 for file in files]


# ---- what it reports -----------------------------------------------------------------------------


@pytest.mark.fault("J02")
def test_whatever_a_job_reports_harms_nobody(broker: Broker, journal: Journal, run: Run) -> None:
    """Infinite, negative, huge, of any type, half a character: unknown, clamped, or as text."""
    unit = run("tests.jobs:saying_anything", broker.url, goal="RUNNING", worker=QUICK)
    hears(unit)
    wait_until((unit.directory / "all_said").exists, 30, "everything to be said")

    shown = statusd("status", "unit", "--url", broker.url)
    say(broker, "status")

    wait_told(journal, "status", "done")
    document: dict[str, Any] = next(v["status"] for v in journal.verdicts() if "status" in v)
    numbers = [document["progress"][key] for key in ("step", "total", "rate", "left_s")]
    assert all(number is None or 0 <= number <= 2**53 for number in numbers)
    assert (shown.returncode, shown.stderr) == (0, "")
    say(broker, "end")
    assert unit.wait_exit(15) == 0
    assert unit.logged("bug.caught") is None
    assert unit.logged("state.changed", new="BACKOFF") is None


# ---- descriptors that it closes ------------------------------------------------------------------


@pytest.mark.fault("J03")
def test_a_job_that_closes_everything_keeps_its_files_and_is_told_why_it_died(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """Not a byte of ours in its data; the crash names the cause and the cure."""
    unit = run("tests.jobs:like_a_daemon", broker.url, goal="RUNNING", worker=QUICK)
    hears(unit)
    wait_until((unit.directory / "opened").exists, 15, "its files to be open")
    unit.wait_logged("worker.severed")

    say(broker, "pause")

    crash = unit.wait_logged("state.changed", new="BACKOFF")
    assert "closed the descriptors that statusd gave it" in crash["reason"]
    assert "worker.fds" in crash["reason"]
    wait_told(journal, "pause", "accepted", "failed")
    assert {file.read_text() for file in unit.directory.glob("data-*")} == {"the user's own"}


@pytest.mark.fault("J03")
def test_an_attached_program_that_closes_everything_keeps_its_files(
    start: Start,  # noqa: F811
    tmp_path: Path,
    journal: Journal,
) -> None:
    """Its unit ends, as if it had left; it is warned, and told the cure."""
    parent = start("like_a_daemon")

    assert parent.wait_exit() == 0, parent.said()

    assert "left END" in parent.said()
    assert "RuntimeWarning: this process has closed the descriptors" in parent.said()
    assert {file.read_text() for file in tmp_path.glob("data-*")} == {"the user's own"}
    wait_until(lambda: way(journal).endswith("ENDING END"), 10, "the end of the unit")


# ---- its children --------------------------------------------------------------------------------


@pytest.mark.fault("J04")
def test_a_child_sees_every_state_and_acknowledges_none(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """Forked, spawned, of a pool: `done` comes when the worker itself was seen there."""
    unit = run("tests.jobs:with_helpers", broker.url, goal="RUNNING", worker=QUICK)
    hears(unit)
    wait_until((unit.directory / "working").exists, 20, "the worker to be in its step")

    say(broker, "pause")
    wait_until(lambda: all(s.count("PAUSED") == 1 for s in seen(unit.directory)), 15, "PAUSED")

    wait_told(journal, "pause", "accepted")
    say(broker, "resume")
    say(broker, "stop")
    wait_until(lambda: all(s.count("READY") == 1 for s in seen(unit.directory)), 15, "READY")
    assert "done" not in (verdict["verdict"] for verdict in journal.verdicts())
    (unit.directory / "release").touch()
    wait_told(journal, "stop", "accepted", "done")
    say(broker, "end")
    wait_told(journal, "end", "accepted", "done")
    assert unit.wait_exit(15) == 0
    assert "a child" not in unit.output()


def seen(directory: Path) -> list[str]:
    """Return what each child has seen."""
    return [file.read_text() for file in sorted(directory.glob("seen-*"))]


@pytest.mark.fault("J04")
def test_a_child_of_an_attached_program_sees_every_state(
    start: Start,  # noqa: F811
    broker: Broker,
    tmp_path: Path,
    journal: Journal,
) -> None:
    """Forked and spawned; and they leave their loop when the unit ends."""
    parent = start("helped")
    parent.wait_said("attached")
    wait_until((tmp_path / "working").exists, 20, "the program to be in its step")

    say(broker, "pause")
    wait_until(lambda: all(s.count("PAUSED") == 1 for s in seen(tmp_path)), 15, "PAUSED")

    wait_told(journal, "pause", "accepted")
    say(broker, "end")
    wait_until(lambda: all(s.endswith("left ") for s in seen(tmp_path)), 15, "them to leave")
    wait_told(journal, "end", "accepted")
    (tmp_path / "release").touch()
    assert parent.wait_exit() == 0
    wait_told(journal, "end", "accepted", "done")


# ---- its threads ---------------------------------------------------------------------------------


@pytest.mark.fault("J05")
def test_all_threads_of_a_function_go_on_and_end(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """After each resume every one has turns; END is done without a signal."""
    unit = run("tests.jobs:in_threads", broker.url, goal="RUNNING", worker=QUICK)
    hears(unit)

    follow_all(unit.directory, broker, journal)

    assert unit.wait_exit(15) == 0
    assert (unit.directory / "joined").exists()
    assert unit.logged("worker.signalled") is None


@pytest.mark.fault("J05")
def test_all_threads_of_an_attached_program_go_on_and_end(
    start: Start,  # noqa: F811
    broker: Broker,
    journal: Journal,
    tmp_path: Path,
) -> None:
    """As those of a function."""
    parent = start("in_threads")
    parent.wait_said("attached")

    follow_all(tmp_path, broker, journal)

    assert parent.wait_exit() == 0
    assert "left END" in parent.said()


def follow_all(directory: Path, broker: Broker, journal: Journal) -> None:
    """Pause and resume a few times, and end."""
    for number in range(5):
        wait_until(lambda: all(turns(directory)), 15, "turns of all")
        client = broker.client()
        client.publish("mychannel", json.dumps({"command": "pause", "id": f"pause-{number}"}))
        wait_told(journal, f"pause-{number}", "accepted", "done")
        before = turns(directory)
        client.publish("mychannel", json.dumps({"command": "resume", "id": f"resume-{number}"}))
        wait_told(journal, f"resume-{number}", "accepted", "done")
        wait_until(
            lambda: all(n > b for n, b in zip(turns(directory), before, strict=True)),  # noqa: B023
            15,
            f"more turns than {before}",
        )
    say(broker, "end")
    wait_told(journal, "end", "accepted", "done")


# ---- its end -------------------------------------------------------------------------------------


@pytest.mark.fault("J06")
@pytest.mark.parametrize("function", ["returning", "resuming"])
@pytest.mark.parametrize("ready", ["started", "notified"])
def test_a_function_that_returns_with_a_goal_to_work_has_finished(
    broker: Broker, run: Run, function: str, ready: str
) -> None:
    """END, once; whether or not it ever looked at its state."""
    worker = {**QUICK, "ready": ready}
    unit = run(f"tests.jobs:{function}", broker.url, goal="RUNNING", worker=worker)
    (unit.directory / "checkpoint").touch()

    assert unit.wait_exit(15) == 0

    assert unit.wait_logged("state.changed", new="ENDING")["reason"] == "the worker finished"
    assert unit.logged("state.changed", new="BACKOFF") is None
    assert (unit.directory / "runs").read_text() == "x"


@pytest.mark.fault("J06")
@pytest.mark.parametrize(
    ("function", "goal"),
    [("returning", ""), ("leaving_by_exit", "RUNNING"), ("returning", "PAUSED")],
)
def test_leaving_early_is_a_crash_all_the_same(
    broker: Broker, run: Run, function: str, goal: str
) -> None:
    """Nobody wanted work of it, or it didn't return: 0 is no excuse."""
    unit = run(f"tests.jobs:{function}", broker.url, goal=goal, worker=QUICK)

    crash = unit.wait_logged("state.changed", new="BACKOFF")

    assert re.match("exit code 0; next try in", crash["reason"])


# ---- async functions, and cleaning up ------------------------------------------------------------


@pytest.mark.fault("J10")
def test_an_async_function_is_a_worker_like_any_other(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """It pauses, goes on and ends; the rest of its loop is alive all the time."""
    unit = run("tests.async_workers:obedient", broker.url, goal="RUNNING", worker=QUICK)
    hears(unit)

    for word in ("pause", "resume"):
        say(broker, word)
        wait_told(journal, word, "accepted", "done")
    say(broker, "status")
    wait_told(journal, "status", "done")
    say(broker, "end")

    assert unit.wait_exit(15) == 0
    wait_told(journal, "end", "accepted", "done")
    document = next(v["status"] for v in journal.verdicts() if "status" in v)
    assert document["progress"]["step"] > 0
    assert document["text"].startswith("tick ")
    assert unit.logged("state.changed", new="BACKOFF") is None


@pytest.mark.fault("J10")
def test_an_async_program_is_attached(
    start: Start,  # noqa: F811
    broker: Broker,
    journal: Journal,
) -> None:
    """Its tasks follow the state, also that of the daemon that comes after a killed one."""
    parent = start("in_a_loop")
    parent.wait_said("attached RUNNING")

    os.kill(parent.daemons()[0].pid, signal.SIGKILL)

    parent.wait_said("RuntimeWarning: the daemon of this program has died; it is started again")
    wait_until(lambda: len(parent.daemons()) == 1, 15, "another daemon")
    wait_until(lambda: way(journal).endswith("RUNNING"), 15, "the unit to run again")
    client = broker.client()
    for word, state in (("pause", "PAUSED"), ("resume", "RUNNING")):
        wait_until(partial(client.publish, "mychannel", word), 10, "somebody to hear")
        parent.wait_said(f"saw {state}")
    say(broker, "end")
    assert parent.wait_exit() == 0, parent.said()
    assert "left END" in parent.said()


@pytest.mark.fault("J19")
def test_a_function_that_is_cut_off_cleans_up(broker: Broker, journal: Journal, run: Run) -> None:
    """END has turned to SIGTERM: its ``finally`` runs, and that is told."""
    worker = {**QUICK, "stop_timeout_s": 0.1, "kill_timeout_s": 15}
    unit = run("tests.jobs:cleaning_up", broker.url, goal="RUNNING", worker=worker)
    hears(unit)
    wait_until((unit.directory / "begun").exists, 15, "its step")

    say(broker, "end")

    assert unit.wait_exit(20) == 0
    assert (unit.directory / "cleaned").exists()
    reason = "SIGTERM after 0.1 s in the middle of a step"
    assert unit.wait_state("END")["reason"] == reason
    wait_told(journal, "end", "accepted", "done")
    assert journal.verdicts()[-1]["reason"] == reason


@pytest.mark.fault("J25")
def test_a_child_that_imports_the_program_does_not_attach(start: Start) -> None:  # noqa: F811
    """Each would have children of its own that do so again; it is told where to write it."""
    parent = start("with_a_pool")

    assert parent.wait_exit() == 0, parent.said()

    assert "its child left with 1" in parent.said()
    assert "attach in `if __name__ == '__main__':`" in parent.said()


# ---- into the background -------------------------------------------------------------------------

NOBODYS = "env -u STATUSD_RUN setsid sh -c 'echo $$ > nobodys; exec sleep 1000' &"
"""Goes into the background, and whose it is can't be told."""
OURS = "(setsid sh -c 'setsid sleep 1000 & echo $$ > ours; wait' &)"
"""Goes into the background, and has a child that does so, too."""


def born(unit: Program, name: str) -> Process:
    """Return the process that writes its number into the file of that name."""

    def found() -> Process | None:
        file = unit.directory / name
        text = file.read_text(encoding="ascii") if file.exists() else ""
        return Process.of(int(text)) if text.strip() else None

    return wait_until(found, 15, f"{name} to be born")


@pytest.mark.fault("J15")
def test_who_goes_into_the_background_is_killed_with_the_worker_and_named(
    broker: Broker, run: Run
) -> None:
    """And what lives below it; who can't be told to be the worker's is named, and left alone."""
    script = f"{NOBODYS} {OURS}; until [ -e go ]; do sleep 0.02; done"
    worker = {**QUICK, "function": "", "command": ["sh", "-c", script]}
    unit = run("", broker.url, worker=worker)
    nobodys, ours = born(unit, "nobodys"), born(unit, "ours")
    unit.wait_state("RUNNING")

    (unit.directory / "go").touch()

    assert unit.wait_exit(20) == 0

    reason = unit.wait_state("END")["reason"]
    assert f"killed with it, for it had gone into the background: pid {ours.pid} (" in reason
    assert f"pid {nobodys.pid} " in unit.wait_logged("orphan.unknown")["whom"]
    assert unit.leftovers() == [nobodys.pid]
    nobodys.kill()


@pytest.mark.fault("J15")
def test_who_goes_into_the_background_goes_with_a_killed_daemon(broker: Broker, run: Run) -> None:
    """From when it was seen to have left the worker's group."""
    script = f"{OURS}; exec sleep 1000"
    worker = {**QUICK, "function": "", "command": ["sh", "-c", script]}
    unit = run("", broker.url, worker=worker)
    ours = born(unit, "ours")
    assert f"pid {ours.pid} (" in unit.wait_logged("worker.left_group")["whom"]

    unit.signal(signal.SIGKILL)

    wait_until(lambda: not ours.is_alive(), 10, "it to be gone")
