"""A worker that hangs: noticed by its work loop, asked for its stack, killed, and started again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.conftest import Run
from tests.tools import Broker, wait_until


def passed(seconds: float) -> Callable[[], bool]:
    """Return what tells whether so many seconds have passed since now."""
    over = time.monotonic() + seconds
    return lambda: time.monotonic() > over


HANGS = {"hang_timeout_s": 0.5, "backoff_s": [0.05, 0.1], "kill_timeout_s": 0.3}


@pytest.mark.fault("W15")
@pytest.mark.parametrize(
    "worker",
    ["workers:spinning_for_ever", "workers:blocked_for_ever", "async_workers:blocked_in_a_step"],
)
def test_a_hang_is_noticed_and_shown(worker: str, broker: Broker, run: Run) -> None:
    """Within the time and a second; the stack of the worker stands in its output."""
    unit = run(f"tests.{worker}", broker.url, goal="RUNNING", worker=HANGS)
    unit.wait_state("RUNNING")
    began = time.monotonic()

    crash = unit.wait_logged("state.changed", trigger="crash")

    assert time.monotonic() - began < 0.5 + 1
    assert crash["reason"].startswith("hung: no progress for ")
    unit.wait_logged("state.changed", trigger="retry")
    wait_until(lambda: f"in {worker.partition(':')[2]}" in unit.output(), 15, "the stack")


@pytest.mark.fault("W03", "W14")
def test_a_stopped_worker_hangs(broker: Broker, run: Run) -> None:
    """Somebody sent SIGSTOP: it is killed all the same."""
    unit = run("tests.workers:telling_args", broker.url, goal="RUNNING", worker=HANGS)
    wait_until((unit.directory / "args").exists, 10, "the first step")

    os.kill(unit.worker_pid(), signal.SIGSTOP)

    assert unit.wait_logged("state.changed", trigger="crash")["reason"].startswith("hung")
    unit.wait_logged("state.changed", trigger="retry")


def test_a_step_that_was_said_to_take_long_may_take_long(broker: Broker, run: Run) -> None:
    """`expect` holds for one step; after it the usual limit counts again."""
    unit = run("tests.workers:slow_and_patient", broker.url, goal="RUNNING", worker=HANGS)
    unit.wait_state("RUNNING")
    wait_until((unit.directory / "expecting").exists, 15, "the long step")

    wait_until(passed(1.5), 15, "three times the limit to pass")
    (unit.directory / "release").touch()

    steps = unit.directory / "steps"
    wait_until(lambda: int(steps.read_text() or 0) > 2, 15, "the next steps")
    assert unit.logged("state.changed", trigger="crash") is None
    os.kill(unit.worker_pid(), signal.SIGSTOP)
    assert unit.wait_logged("state.changed", trigger="crash")["reason"].startswith("hung")
