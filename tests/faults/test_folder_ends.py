"""The end of a daemon of forty units in every state, some deaf, with grandchildren.

However it ends, and whatever its broker does meanwhile: nothing of them outlives it, and what is
kept of them is whole.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.neighbours import function, program
from tests.tools import Broker, Program, wait_until
from tests.tools.variants import some

pytestmark = pytest.mark.timeout(180)

STOP_S, KILL_S = 1.0, 0.5
"""How patient the units are, after a signal to the daemon."""
LAST_WORDS_S = 4.0
"""So long a daemon may take at most to say and keep what is left (`session.DRAIN_S`, the disk)."""
SLOW_S = 5.0
"""So much longer a busy machine may need."""
NEVER_S = 600.0

DEAF = "trap '' TERM INT HUP; while :; do sleep 1000; done"
PARENT = "(setsid sleep 1000 &) ; sleep 1000 & wait"
shell = partial(program, "sh", "-c")


def units(stop_s: float) -> dict[str, dict[str, Any]]:
    """Return forty; ``stop_s`` is how patient they are with their workers."""
    patience = {
        "stop_timeout_s": NEVER_S,
        "signal_stop_timeout_s": stop_s,
        "kill_timeout_s": KILL_S,
    }
    stopping = {"signals": {"PAUSED": "SIGSTOP", "RUNNING": "SIGCONT"}}
    crashing = {"restart": "always", "backoff_s": [NEVER_S, NEVER_S]}
    found = {
        "ready": function("tests.workers:with_children"),
        "working": function("tests.workers:many_children", goal="RUNNING"),
        "failed": program("false", worker={"budget": 0}),
        "given-up": program("false", worker={"budget": 0, "on_failed": "exit"}),
        "backoff": program("false", worker=crashing),
        "unready": shell(DEAF, worker={"ready": "notified", "ready_timeout_s": NEVER_S}),
        "ending": shell(DEAF),
        "ended": shell("sleep 1000"),
        **{f"paused-{n}": shell(PARENT, worker=stopping) for n in range(3)},
        **{f"deaf-{n}": shell(DEAF) for n in range(5)},
        **{f"parent-{n}": shell(PARENT) for n in range(5)},
        **{f"running-{n}": program("sleep", "1000") for n in range(19)},
    }
    for name, unit in found.items():
        unit.update(name=name, control={"channels": [name]})
        unit["worker"] = {**patience, **unit["worker"]}
    return found


@contextmanager
def forty(broker: Broker, directory: Path, stop_s: float = STOP_S) -> Iterator[Program]:
    """Run a daemon of forty units, and bring each into its state."""
    toml = {"redis": {"url": broker.url}, "daemon": {"name": "hall"}}
    chosen = units(stop_s)
    assert len(chosen) == 40
    client = broker.client()

    def state(name: str) -> str:
        told = client.get(f"statusd:status:{{{name}}}")
        return str(json.loads(told)["state"]) if told else ""

    def wait(states: dict[str, str]) -> None:
        for name, wanted in states.items():
            is_so = partial(lambda n, w: state(n) == w, name, wanted)
            wait_until(is_so, 30, f"{name} to be {wanted}")

    with Program(toml, directory=directory, units=chosen) as daemon:
        special = {"ready": "READY", "failed": "FAILED", "given-up": "FAILED"}
        special |= {"backoff": "BACKOFF", "unready": "INIT"}
        paused = [name for name in chosen if name.startswith("paused")]
        wait({**dict.fromkeys(chosen, "RUNNING"), **special})
        for name in paused:
            client.publish(name, "pause")
        client.publish("ending", "end")
        client.publish("ended", "end")
        wait({**dict.fromkeys(paused, "PAUSED"), "ending": "ENDING", "ended": "END"})
        yield daemon
        assert not daemon.logged("bug.caught")


def assert_nothing_left(daemon: Program) -> None:
    """Assert that nothing of it lives, and that what is kept of its units is whole."""
    wait_until(lambda: not daemon.leftovers(), 2 + SLOW_S, "nothing of it to live")
    files = [*(daemon.directory / "state").glob("*.json")]
    assert len(files) == 40
    for file in files:
        assert json.loads(file.read_bytes())


@pytest.mark.fault("K13", "K14")
@pytest.mark.parametrize("state", some(["frozen", "up", "down"], 2))
def test_all_are_gone_within_one_deadline(state: str, broker: Broker, tmp_path: Path) -> None:
    """With the worst of their exit codes; with a broker that is there no name is left taken."""
    with forty(broker, tmp_path) as daemon:
        if state == "frozen":
            broker.freeze()
        elif state == "down":
            broker.kill()
        daemon.signal(signal.SIGTERM)
        code = daemon.wait_exit(STOP_S + KILL_S + LAST_WORDS_S + SLOW_S)

        assert code == 75
        assert_nothing_left(daemon)
        if state == "up":
            client: Any = broker.client()
            assert client.keys("statusd:owner:*") == []
            left = [json.loads(entry)["left"] for entry in client.hvals("statusd:roster")]
            assert left == [True] * 40
        kept = json.loads((tmp_path / "state" / "ended.json").read_bytes())
        assert kept["ended"]
        kept = json.loads((tmp_path / "state" / "running-0.json").read_bytes())
        assert not kept.get("ended")


@pytest.mark.fault("K15")
def test_the_second_signal_kills_all_at_once(broker: Broker, tmp_path: Path) -> None:
    """However patient each of them is."""
    with forty(broker, tmp_path, NEVER_S) as daemon:
        daemon.signal(signal.SIGTERM)
        daemon.wait_logged("state.changed", unit="deaf-0", new="ENDING")
        daemon.signal(signal.SIGHUP)
        daemon.signal(signal.SIGTERM)

        assert daemon.wait_exit(LAST_WORDS_S + SLOW_S) == 75
        assert_nothing_left(daemon)


@pytest.mark.fault("K15", "K16")
@pytest.mark.parametrize("how", some(["third", "killed"], 2))
def test_nothing_outlives_a_daemon_that_leaves_at_once(
    how: str, broker: Broker, tmp_path: Path
) -> None:
    """By the third signal, with 128 and its number; or killed, and then the guard kills all."""
    with forty(broker, tmp_path, NEVER_S) as daemon:
        for number in range(5):
            daemon.wait_logged("worker.left_group", unit=f"parent-{number}")
        if how == "third":
            broker.freeze()  # or the second one would be enough
            for number in range(3):
                daemon.signal(signal.SIGTERM)
                wait_until(partial(_has_heard, daemon, number + 1), 10, "a signal to be heard")
            assert daemon.wait_exit(SLOW_S) == 128 + signal.SIGTERM
        else:
            os.kill(daemon.pid, signal.SIGKILL)
            assert daemon.wait_exit() == -signal.SIGKILL
        assert_nothing_left(daemon)


def _has_heard(daemon: Program, count: int) -> bool:
    told = [line for line in daemon.log() if line["event"] == "signal.received"]
    return len(told) == count
