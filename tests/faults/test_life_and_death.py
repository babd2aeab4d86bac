"""Life and death, many times over: real processes, real signals, at moments that chance picks.

A few rounds in every run of the suite; for figures, ``pytest tests/faults --rounds 200 -s``. The
seed is pytest-randomly's, which pytest prints; ``--randomly-seed=N`` plays it again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, settings
from tests.tools import Broker, Heard, Journal, Program, Proxy, wait_until

GONE_S = 2.0
"""So soon after its daemon a worker must be gone."""
STOP_S = 8.0
"""So long a stop may last with the default timeouts, whatever the broker does."""

pytestmark = pytest.mark.timeout(1800)  # of many rounds; each wait in them has its own limit

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start units, each in a folder of its own; what is closed early is not kept."""
    with ExitStack() as stack:
        count = 0

        def start(function: str, url: str, **changes: Any) -> Program:
            nonlocal count
            count += 1
            toml = settings(function, url, **changes)
            return stack.enter_context(Program(toml, directory=tmp_path / str(count)))

        yield start


def told(what: str, seconds: list[float]) -> None:
    """Print the figures of a proof."""
    middle, most = statistics.median(seconds) * 1000, max(seconds) * 1000
    print(f"\n{what}: {len(seconds)} times, median {middle:.0f} ms, longest {most:.0f} ms")


SHELL = "trap '' TERM; (trap '' TERM; sleep 600) & sleep 600 & touch forked; wait"
WORKERS: dict[str, dict[str, Any]] = {
    "Python": {"function": "tests.workers:obedient"},
    "Python, deaf": {"function": "tests.workers:deaf"},
    "Python, SIGTERM ignored": {"function": "tests.workers:stubborn"},
    "Python, 50 grandchildren": {"function": "tests.workers:many_children"},
    "sh, grandchildren, SIGTERM ignored": {"function": "", "command": ["sh", "-c", SHELL]},
    "sleep": {"function": "", "command": ["sleep", "600"]},
}


@pytest.mark.fault("W06", "W08")
def test_nothing_outlives_a_killed_daemon(rounds: int, broker: Broker, start: Start) -> None:
    """SIGKILL at any moment of its life, also while the worker is being started."""
    chance = random.Random(random.random())
    took = []
    for number in range(rounds):
        worker = list(WORKERS.values())[number % len(WORKERS)]
        unit = start("", broker.url, goal="RUNNING", worker=worker)
        unit.wait_logged("worker.started")
        wait_for(time.monotonic() + chance.choice([0.0, 0.02, 0.2]) * chance.random() * 2)

        unit.signal(signal.SIGKILL)
        killed = time.monotonic()
        unit.wait_exit(5)

        wait_until(partial(is_gone, unit), 5, f"everything of {worker} to be gone")
        took.append(time.monotonic() - killed)
        assert took[-1] < GONE_S, worker
    told("daemon killed -> nothing of its worker lives", took)


# How to bring a worker into each state in which one lives -> the word that leads there, its kind.
STATES = {
    "INIT": ("never_ready", ""),
    "READY": ("obedient", ""),
    "RUNNING": ("obedient", "start"),
    "PAUSED": ("obedient", "start pause"),
    "ENDING": ("stubborn", "end"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_killed_worker_is_told_in_every_state(
    state: str, rounds: int, broker: Broker, start: Start
) -> None:
    """The event comes within half a second, and nothing says RUNNING after it."""
    function, words = STATES[state]
    took = []
    for _ in range(max(1, rounds // 10)):
        worker = {"ready": "notified" if state in ("INIT", "ENDING") else "started"}
        unit = start(f"tests.workers:{function}", broker.url, worker=worker | {"restart": "never"})
        unit.wait_logged("link.up", link="sends")
        unit.wait_logged("link.up", link="hears")
        unit.wait_logged("worker.started")
        if state != "INIT":
            unit.wait_state("READY")
        for word in words.split():
            broker.client().publish("mychannel", word)
        if words:
            unit.wait_state(state)
        with Journal(broker.client()) as journal:
            os.kill(unit.worker_pid(), signal.SIGKILL)
            killed = time.monotonic()
            wait_until(partial(told_of_death, journal, state), 5, "the event")
            key = "statusd:status:{unit}"
            document = json.loads(broker.client().get(key) or b"{}")
            broker.client().publish("mychannel", '{"command": "status", "id": "s"}')
            wait_until(partial(is_answered, unit, journal), 5, "an answer")
            first, *later = told_of_death(journal, state)
        took.append(first.at - killed)
        assert took[-1] < 0.5
        said = [heard.said["new" if heard.kind == "event" else "state"] for heard in later]
        assert {document["state"], *said} <= {"FAILED", "END"}
        unit.close()
    told(f"worker killed in {state} -> event heard", took)


def told_of_death(journal: Journal, state: str) -> list[Heard]:
    """Return the event of the worker's death in ``state``, and all that was said after it."""
    heard = journal.heard()
    at = [n for n, h in enumerate(heard) if h.kind == "event" and h.said["old"] == state]
    return heard[at[0] :] if at else []


def is_answered(unit: Program, journal: Journal) -> bool:
    """Tell whether the question for the status was answered, or nobody is left to do so."""
    answered = any(verdict.get("id") == "s" for verdict in journal.verdicts())
    return answered or unit.exit_code() is not None


def is_gone(unit: Program) -> bool:
    """Tell whether nothing of the unit lives."""
    return unit.leftovers() == []


def wait_for(moment: float) -> None:
    """Wait until the monotonic clock says ``moment``."""
    wait_until(lambda: time.monotonic() >= moment, 5, "the moment")


@pytest.mark.fault("W16")
def test_a_worker_that_dies_again_and_again_never_overlaps(broker: Broker, run: Run) -> None:
    """A crash loop: each run is gone before the next one begins; then FAILED, and 75."""
    policy = {"backoff_s": [0.01, 0.02], "budget": 20, "on_failed": "exit"}
    script = "for f in alive.*; do [ -e $f ] && touch overlap; done; touch alive.$$;"
    script += " (trap '' TERM; sleep 600) & sleep 0.01; rm alive.$$; exit 3"
    unit = run("", broker.url, worker={"command": ["sh", "-c", script], **policy})

    assert unit.wait_exit(30) == 75

    starts = [line for line in unit.log() if line["event"] == "worker.started"]
    assert len(starts) == 21
    assert not (unit.directory / "overlap").exists()
    assert unit.leftovers() == []
    assert unit.wait_state("FAILED")["reason"] == "exit code 3"


@pytest.mark.fault("G06")
def test_a_second_signal_at_any_moment_of_a_stop_leaves_nothing(
    rounds: int, broker: Broker, start: Start
) -> None:
    """The second comes anywhere between the first and the end: 0, END is told, nothing is left."""
    chance = random.Random(random.random())
    took = []
    for number in range(rounds):
        function = ("obedient", "deaf", "stubborn")[number % 3]
        worker = {"stop_timeout_s": 0.2, "kill_timeout_s": 0.2}
        if function == "stubborn":
            worker["ready"] = "notified"  # type: ignore[assignment]
        unit = start(f"tests.workers:{function}", broker.url, worker=worker)
        unit.wait_logged("link.up", link="sends")
        unit.wait_state("READY")
        first = time.monotonic()
        unit.signal(chance.choice([signal.SIGTERM, signal.SIGINT]))
        wait_for(first + chance.choice([0.01, 0.5]) * chance.random())
        unit.signal(chance.choice([signal.SIGTERM, signal.SIGINT]))

        assert unit.wait_exit(5) == 0
        took.append(time.monotonic() - first)
        assert unit.wait_state("END")
        assert unit.leftovers() == []
        unit.close()
    told("two signals -> all gone", took)


BROKERS = ("up", "down", "frozen", "half-open")
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.mark.fault("W20", "G07")
def test_every_signal_ends_it_in_time_whatever_the_broker_does(
    rounds: int, start: Start, tmp_path: Path
) -> None:
    """The exit code is 0 and everything is over in time, whatever the broker does."""
    from tests.conftest import BROKERS as KINDS

    took: dict[str, list[float]] = {state: [] for state in BROKERS}
    for number in range(rounds // 2):
        state = BROKERS[number % len(BROKERS)]
        function = "deaf" if number % 11 == 10 else "obedient"
        with Broker(KINDS["valkey"]) as broker, Proxy(broker.port) as proxy:
            unit = start(f"tests.workers:{function}", f"redis://127.0.0.1:{proxy.port}/0")
            unit.wait_logged("link.up", link="sends")
            unit.wait_logged("link.up", link="hears")
            unit.wait_state("READY")
            break_it(state, broker, proxy)

            unit.signal(SIGNALS[number // len(BROKERS) % len(SIGNALS)])
            began = time.monotonic()
            code = unit.wait_exit(STOP_S + 2)
            took[state].append(time.monotonic() - began)
            if state == "frozen":
                broker.thaw()
        assert code == 0
        assert took[state][-1] <= STOP_S, state
        assert unit.wait_state("END")
        assert unit.leftovers() == []
        unit.close()
    for state, seconds in took.items():
        told(f"signal, broker {state} -> all gone", seconds or [0.0])


def break_it(state: str, broker: Broker, proxy: Proxy) -> None:
    """Bring the broker into that state, as far as the unit can see."""
    if state == "down":
        proxy.cut()
        broker.kill()
    elif state == "frozen":
        broker.freeze()
    elif state == "half-open":
        proxy.swallow()
