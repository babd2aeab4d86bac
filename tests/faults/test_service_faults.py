"""What the service manager is told: ready when it is, the truth meanwhile, and not too often."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BROKERS, settings
from tests.tools import Broker, Program, free_port, to_toml, wait_until
from tests.tools.notify import NotifySocket
from tests.tools.program import environment

OUTAGE_S = 5.0
"""How long the broker is away here; longer with more rounds."""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    """A service manager that listens."""
    with NotifySocket(str(tmp_path / "notify"), live=True) as made:
        yield made


def start(manager: NotifySocket, directory: Path, url: str, **more: Any) -> Program:
    """Start a unit as a service; ``watchdog_s`` is the time of its watchdog, 0: none."""
    watchdog_s = more.pop("watchdog_s", 0)
    toml = settings(more.pop("function", "tests.workers:obedient"), url, **more)
    env = {"NOTIFY_SOCKET": manager.address}
    if watchdog_s:
        env["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
    return Program(toml, directory=directory / "unit", env=env)


def fed(manager: NotifySocket) -> list[float]:
    """Return when the watchdog was fed."""
    return [note.at for note in manager.notes() if "WATCHDOG" in note.fields]


@pytest.mark.fault("G12")
def test_ready_is_said_when_it_hears(manager: NotifySocket, broker: Broker, tmp_path: Path) -> None:
    """What is sent at that moment is obeyed."""
    with start(manager, tmp_path, broker.url) as unit:
        client = broker.client()

        wait_until(lambda: manager.has_heard("READY=1"), 15, "READY")
        receivers = client.publish("mychannel", "start")

        assert receivers == 1
        unit.wait_state("RUNNING")


@pytest.mark.fault("G12", "N17")
def test_ready_is_said_without_a_broker_with_the_trouble(
    manager: NotifySocket, tmp_path: Path
) -> None:
    """The work has begun; STATUS tells why nobody can command it, and then that somebody can."""
    port = free_port()
    with start(manager, tmp_path, f"redis://127.0.0.1:{port}/0") as unit:
        wait_until(lambda: manager.has_heard("READY=1"), 15, "READY")
        assert manager.has_heard("STATUS=READY; link DOWN: ")

        with Broker(BROKERS["valkey"], port=port):
            unit.wait_logged("link.up", link="hears")
            wait_until(lambda: manager.status() == "READY; link LISTENING", 15, "the good news")


@pytest.mark.fault("G12")
def test_a_unit_that_fails_again_and_again_holds_up_no_other(
    manager: NotifySocket, broker: Broker, tmp_path: Path
) -> None:
    """Of many in one daemon: READY comes when it has failed once, not when it is given up."""
    failing = {"command": ["false"], "backoff_s": [60, 60], "budget": 100}
    units = {
        "a": {"name": "a", "worker": {"function": "tests.workers:obedient"}},
        "b": {"name": "b", "worker": failing},
    }
    toml = {"redis": {"url": broker.url}, "daemon": {"name": "hall"}}
    env = {"NOTIFY_SOCKET": manager.address}
    with Program(toml, directory=tmp_path / "unit", units=units, env=env):
        wait_until(lambda: manager.has_heard("READY=1"), 15, "READY")

        said = [note.fields.get("STATUS", "") for note in manager.notes()]
        assert any("b: BACKOFF" in status for status in said)


@pytest.mark.fault("G11")
def test_an_outage_restarts_nothing(
    manager: NotifySocket, broker: Broker, tmp_path: Path, rounds: int
) -> None:
    """The same daemon and the same worker before and after; few log lines and notes meanwhile."""
    outage_s = OUTAGE_S if rounds < 100 else 60.0
    with start(manager, tmp_path, broker.url) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")
        worker, notes, lines = unit.worker_pid(), len(manager.notes()), len(unit.log())

        broker.kill()
        wait_until(lambda: manager.has_heard("; link DOWN: "), 15, "the trouble in STATUS")
        until = time.monotonic() + outage_s
        wait_until(lambda: time.monotonic() > until, outage_s + 5, "the outage to be over")
        broker.start()
        wait_until(lambda: manager.status() == "READY; link LISTENING", 15, "the good news")

        assert len(unit.log()) - lines <= 6 + 2 * outage_s / 10
        assert len(manager.notes()) - notes <= 10 + 2 * outage_s
        wait_until(lambda: broker.client().publish("mychannel", "start"), 15, "it to listen")
        unit.wait_state("RUNNING")
        assert unit.exit_code() is None
        assert unit.worker_pid() == worker


@pytest.mark.fault("G13")
def test_only_news_is_said(manager: NotifySocket, broker: Broker, tmp_path: Path) -> None:
    """A transition is; ten thousand words that change nothing, and junk, are not."""
    with start(manager, tmp_path, broker.url) as unit:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")
        pipe = broker.client().pipeline(transaction=False)
        before = len(manager.notes())

        for _ in range(5_000):
            pipe.publish("mychannel", "resume")
            pipe.publish("mychannel", "nonsense")
        pipe.publish("mychannel", "start")
        pipe.execute()
        unit.wait_state("RUNNING")
        wait_until(lambda: manager.has_heard("STATUS=RUNNING"), 15, "the state")

        assert len(manager.notes()) - before <= 2


@pytest.mark.fault("G13", "G12")
def test_there_are_at_most_two_notes_a_second(
    manager: NotifySocket, broker: Broker, tmp_path: Path
) -> None:
    """While states flap, settings are reloaded and the unit stops; what counts is told."""
    with start(manager, tmp_path, broker.url, watchdog_s=1) as unit:
        unit.wait_logged("link.up", link="hears")
        client = broker.client()
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            for word in ("start", "pause", "resume", "stop"):
                client.publish("mychannel", word)
            unit.signal(signal.SIGHUP)
            time.sleep(0.02)
        unit.wait_logged("reload.done")
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit(15) == 0

    notes = manager.notes()
    stages = [key for note in notes for key in note.fields if key in ("READY", "STOPPING")]
    # Over all of it: who hears them late, for want of a processor, hears them close together.
    assert len(notes) <= 2 * (notes[-1].at - notes[0].at + 1)
    assert (stages[0], "STOPPING" in stages[1:]) == ("READY", True)
    assert any("RELOADING" in note.fields for note in notes)
    assert all(len({"RELOADING", "READY", "STOPPING"} & {*note.fields}) < 2 for note in notes)


@pytest.mark.fault("G11", "G09")
def test_no_broker_of_any_kind_makes_the_watchdog_bite(
    manager: NotifySocket, broker: Broker, tmp_path: Path
) -> None:
    """Well, frozen, away: the loop turns, and that is what is fed."""
    watchdog_s = 2.0
    with start(manager, tmp_path, broker.url, watchdog_s=watchdog_s) as unit:
        unit.wait_logged("link.up", link="hears")
        began = time.monotonic()

        broker.freeze()
        unit.wait_logged("link.lost", link="hears", timeout_s=20)
        broker.thaw()
        broker.kill()
        wait_until(lambda: time.monotonic() - began > 7.5, 15, "some time without a broker")

        times = [began, *(at for at in fed(manager) if at > began), time.monotonic()]
        assert max(late - early for early, late in itertools.pairwise(times)) < watchdog_s
        assert unit.exit_code() is None


@pytest.mark.fault("G09")
@pytest.mark.parametrize("part", ["hearing link", "inbox", "supervisor", "loop"])
def test_whatever_stands_still_starves_the_watchdog(
    part: str, manager: NotifySocket, tmp_path: Path
) -> None:
    """And is named, if there is anybody left to do so; it is the work that counts, not a timer."""
    directory = tmp_path / "unit"
    directory.mkdir()
    file = directory / "statusd.toml"
    url = f"redis://127.0.0.1:{free_port()}/0"
    file.write_text(to_toml(settings("tests.workers:obedient", url)), encoding="utf-8")
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1200000"}
    with (directory / "log").open("wb") as log:
        unit = subprocess.Popen(
            [sys.executable, "-m", "tests.frozen", part, str(file)],
            env=environment(directory) | env,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: len(fed(manager)) > 2, 15, "it to be fed")

        unit.send_signal(signal.SIGWINCH)

        def is_starved() -> bool:
            told = (directory / "log").read_text(encoding="utf-8")
            is_named = f'"{part}"' in told or part == "loop"
            return is_named and time.monotonic() - fed(manager)[-1] > 2.5

        wait_until(is_starved, 20, "nobody to feed it, and its name in the log")
    finally:
        unit.kill()
        unit.wait(5)


@pytest.mark.fault("G08")
def test_a_long_grace_is_asked_for(manager: NotifySocket, broker: Broker, tmp_path: Path) -> None:
    """As long as the worker may still end by itself, and the loop turns."""
    with start(
        manager, tmp_path, broker.url, function="tests.workers:deaf", worker={"stop_timeout_s": 600}
    ) as unit:
        wait_until(lambda: manager.has_heard("READY=1"), 15, "READY")

        unit.signal(signal.SIGTERM)

        def extended() -> int:
            notes = manager.texts()
            first = next((n for n, note in enumerate(notes) if "STOPPING=1" in note), len(notes))
            return sum("EXTEND_TIMEOUT_USEC=20000000" in note for note in notes[first:])

        wait_until(lambda: extended() > 1, 20, "more time to be asked for again")
        assert manager.status().startswith("ENDING")


@pytest.mark.fault("G12")
def test_a_long_start_is_asked_for(manager: NotifySocket, broker: Broker, tmp_path: Path) -> None:
    """A worker that takes its time to be ready is no start that has failed."""
    with start(
        manager,
        tmp_path,
        broker.url,
        function="tests.workers:never_ready",
        worker={"ready": "notified", "ready_timeout_s": 600},
    ) as unit:
        unit.wait_logged("link.up", link="hears")
        wait_until(lambda: manager.has_heard("EXTEND_TIMEOUT_USEC="), 20, "more time")

        wait_until(lambda: manager.status() == "INIT; link LISTENING", 15, "the truth in STATUS")
        assert not manager.has_heard("READY=1")
