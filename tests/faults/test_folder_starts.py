"""The start of a daemon of many units: names that are held, a slow broker, early signals."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.neighbours import program
from tests.tools import Broker, Program, wait_until

pytestmark = pytest.mark.timeout(120)


def named(*names: str) -> dict[str, dict[str, Any]]:
    """Return units of these names that sleep."""
    return {
        name: program("sleep", "1000", name=name, control={"channels": [name]}) for name in names
    }


@contextmanager
def hall(
    broker: Broker, directory: Path, *names: str, args: tuple[str, ...] = (), daemon: str = "hall"
) -> Iterator[Program]:
    """Run a daemon of units that sleep."""
    toml = {"redis": {"url": broker.url}, "daemon": {"name": daemon}}
    with Program(toml, directory=directory, units=named(*names), args=args) as program:
        yield program
        assert not program.logged("bug.caught")


def states(broker: Broker) -> dict[str, str]:
    """Return unit -> state, by their documents."""
    client: Any = broker.client()
    found = [json.loads(client.get(key) or b"{}") for key in client.keys("statusd:status:*")]
    return {document["name"]: document["state"] for document in found}


FORTY = tuple(f"u{number:02}" for number in range(40))


@pytest.mark.fault("K18")
def test_a_signal_while_names_are_taken_ends_it(broker: Broker, tmp_path: Path) -> None:
    """The broker is frozen, so it takes long; nothing is started, and nothing is kept as ended."""
    broker.freeze()
    with hall(broker, tmp_path, *FORTY) as daemon:
        locks = tmp_path / "state"
        wait_until(lambda: len([*locks.glob("*.lock")]) == 40, 10, "names taken on this machine")
        daemon.signal(signal.SIGTERM)

        assert daemon.wait_exit(15) == 0
        assert not daemon.logged("worker.started")
        assert not daemon.leftovers()
    broker.thaw()
    with hall(broker, tmp_path, *FORTY) as daemon:
        wait_until(lambda: states(broker) == dict.fromkeys(FORTY, "RUNNING"), 20, "all at work")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit(15) == 0


@pytest.mark.fault("K18", "K19")
def test_names_that_are_held_and_an_early_signal(broker: Broker, tmp_path: Path) -> None:
    """It leaves, and has taken nothing from who holds them; without a signal it says whose."""
    client: Any = broker.client()
    with ExitStack() as stack:
        holder = stack.enter_context(hall(broker, tmp_path / "one", *FORTY, daemon="one"))
        wait_until(lambda: states(broker) == dict.fromkeys(FORTY, "RUNNING"), 20, "all at work")
        broker.freeze()
        other = stack.enter_context(hall(broker, tmp_path / "other", *FORTY, "free"))
        locks = tmp_path / "other" / "state"
        wait_until(lambda: len([*locks.glob("*.lock")]) == 41, 10, "names taken on this machine")
        other.signal(signal.SIGTERM)
        broker.thaw()
        assert other.wait_exit(15) == 0
        assert not other.leftovers()

        third = stack.enter_context(hall(broker, tmp_path / "third", *FORTY, "free"))
        wait_until(lambda: states(broker).get("free") == "RUNNING", 20, "the free one at work")
        refused = [line for line in third.log() if line["event"] == "unit.not_started"]
        assert sorted(line["unit"] for line in refused) == sorted(FORTY)
        third.signal(signal.SIGTERM)
        assert third.wait_exit(15) == 78
        assert len([*holder.descendants()]) >= 40
        assert {states(broker)[name] for name in FORTY} == {"RUNNING"}
        for name in FORTY:  # nobody has said anything in its name, or given it up
            history: Any = client.xrange(f"statusd:history:{{{name}}}")
            boots = {json.loads(fields[b"event"])["boot"] for _, fields in history}
            assert boots == {json.loads(client.get(f"statusd:owner:{{{name}}}"))["boot"]}


@pytest.mark.fault("K19")
def test_a_folder_takes_the_place_of_another(broker: Broker, tmp_path: Path) -> None:
    """With --replace: the other's units end, and nobody is there twice."""
    with ExitStack() as stack:
        old = stack.enter_context(hall(broker, tmp_path / "old", *FORTY, daemon="old"))
        wait_until(lambda: states(broker) == dict.fromkeys(FORTY, "RUNNING"), 20, "all at work")
        new = stack.enter_context(hall(broker, tmp_path / "new", *FORTY, args=("--replace",)))
        client: Any = broker.client()

        def are_its() -> bool:
            owners = [
                json.loads(client.get(key) or b"{}") for key in client.keys("statusd:owner:*")
            ]
            return [owner.get("pid") for owner in owners] == [new.pid] * 40

        wait_until(are_its, 30, "all names to be the new one's")
        wait_until(lambda: states(broker) == dict.fromkeys(FORTY, "RUNNING"), 20, "all at work")
        for name in FORTY:
            assert old.logged("state.changed", unit=name, new="END")
        old.signal(signal.SIGTERM)
        assert old.wait_exit(15) == 0
        new.signal(signal.SIGTERM)
        assert new.wait_exit(15) == 0
