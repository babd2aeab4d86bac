"""A batch system that gives a job less time than it needs: the example for Slurm, turn by turn.

There is no Slurm here: `Slurm` does what it would do with the script, as far as that can be seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.commands import statusd
from tests.tools import Broker, environment, wait_until
from tests.tools.processes import descendants

EXAMPLE = Path("examples/slurm")
EPOCHS = 60
SCONTROL = '#!/bin/sh\necho "$@" >>"$FAKE_SLURM"\n'
WITHIN_S = 20.0


class Slurm:
    """Runs a script in a process group of its own, warns it, kills it, and queues it again.

    Args:
        folder: with the job; directory: for what a cluster has.
    """

    def __init__(self, folder: Path, directory: Path, broker: Broker) -> None:
        self.folder = folder
        self.asked = directory / "scontrol.log"
        self.out = directory / "slurm-7.out"
        self.out.touch()
        bin_folder = directory / "bin"
        bin_folder.mkdir()
        (bin_folder / "scontrol").write_text(SCONTROL)
        (bin_folder / "scontrol").chmod(0o755)
        script = (folder / "job.sbatch").read_text()
        warned = re.search(r"^#SBATCH --signal=B:(\w+)@\d+", script, re.MULTILINE)
        assert warned is not None
        self.warning = signal.Signals[f"SIG{warned[1]}"]
        self._environment = environment(directory) | {
            "PATH": f"{bin_folder}:{Path(sys.prefix, 'bin')}:{os.environ['PATH']}",
            "STATUSD_REDIS__URL": broker.url,
            "EPOCHS": str(EPOCHS),
            "SLURM_JOB_ID": "7",
            "FAKE_SLURM": str(self.asked),
        }
        self.turn: subprocess.Popen[bytes] | None = None

    def begin(self, number: int) -> subprocess.Popen[bytes]:
        """Start a turn of the job."""
        more = {
            "SLURM_RESTART_COUNT": str(number),
            "SLURM_JOB_END_TIME": str(int(time.time()) + 14400),
        }
        with self.out.open("ab") as out:
            self.turn = subprocess.Popen(
                ["bash", "job.sbatch"],
                cwd=self.folder,
                env=self._environment | more,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return self.turn

    def warn(self, *, full: bool) -> None:
        """Send the warning to the script alone, or to all that there is of it, as `--full` does."""
        assert self.turn is not None
        for pid in [self.turn.pid, *(descendants(self.turn.pid) if full else [])]:
            with contextlib.suppress(ProcessLookupError):  # it may just have ended
                os.kill(pid, self.warning)

    def end(self) -> int:
        """Wait for the end of the turn, kill what is left of it, and return the exit code."""
        assert self.turn is not None
        try:
            return self.turn.wait(WITHIN_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.turn.pid, signal.SIGKILL)

    def is_queued_again(self) -> bool:
        """Tell whether the turn has asked for another one, of its own job."""
        said = self.asked.read_text().splitlines() if self.asked.exists() else []
        self.asked.write_text("")
        assert said in ([], ["requeue 7"])
        return bool(said)

    def epochs(self) -> list[int]:
        """Return what was trained, in order, over all turns."""
        return [int(n) for n in re.findall(r"epoch (\d+) of", self.out.read_text())]


@pytest.fixture
def slurm(broker: Broker, tmp_path: Path) -> Iterator[Slurm]:
    """Have a cluster, and the example in a folder of its own."""
    made = Slurm(shutil.copytree(EXAMPLE, tmp_path / "job"), tmp_path, broker)
    yield made
    if made.turn is not None and made.turn.poll() is None:
        made.turn.kill()
        made.turn.wait()


def test_a_job_of_three_turns_does_all_of_its_work_once(slurm: Slurm, broker: Broker) -> None:
    """Each turn begins where the last one has ended; the last one finishes, and isn't queued."""
    for number, full in enumerate((False, True)):
        begun = len(slurm.epochs())
        slurm.begin(number)
        wait_until(lambda: len(slurm.epochs()) > begun + 3, WITHIN_S, "some epochs")  # noqa: B023  # it is called here
        slurm.warn(full=full)
        assert slurm.end() == 85, slurm.out.read_text()
        assert slurm.is_queued_again()
        kept = json.loads((slurm.folder / "checkpoint.json").read_text())
        assert len(kept) == len(slurm.epochs()) < EPOCHS
    slurm.begin(2)
    assert slurm.end() == 0, slurm.out.read_text()
    assert not slurm.is_queued_again()

    assert slurm.epochs() == list(range(1, EPOCHS + 1))
    history: Any = broker.client().xrange("statusd:history:{training}")
    events = [json.loads(fields[b"event"]) for _, fields in history]
    ends = [event["source"] for event in events if event["new"] == "ENDING"]
    assert ends == ["signal:SIGUSR1", "signal:SIGUSR1", "worker"]


def test_an_end_that_somebody_sends_is_no_reason_for_another_turn(
    slurm: Slurm, broker: Broker
) -> None:
    """It is meant: 0, and what was done is kept."""
    slurm.begin(0)
    wait_until(slurm.epochs, WITHIN_S, "an epoch")
    wait_until(lambda: broker.client().publish("statusd:control", "end"), WITHIN_S, "a listener")

    assert slurm.end() == 0
    assert not slurm.is_queued_again()


def test_the_example_has_no_mistakes(tmp_path: Path) -> None:
    """As `statusd check` says: with the signal, and with the deadline in its place."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "job")
    settings = folder / "statusd.toml"
    signals = statusd("check", cwd=folder)
    settings.write_text(settings.read_text().replace("# deadline", "deadline"))
    deadline = statusd("check", cwd=folder, env={"SLURM_JOB_END_TIME": f"{time.time() + 9000:.0f}"})

    assert (signals.returncode, deadline.returncode) == (0, 0)
    assert "signal   SIGUSR1 is end" in signals.stdout
    assert "deadline $SLURM_JOB_END_TIME" in deadline.stdout
    assert "deadline" not in signals.stderr + deadline.stderr
