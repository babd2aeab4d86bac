"""What a type checker says to whoever writes a worker; see `statusd.worker.states`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from statusd.core.lifecycle import BUILT_IN
from statusd.worker.api import Worker
from statusd.worker.async_worker import AsyncWorker

JOB = """
import logging
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any, assert_type

import statusd
from statusd import AsyncWorker, Worker


class Scan(Enum):
    INIT = 1
    ACQUIRING = 2


def main(worker: Worker) -> None:
    if worker.state == "PAUSED" or worker.wait(1.0) == "RUNNING" or worker.ack() == "END":
        print(f"{worker.state}")
    worker.state == "PUASED"  # wrong
    worker.wait() == "puased"  # wrong
    worker.ack() == ""  # wrong
    while worker.state == "PAUSED":
        worker.wait(0.1)
    state = worker.wait()
    if state == "RUNNING" or worker.state in ("READY", "END"):
        state = worker.wait()
        print(state == "PAUSED")


async def steps(worker: AsyncWorker) -> None:
    worker.state == "PAUSED"
    worker.state == "PUASED"  # wrong
    await worker.wait() == "PUASED"  # wrong


def items(worker: Worker, names: list[str]) -> None:
    for name in worker.track(names, "exposing", unit="images", leave=False):
        assert_type(name, str)
    with worker.track(total=5) as bar:
        bar.update()
    with worker.track(names) as looped:
        assert_type(next(iter(looped)), str)
    logging.getLogger().addHandler(statusd.LogText(worker, "INFO"))


async def async_items(worker: AsyncWorker, names: list[str], rows: AsyncIterator[int]) -> None:
    async for name in worker.track(names):
        assert_type(name, str)
    async for row in worker.track(rows, total=5):
        assert_type(row, int)
    for name in worker.track(names, steer=False):
        assert_type(name, str)


def scan(worker: Worker[Scan], any_names: Worker[str], nothing_known: Worker[Any]) -> None:
    assert_type(worker.state, Scan)
    assert_type(worker.wait(), Scan)
    worker.state == "ACQUIRING"  # wrong
    any_names.state == "ACQUIRING"
    nothing_known.state.name == "ACQUIRING"


def attached() -> None:
    with statusd.attach("c") as worker:
        worker.state == "PAUSED"
        worker.state == "PUASED"  # wrong
        AsyncWorker(worker).state == "PUASED"  # wrong
    assert_type(statusd.attach("c", lifecycle=Scan).state, Scan)
    statusd.attach("c", lifecycle=["INIT", "ACQUIRING"]).state == "ACQUIRING"
"""


@pytest.mark.nightly
def test_a_misspelt_state_is_an_error_of_mypys(tmp_path: Path) -> None:
    """Of the built-in lifecycle's; an own one says which, or that nothing is known."""
    (tmp_path / "job.py").write_text(JOB, encoding="utf-8")
    command = ["-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "job.py"]

    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    found = {int(line) for line in re.findall(r"^job\.py:(\d+): error", done.stdout, re.MULTILINE)}
    wrong = {at for at, line in enumerate(JOB.splitlines(), 1) if line.endswith("# wrong")}
    assert found == wrong, done.stdout + done.stderr
    assert set(re.findall(r"\[([\w-]+)\]$", done.stdout, re.MULTILINE)) == {"comparison-overlap"}


def test_the_types_know_the_built_in_states() -> None:
    """All of them, and no others."""
    text = Path("service/statusd/worker/states.py").read_text(encoding="utf-8")
    names = re.search(r"BuiltIn = Literal\[(.*?)\]", text, re.DOTALL)

    assert names is not None
    assert re.findall(r'"(\w+)"', names[1]) == [state.name for state in BUILT_IN.members()]


@pytest.mark.parametrize("kind", [Worker, AsyncWorker])
def test_a_worker_may_name_its_states_at_run_time(kind: type) -> None:
    """In an annotation that is evaluated; it is the same class."""
    assert kind[str] is kind  # type: ignore[index]  # what mypy makes of it is its own matter
