"""SIGTERM and SIGINT at every moment: END, exit 0, nothing left."""

from __future__ import annotations

import signal
import time

import pytest

from tests.conftest import Run
from tests.tools import Broker, wait_until


@pytest.mark.parametrize("after_ms", range(0, 600, 30))
def test_sigterm_during_start_up(after_ms: int, broker: Broker, run: Run) -> None:
    """At 20 moments of the start; before our handler stands, the system's default ends it."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    at = time.monotonic() + after_ms / 1000
    wait_until(lambda: time.monotonic() >= at, 15, "the moment")

    unit.signal(signal.SIGTERM)

    code = unit.wait_exit(8)
    assert code == 0 or (code == -signal.SIGTERM and unit.log() == [])
    assert unit.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_end(number: signal.Signals, broker: Broker, run: Run) -> None:
    """The worker finishes its step, the exit code is 0, and the event names the signal."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")

    unit.signal(number)

    assert unit.wait_exit(15) == 0
    line = unit.wait_logged("state.changed", new="ENDING")
    assert line["source"] == f"signal:{number.name}"
