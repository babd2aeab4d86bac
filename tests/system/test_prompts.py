"""Signals that stand for a word, the deadline and the exit code, as a batch system sees them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import statusd
from statusd.core.times import rfc3339
from tests.conftest import Run
from tests.system.commands import statusd as typed
from tests.tools import Broker, Journal, Program, environment, wait_until
from tests.tools.processes import descendants
from tests.tools.variants import nightly

PROMPTS = {"USR1": "pause", "SIGUSR2": "resume", "urg": "end"}
OURS = f"pid {os.getpid()} ({Path('/proc/self/comm').read_text().strip()}), uid {os.getuid()}"


def among(mask: str, number: signal.Signals, status: Path) -> bool:
    """Tell whether a signal is in a mask of a process, or of a thread (proc(5))."""
    text = status.read_text(encoding="utf-8")
    return bool(int(text.partition(f"{mask}:")[2].split()[0], 16) & 1 << number - 1)


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal."""
    return among("SigCgt", number, Path(f"/proc/{pid}/status"))


def document(broker: Broker, name: str = "unit") -> dict[str, Any]:
    """Return the status document."""
    return dict(json.loads(broker.client().get(f"statusd:status:{{{name}}}") or b"{}"))


def send_to_all(program: Program, number: signal.Signals) -> None:
    """Signal whatever is below the daemon, as `scancel --full` does, and then the daemon itself."""
    for pid in descendants(program.pid):
        os.kill(pid, number)
    program.signal(number)


def test_a_signal_is_a_word_from_the_first_moment_to_the_last(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """None is lost that comes while it starts; one to all processes of the job hurts none of them;
    a burst loses nothing; the one that ends it says by the exit code that there is work left.
    """
    daemon = {"signals": PROMPTS, "requeue_exit": 85}
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING", daemon=daemon)
    wait_until(lambda: catches(unit.pid, signal.SIGUSR1), 15, "a handler")

    unit.signal(signal.SIGUSR1)

    unit.wait_state("PAUSED", 15)
    told = unit.wait_logged("signal.received", signal="SIGUSR1")
    assert told["command"] == "pause"
    helpers = descendants(unit.pid)
    for _ in range(20):
        for number in (signal.SIGUSR2, signal.SIGUSR1):
            send_to_all(unit, number)
    send_to_all(unit, signal.SIGUSR2)
    unit.wait_state("RUNNING")
    assert descendants(unit.pid) == helpers
    assert unit.worker_pid() in helpers
    line = unit.wait_logged("state.changed", new="RUNNING", trigger="resume")
    assert (line["source"], line["by"]) == ("signal:SIGUSR2", OURS)

    threads = [task / "status" for task in Path(f"/proc/{unit.pid}/task").iterdir()]
    assert len(threads) > 1
    assert all(among("SigBlk", signal.SIGURG, status) for status in threads)  # none else takes it

    unit.signal(signal.SIGURG)

    assert unit.wait_exit(15) == 85
    newest: Any = broker.client().xrevrange("statusd:history:{unit}", count=2)
    ending = json.loads(newest[1][1][b"event"])
    assert (ending["source"], ending["by"]) == ("signal:SIGURG", OURS)
    assert unit.kept()["goal"] == "RUNNING"
    assert unit.leftovers() == []


def test_a_signal_without_a_word_is_what_it_always_was(broker: Broker, run: Run) -> None:
    """Deadly, early and late."""
    early = run("tests.workers:obedient", broker.url, name="early")
    late = run(
        "tests.workers:obedient", broker.url, name="late", daemon={"signals": {"URG": "end"}}
    )
    wait_until(lambda: catches(early.pid, signal.SIGUSR1), 15, "a handler")
    early.signal(signal.SIGUSR1)
    assert early.wait_exit(15) == -signal.SIGUSR1
    assert early.logged("worker.started") is None

    late.wait_state("READY")
    assert not catches(late.pid, signal.SIGUSR1)
    late.signal(signal.SIGUSR1)
    assert late.wait_exit(15) == -signal.SIGUSR1


def interpreter(tmp_path: Path) -> str:
    """Make an interpreter that writes down what it was born with, and is ours from then on."""
    script = tmp_path / "python"
    born = f'while read -r row; do echo "$row"; done </proc/$$/status >"{tmp_path / "born"}"'
    ours = shlex.quote(sys.executable)  # a checkout's folder may have a blank in its name
    script.write_text(f'#!/bin/sh\n{born}\nexec {ours} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return str(script)


def folder(broker: Broker, tmp_path: Path) -> Program:
    """Run a folder of a function and a program, which a signal pauses, and another one ends."""
    return Program(
        {
            "redis": {"url": broker.url},
            "daemon": {"signals": {"USR1": "pause", "USR2": "end"}, "requeue_exit": 85},
        },
        directory=tmp_path / "d",
        args=("--until-ended",),
        units={
            "a": {
                "name": "a",
                "goal": "RUNNING",
                "worker": {
                    "function": "tests.workers:obedient",
                    "python": interpreter(tmp_path),
                },
            },
            "b": {
                "name": "b",
                "worker": {
                    "command": ["sleep", "1000"],
                    "signals": {"PAUSED": "SIGSTOP", "RUNNING": "SIGCONT"},
                },
            },
        },
    )


def test_a_signal_commands_every_unit_of_a_folder(broker: Broker, tmp_path: Path) -> None:
    """Nobody has ended them: the next daemon begins both, where they were before the signals."""
    with folder(broker, tmp_path) as first:
        for name in "ab":
            first.wait_logged("state.changed", unit=name, new="RUNNING")
            status = Path(f"/proc/{first.worker_pid(name)}/status")
            assert among("SigIgn", signal.SIGUSR1, status)
            assert not among("SigBlk", signal.SIGUSR1, status)  # whoever wants it sets a handler
        assert among("SigBlk", signal.SIGUSR1, tmp_path / "born")  # but not before we ignore it
        send_to_all(first, signal.SIGUSR1)
        for name in "ab":
            first.wait_logged("state.changed", unit=name, new="PAUSED", source="signal:SIGUSR1")
        first.signal(signal.SIGUSR2)
        assert first.wait_exit(15) == 85
        assert first.logged("state.changed", new="BACKOFF") is None
    with folder(broker, tmp_path) as again:
        for name in "ab":
            again.wait_logged("state.changed", unit=name, new="RUNNING")


def test_the_deadline_ends_a_job_in_time(
    broker: Broker, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker sees how long it has, the document says it, the exit code that there is more."""
    ends = int(time.time()) + 100
    monkeypatch.setenv("SLURM_JOB_END_TIME", f"{ends}")
    unit = run(
        "tests.workers:telling_time_left",
        broker.url,
        goal="RUNNING",
        worker={"deadline": "$SLURM_JOB_END_TIME", "deadline_margin_s": 95},
        daemon={"requeue_exit": 85},
    )

    assert unit.wait_exit(15) == 85

    said, line = document(broker), unit.wait_logged("state.changed", new="ENDING")
    assert said["deadline"] == rfc3339(ends)
    assert 90 < float(said["text"].split()[0]) <= 100
    assert line["source"] == "deadline"
    assert unit.logged("deadline.near", command="end") is not None


def test_a_variable_that_isn_t_set_is_no_deadline(tmp_path: Path) -> None:
    """`run` refuses it, `check` warns, for it may be right where it is to run."""
    file = tmp_path / "statusd.toml"
    job = "statusd.examples.counter:main"
    file.write_text(f'[worker]\nfunction = "{job}"\ndeadline = "$SLURM_JOB_END_TIME"\n')
    env = environment(tmp_path)

    refused = typed("run", cwd=tmp_path, env=env)
    warned = typed("check", cwd=tmp_path, env=env)

    assert refused.returncode == 78
    assert f"{file}: worker.deadline: $SLURM_JOB_END_TIME isn't set here" in refused.stderr
    assert warned.returncode == 0
    assert "warning: statusd.toml:3: worker.deadline: $SLURM_JOB_END_TIME isn't" in warned.stderr


@pytest.fixture
def attach(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Attach this process, by settings in a file."""
    for key, value in environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    attached: list[Any] = []

    def attaching(text: str) -> Any:
        file = tmp_path / "statusd.toml"
        file.write_text(text, encoding="utf-8")
        attached.append(statusd.attach("mychannel", broker.url, "scan", config=str(file)))
        return attached[-1]

    yield attaching
    for worker in attached:
        worker.detach()


def test_a_program_that_is_attached_has_both(attach: Callable[[str], Any]) -> None:
    """The signal is for its daemon; the program is told, and sees how long it has."""
    worker = attach(
        'goal = "RUNNING"\n[worker]\ndeadline = "100s"\n[daemon.signals]\nUSR1 = "pause"\n'
    )
    wait_until(lambda: worker.state == "RUNNING", 10, "RUNNING")
    assert 80 < worker.time_left_s < 100
    worker.ack()

    os.kill(worker._child.pid, signal.SIGUSR1)

    wait_until(lambda: worker.state == "PAUSED", 10, "PAUSED")


@pytest.mark.parametrize("after_ms", nightly(*range(0, 700, 35)))
def test_a_signal_at_any_moment_of_the_start_pauses_or_is_too_early(
    after_ms: int, broker: Broker, run: Run
) -> None:
    """Before our handler stands, the system's default ends it, and nothing has begun."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING", daemon={"signals": PROMPTS})
    at = time.monotonic() + after_ms / 1000
    wait_until(lambda: time.monotonic() >= at, 15, "the moment")

    unit.signal(signal.SIGUSR1)

    wait_until(lambda: unit.exit_code() or unit.logged("signal.received"), 15, "either")
    if unit.exit_code() is not None:
        assert (unit.exit_code(), unit.log()) == (-signal.SIGUSR1, [])
    else:
        unit.wait_state("PAUSED", 15)
