"""Lifecycles of the user's own: written in files, read by the real program, run to END."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from statusd.core.capabilities import Capabilities
from statusd.core.goals import Goals
from statusd.settings.load import load, load_lifecycle
from tests.conftest import Run
from tests.system.commands import statusd
from tests.tools import Broker, Journal, Program, wait_until

WORKER = '[worker]\nfunction = "tests.workers:until_end"\n'
LIFECYCLE = """\
[lifecycle]
states = [
  "INIT",
  "IDLE",
  { name = "ACQUIRING", worker = "works" },
  { name = "PAUSED", timeout_s = 600, on_timeout = "abort" },
  "END",
]
transitions = [
  { trigger = "ready", source = "INIT", dest = "IDLE" },
  { trigger = "acquire", source = "IDLE", dest = "ACQUIRING" },
  { trigger = "pause", source = "ACQUIRING", dest = "PAUSED" },
  { trigger = "resume", source = "PAUSED", dest = "ACQUIRING" },
  { trigger = "abort", source = ["ACQUIRING", "PAUSED"], dest = "IDLE" },
  { trigger = "end", source = "*", dest = "END" },
]
"""

# What the user has changed in the lifecycle above -> what it is told.
MISTAKES = {
    "a misspelt state": (
        ('"ACQUIRING", dest = "PAUSED"', '"ACQUIRING", dest = "PAUSE"'),
        "12: lifecycle.transitions[2].dest: 'PAUSE' is no state, did you mean PAUSED?",
    ),
    "a misspelt key": (
        ("timeout_s = 600", "timeout = 600"),
        "6: lifecycle.states[3].timeout: unknown key timeout, did you mean timeout_s?",
    ),
    "a deadline without a trigger": (
        (', on_timeout = "abort"', ""),
        "6: lifecycle.states[3]: timeout_s needs on_timeout: the trigger to be fired then",
    ),
    "a deadline that fires what leads nowhere": (
        ('on_timeout = "abort"', 'on_timeout = "pause"'),
        "6: lifecycle.states[3]: on_timeout: no transition pause leads out of PAUSED; there are"
        " resume, abort, end",
    ),
    "a trigger twice": (
        ('{ trigger = "pause",', '{ trigger = "pause", source = "ACQUIRING", dest = "IDLE" }, {'
         ' trigger = "pause",'),
        "12: lifecycle.transitions[3]: pause leads out of ACQUIRING twice: to IDLE and to PAUSED",
    ),
    "two triggers from one state to another": (
        ('dest = "IDLE" },\n  { trigger = "end"',
         'dest = "IDLE" },\n  { trigger = "go", source = "IDLE", dest = "ACQUIRING" },\n'
         '  { trigger = "end"'),
        "15: lifecycle.transitions[5]: acquire and go both lead from IDLE to ACQUIRING",
    ),
    "a state that nothing leads to": (
        ('"END",\n', '"LOST",\n  "END",\n'),
        "7: lifecycle.states[4]: nothing leads to LOST",
    ),
    "a reserved word": (
        ('trigger = "resume"', 'trigger = "status"'),
        "13: lifecycle.transitions[3].trigger: status is a word of statusd itself: choose another",
    ),
    "a trigger of the daemon": (
        ('trigger = "resume"', 'trigger = "crash"'),
        "13: lifecycle.transitions[3].trigger: crash is a trigger of the daemon's own",
    ),
    "a condition that is not there": (
        ('dest = "ACQUIRING" },\n  { trigger = "pause"',
         'dest = "ACQUIRING", conditions = "os:is_dark" },\n  { trigger = "pause"'),
        "11: lifecycle.transitions[1].conditions: os has no is_dark",
    ),
    "no way to END": (
        ('  { trigger = "end", source = "*", dest = "END" },\n', ""),
        "9: lifecycle.transitions: nobody can lead it to END: { trigger = ",
    ),
    "nobody works": (
        (', worker = "works"', ""),
        "2: lifecycle.states: the worker works in no state: say worker = ",
    ),
}  # fmt: skip


def mistaken(name: str) -> str:
    """Return settings with that mistake."""
    (old, new), _ = MISTAKES[name]
    assert LIFECYCLE.count(old) == 1, f"{name}: {LIFECYCLE.count(old)} times"
    return LIFECYCLE.replace(old, new) + WORKER


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_a_mistake_is_told_with_its_line(mistake: str, tmp_path: Path) -> None:
    """As one line that an editor can jump to: file, line, key, cure; exit code 78."""
    (tmp_path / "statusd.toml").write_text(mistaken(mistake))
    done = statusd("check", cwd=tmp_path)

    assert done.returncode == 78
    assert f"statusd: statusd.toml:{MISTAKES[mistake][1]}" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_mistakes_of_a_lifecycle_are_told_at_once(tmp_path: Path) -> None:
    """With those of the settings around it."""
    text = LIFECYCLE.replace("timeout_s", "timeout").replace('dest = "PAUSED"', 'dest = "PAUSE"')
    (tmp_path / "statusd.toml").write_text(f"{text}{WORKER}stop_timeout_s = -1\n")

    done = statusd("check", cwd=tmp_path)

    for line in (6, 12, 19):
        assert f"statusd.toml:{line}: " in done.stderr


def test_a_daemon_does_not_start_with_a_mistake(tmp_path: Path) -> None:
    """It says what `check` says, and leaves with the same code."""
    (tmp_path / "statusd.toml").write_text(mistaken("a misspelt state"))

    checked, run = statusd("check", cwd=tmp_path), statusd("run", cwd=tmp_path)

    assert run.returncode == checked.returncode == 78
    assert run.stderr == checked.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[lifecycle]\nfile = "nowhere.toml"\n', "2: lifecycle.file: "),
        ("[lifecycle]\nfile = 3\n", "2: lifecycle.file: must be the name of a file"),
        ('[lifecycle]\nfile = "empty.toml"\n', "has no [lifecycle] with states and transitions"),
        ('[lifecycle]\nfile = "a.toml"\nstates = ["INIT"]\n', "a file, or states and transitions"),
        ('[lifecycle]\nfiles = "a.toml"\n', "2: lifecycle.files: unknown key, did you mean file?"),
        ('lifecycle = "a.toml"\n', "1: lifecycle: "),
        ('[lifecycle]\nstates = "scan"\n', "write \"module:name\""),
        ('[lifecycle]\nstates = "scan:Sca"\n', "scan has no Sca, did you mean Scan?"),
        ('[lifecycle]\nstates = "scam:Scan"\n', "can't import scam: ModuleNotFoundError"),
    ],
)  # fmt: skip
def test_a_lifecycle_that_is_not_there_is_told(text: str, expected: str, tmp_path: Path) -> None:
    """A file or a module that can't be used is a mistake like any other."""
    (tmp_path / "statusd.toml").write_text(text + WORKER)
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "scan.py").write_text(SCAN)

    done = statusd("check", cwd=tmp_path)

    assert done.returncode == 78
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistake_in_another_file_is_told_with_that_file(tmp_path: Path) -> None:
    """The line is the one in the file where it has to be mended."""
    (tmp_path / "statusd.toml").write_text(f'[lifecycle]\nfile = "scan.toml"\n{WORKER}')
    (tmp_path / "scan.toml").write_text(LIFECYCLE.replace('dest = "PAUSED"', 'dest = "PAUSE"'))

    done = statusd("check", cwd=tmp_path)

    assert "statusd: scan.toml:12: lifecycle.transitions[2].dest: 'PAUSE'" in done.stderr


# ---- run by the real program --------------------------------------------------------------------


def table(text: str) -> dict[str, Any]:
    """Return ``[lifecycle]`` of a document."""
    found: dict[str, Any] = tomllib.loads(text)["lifecycle"]
    return found


def test_own_states_are_steered_and_told(broker: Broker, journal: Journal, run: Run) -> None:
    """Triggers and states of the table, in any case; a built-in word is none here."""
    unit = run("tests.workers:until_end", broker.url, lifecycle=table(LIFECYCLE))
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("IDLE")

    for word, state in (("ACQUIRING", "ACQUIRING"), ("Pause", "PAUSED"), ("resume", "ACQUIRING")):
        broker.client().publish("mychannel", word)
        unit.wait_state(state)
    broker.client().publish("mychannel", "start")
    refused = wait_until(lambda: [v for v in journal.verdicts() if v["command"] == "start"], 15, "")
    broker.client().publish("mychannel", "end")

    assert unit.wait_exit(15) == 0
    assert (refused[0]["verdict"], refused[0]["allowed"]) == ("invalid", ["pause", "abort", "end"])
    assert [event["new"] for event in journal.events()] == [
        *("IDLE", "ACQUIRING", "PAUSED", "ACQUIRING", "ENDING", "END")
    ]


READY_MADE = sorted(Path("config/lifecycles").glob("*.toml"))
OURS = [file for file in READY_MADE if file.stem in ("smallest", "instrument")]


@pytest.mark.fault("J21")
@pytest.mark.parametrize("file", READY_MADE, ids=str)
def test_the_ready_made_ones_are_checked_and_drawn(file: Path) -> None:
    """Each as it is, without settings around it."""
    states = list(load_lifecycle(file).states.__members__)

    checked, drawn = statusd("check", str(file)), statusd("graph", str(file))

    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.split("states", 1)[1].split() == states
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert [state for state in states if f"s_{state}" not in drawn.stdout] == []


@pytest.mark.fault("J21")
def test_a_machine_is_aborted_and_cleared(broker: Broker, journal: Journal, run: Run) -> None:
    """PackML, by a real worker: `abort` is done in ABORTED, a fault that `clear` leads out of."""
    machine = {"file": str(Path("config/lifecycles/packml.toml").resolve())}
    unit = run("tests.workers:completing", broker.url, lifecycle=machine)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("STOPPED")

    words = {"reset": "IDLE", "start": "EXECUTE", "abort": "ABORTED", "clear": "STOPPED"}
    for number, (word, state) in enumerate(words.items()):
        broker.client().publish("mychannel", json.dumps({"command": word, "id": str(number)}))
        done = wait_until(partial(final, journal, word), 15, f"{word} to be answered")
        assert (done["verdict"], done["state"]) == ("done", state)
    broker.client().publish("mychannel", "end")

    assert unit.wait_exit(15) == 0
    acting = ["RESETTING", "IDLE", "STARTING", "EXECUTE", "ABORTING", "ABORTED", "CLEARING"]
    assert [event["new"] for event in journal.events()] == [
        *("STOPPED", *acting, "STOPPED", "ENDING", "END")
    ]


def final(journal: Journal, word: str) -> dict[str, Any]:
    """Return the last verdict on ``word``; empty as long as there is none."""
    told = [v for v in journal.verdicts() if v["command"] == word and v["verdict"] != "accepted"]
    return told[-1] if told else {}


@pytest.mark.parametrize("file", OURS, ids=str)
def test_the_ready_made_ones_run_to_end(file: Path, broker: Broker, run: Run) -> None:
    """As their own heads say how to use them; every state can be ended."""
    for goal in [state.name for state in load_goals(file)]:
        unit = run(
            "tests.workers:until_end",
            broker.url,
            name=f"{file.stem}-{goal}",
            goal=goal,
            lifecycle={"file": str(file.resolve())},
        )
        unit.wait_state(goal)

        unit.signal(signal.SIGTERM)

        assert unit.wait_exit(15) == 0
        assert unit.wait_state("END")["reason"] == "exit code 0"


def load_goals(file: Path) -> list[Any]:
    """Return the states of a lifecycle that can be taken up by themselves."""
    return Goals(load_lifecycle(file), Capabilities()).possible()


def test_a_deadline_that_passes_fires_its_trigger(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """PAUSED lasts 0.2 s here; then its trigger is fired, with the reason."""
    lifecycle = table(LIFECYCLE.replace("timeout_s = 600", "timeout_s = 0.2"))
    unit = run("tests.workers:until_end", broker.url, lifecycle=lifecycle, goal="ACQUIRING")
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("ACQUIRING")

    broker.client().publish("mychannel", "pause")

    line = unit.wait_state("IDLE")
    assert (line["trigger"], line["source"]) == ("abort", "daemon")
    assert line["reason"] == "PAUSED lasted 0.2 s"


SCAN = """\
import enum

Scan = enum.Enum("Scan", "INIT IDLE ACQUIRING END")


def has_exposure(request):
    "say how long to expose"
    return "exposure_s" in request.args


STATES = [Scan.INIT, Scan.IDLE, {"name": Scan.ACQUIRING, "worker": "works"}, Scan.END]
TRANSITIONS = [
    ["ready", "INIT", "IDLE"],
    {"trigger": "acquire", "source": "IDLE", "dest": "ACQUIRING", "conditions": has_exposure},
    ["stop", Scan.ACQUIRING, Scan.IDLE],
    ["end", "*", "END"],
]
"""
JOB = """\
import json
import sys

from scan import Scan


def main(worker):
    assert isinstance(worker.state, Scan)
    while worker.state is not Scan.END:
        if worker.ack() is Scan.ACQUIRING:
            with open("acquired", "a") as file:
                print(json.dumps(dict(worker.args)), sys.prefix, sep="\\t", file=file)
        worker.wait()
    worker.ack()
"""


def scan(directory: Path, broker: Broker, worker: str = "") -> Program:
    """Start a unit whose states are the user's own Enum."""
    directory.mkdir()
    (directory / "scan.py").write_text(SCAN)
    (directory / "job.py").write_text(JOB)
    toml = f"""\
name = "scan"
[redis]
url = "{broker.url}"
[control]
channels = ["mychannel"]
[lifecycle]
states = "scan:STATES"
transitions = "scan:TRANSITIONS"
[worker]
function = "job:main"
backoff_s = [0.05, 0.1]
{worker}
"""
    unit = Program(toml, directory=directory)
    try:
        unit.wait_state("IDLE")
        unit.wait_logged("link.up", link="hears")
    except BaseException:
        unit.close()
        raise
    return unit


def acquired(directory: Path) -> list[list[str]]:
    """Return what the worker wrote each time when it came to ACQUIRING: args, interpreter."""
    file = directory / "acquired"
    return [row.split("\t") for row in file.read_text().splitlines()] if file.exists() else []


ACQUIRE = '{"command": "acquire", "id": "a", "args": {"exposure_s": 2}}'


def test_the_worker_sees_members_of_the_user_s_own_enum(
    broker: Broker, journal: Journal, tmp_path: Path
) -> None:
    """Found beside the settings; a condition refuses, and its docstring tells why."""
    folder = tmp_path / "job"
    with scan(folder, broker) as unit:
        broker.client().publish("mychannel", "acquire")
        wait_until(journal.verdicts, 15, "the refusal")
        broker.client().publish("mychannel", ACQUIRE)
        unit.wait_state("ACQUIRING")
        wait_until(lambda: acquired(folder), 15, "the worker to acquire")
        broker.client().publish("mychannel", "end")

        assert unit.wait_exit(15) == 0
    assert json.loads(acquired(folder)[0][0]) == {"exposure_s": 2}
    refusal = journal.verdicts()[0]
    assert refusal["reason"] == "has_exposure: say how long to expose"
    assert refusal["state"] == "IDLE"


def test_the_goal_comes_back_with_its_args(broker: Broker, tmp_path: Path) -> None:
    """After the worker's death, and after the daemon's."""
    folder = tmp_path / "job"
    with scan(folder, broker) as unit:
        broker.client().publish("mychannel", ACQUIRE)
        wait_until(lambda: len(acquired(folder)) == 1, 15, "the first run to acquire")
        signal_worker(unit)
        wait_until(lambda: len(acquired(folder)) == 2, 15, "the second run to acquire")
        unit.signal(signal.SIGKILL)
        unit.wait_exit(15)
    with Program((folder / "statusd.toml").read_text(), directory=folder):
        wait_until(lambda: len(acquired(folder)) == 3, 15, "the next daemon's run to acquire")

    assert [json.loads(args) for args, _ in acquired(folder)] == [{"exposure_s": 2}] * 3


def signal_worker(unit: Program) -> None:
    """Kill the worker that runs now."""
    os.kill(unit.worker_pid(), signal.SIGKILL)


def test_the_own_enum_is_used_in_another_interpreter(broker: Broker, tmp_path: Path) -> None:
    """A bare venv, where statusd isn't installed: `python` is all that is needed."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=30)
    folder = tmp_path / "job"
    with scan(folder, broker, worker='python = "../venv/bin/python"') as unit:
        broker.client().publish("mychannel", ACQUIRE)
        wait_until(lambda: acquired(folder), 15, "the worker to acquire")
        broker.client().publish("mychannel", "end")

        assert unit.wait_exit(15) == 0
    assert Path(acquired(folder)[0][1]) == venv


def test_check_tells_what_was_found(tmp_path: Path) -> None:
    """The states and where the unit goes by itself: the user sees that it was understood."""
    (tmp_path / "statusd.toml").write_text(LIFECYCLE + WORKER)

    done = statusd("check", cwd=tmp_path, env={"PYTHONPATH": str(Path.cwd())})

    assert (done.returncode, done.stderr) == (0, "")
    assert "ACQUIRING" in done.stdout
    assert load(tmp_path / "statusd.toml").first_goal() == "IDLE"


def test_a_goal_that_nothing_leads_to_is_a_mistake(tmp_path: Path) -> None:
    """One word away from what is possible."""
    (tmp_path / "statusd.toml").write_text('goal = "RUNNING"\n' + LIFECYCLE + WORKER)

    done = statusd("check", cwd=tmp_path)

    assert done.returncode == 78
    assert "statusd.toml:1: goal: RUNNING: " in done.stderr
    assert "ACQUIRING" in done.stderr
