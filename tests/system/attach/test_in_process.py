"""`statusd.attach`: in this very process."""

from __future__ import annotations

import enum
import os
import pickle
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import statusd
from statusd.worker.board import STATE_BYTE
from tests.system.attach.programs import document, last_reason, way
from tests.tools import (
    Broker,
    Journal,
    Process,
    available_brokers,
    environment,
    free_port,
    processes_with_marker,
    wait_until,
)
from tests.tools.processes import MARKER


@pytest.fixture
def attach(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Attach the process of the tests to ``broker``; it is detached at the end."""
    for key, value in environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:

        def attached(**more: Any) -> Any:
            worker = statusd.attach(
                **({"channels": "mychannel", "url": broker.url, "name": "scan"} | more)
            )
            stack.callback(worker.detach)
            return worker

        yield attached


class Status(enum.IntEnum):
    """The states of a hand-written listener, INIT being 0."""

    INIT = 0
    READY = 1
    RUNNING = 2
    PAUSED = 3
    END = 4


def publish(broker: Broker, word: bytes | str) -> int:
    """Publish a word, and return how many heard it."""
    return int(broker.client().publish("mychannel", word))


def test_it_is_subscribed_and_ready_when_it_returns(attach: Any, broker: Broker) -> None:
    """The very first word is heard, as by the listener that waited for its confirmation."""
    worker = attach()

    assert (worker.state, worker.connected) == ("READY", True)
    assert publish(broker, "start") == 1
    assert worker.wait(10) == "RUNNING"


def test_bytes_are_words(attach: Any, broker: Broker, journal: Journal) -> None:
    """As they come out of a listener: any case, blanks, a newline; nonsense changes nothing."""
    worker = attach(goal="RUNNING")
    assert worker.wait(10) == "RUNNING"

    def judged(word: bytes) -> tuple[str, str]:
        """Publish a word, and return the final verdict on it and the state at that time."""
        before = len(journal.finals())
        publish(broker, word)
        wait_until(lambda: worker.ack() and len(journal.finals()) > before, 10, f"{word!r} judged")
        return journal.finals()[before]["verdict"], worker.state

    assert judged(b"PAUSE\n") == ("done", "PAUSED")
    assert judged(b"\xff\x00") == ("invalid", "PAUSED")
    assert judged(b" Resume ") == ("done", "RUNNING")
    assert way(journal) == "READY RUNNING PAUSED RUNNING"


def test_end_stops_the_loop_and_leaving_joins(attach: Any, broker: Broker) -> None:
    """As `process.join()`: behind the block nothing of the daemon is left, not even a zombie."""
    steps = []
    with attach(goal="RUNNING") as worker:
        pid = worker._child.pid
        for step in worker.while_running():
            steps.append(step)
            if step == 3:
                publish(broker, "END")
            worker.wait(0.01)

    assert worker.state == "END"
    assert steps[:4] == [0, 1, 2, 3]
    assert Process.of(pid) is None
    worker.detach()
    assert (worker.ack(), worker.wait(0.01), worker.wait()) == ("END", "END", "END")
    assert list(worker.while_running()) == []
    assert not worker.trigger("start")


def test_the_state_is_a_member_of_the_users_enum(attach: Any, broker: Broker) -> None:
    """With the built-in lifecycle, if its names are the built-in ones; ENDING is END to it."""
    worker = attach(lifecycle=Status, goal=Status.RUNNING)

    assert worker.wait(10) is Status.RUNNING
    assert worker.states is Status
    publish(broker, "end")
    assert worker.wait(10) is Status.END


def test_a_lifecycle_of_ones_own_is_obeyed(attach: Any, broker: Broker) -> None:
    """States of an Enum, transitions as in the settings; the worker may fire one itself."""

    class Scan(enum.Enum):
        INIT = "INIT"
        IDLE = "IDLE"
        ACQUIRING = "ACQUIRING"
        END = "END"

    states = [Scan.INIT, Scan.IDLE, {"name": Scan.ACQUIRING, "worker": "works"}, Scan.END]
    transitions = [
        {"trigger": "ready", "source": Scan.INIT, "dest": Scan.IDLE},
        {"trigger": "acquire", "source": Scan.IDLE, "dest": Scan.ACQUIRING},
        ("halt", Scan.ACQUIRING, Scan.IDLE),
        ("end", "*", Scan.END),
    ]
    worker: Any = attach(lifecycle=states, transitions=transitions)
    assert worker.state == Scan.IDLE

    publish(broker, "acquire")
    for step in worker.while_running():
        assert worker.state == Scan.ACQUIRING
        if step == 2:
            worker.trigger("halt")
            wait_until(lambda: worker.state == Scan.IDLE, 10, "IDLE")
            publish(broker, "end")

    assert worker.state == Scan.END


def test_a_file_says_the_rest(attach: Any, broker: Broker, tmp_path: Path) -> None:
    """What is said to `attach` wins over the environment, and that over the file."""
    file = tmp_path / "scan.toml"
    file.write_text('name = "elsewhere"\ngoal = "RUNNING"\n[control]\nchannels = ["lab.*"]\n')

    worker = attach(config=file, channels=())

    assert worker.wait(10) == "RUNNING"
    assert broker.client().publish("lab.42", "pause") == 1
    assert worker.wait(10) == "PAUSED"
    wait_until(lambda: document(broker).get("state") == "PAUSED", 10, "its document")
    assert document(broker)["channels"] == ["lab.*"]


def test_args_and_progress_go_both_ways(attach: Any, broker: Broker) -> None:
    """As for a function."""
    worker = attach()

    publish(broker, '{"command": "start", "args": {"run": 1234}}')
    assert worker.wait(10) == "RUNNING"
    worker.progress(3, 10, "exposing")

    assert worker.args == {"run": 1234}
    publish(broker, '{"command": "pause", "args": {"run": 1235}}')
    assert worker.wait(10) == "PAUSED"
    assert worker.args == {"run": 1235}
    shown = lambda: document(broker).get("text") == "exposing"  # noqa: E731
    wait_until(shown, 10, "the text")
    assert document(broker)["worker"]["pid"] == os.getpid()


def test_a_loop_over_items_is_told_and_steered(attach: Any, broker: Broker) -> None:
    """`track`, as for a function: END ends it in the middle."""
    worker = attach(goal="RUNNING")
    images = []

    for image in worker.track(range(1000), "exposing", unit="images"):
        images.append(image)
        if image == 2:
            publish(broker, "pause")
            wait_until(lambda: worker.state == "PAUSED", 10, "the pause")
            publish(broker, "resume")
            wait_until(lambda: worker.state == "RUNNING", 10, "the work")
        if image == 5:
            publish(broker, "end")
            wait_until(lambda: worker.state == "ENDING", 10, "the end")

    assert images == [0, 1, 2, 3, 4, 5]
    worker.detach()
    told = document(broker)["progress"]
    assert (told["step"], told["total"], told["unit"]) == (6, 1000, "images")


MISTAKES: dict[str, dict[str, Any]] = {
    "channels: ": {"channels": ["two words"]},
    "url: ": {"url": "http://127.0.0.1"},
    "name: ": {"name": "a name"},
    "RUNING: it can't be taken up": {"goal": "RUNING"},
    "starts nothing and kills nothing": {"config": "run.toml"},
    "memory_max: attach() kills nothing: with": {"memory_max": "1GiB"},
    "nowhere.toml: No such file": {"config": "nowhere.toml"},
    "must lead out of INIT": {"lifecycle": ["INIT", "A", "END"]},
    "/nowhere/python: No such file": {"python": "/nowhere/python"},
    "ended by itself": {"python": "false"},
    'write "module:name"': {"lifecycle": ["INIT", "END"], "transitions": [print]},
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_an_error_and_nothing_is_left(text: str, attach: Any, tmp_path: Path) -> None:
    """In the words of the argument, with the cure; no descriptor and no process stays."""
    (tmp_path / "run.toml").write_text('[worker]\nfunction = "job:main"\n')
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(statusd.AttachError, match=re.escape(text)):
        attach(**MISTAKES[text])

    assert len(os.listdir("/proc/self/fd")) == before
    assert processes_with_marker(os.environ[MARKER]) == []


def test_a_secret_shows_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the daemon's command line nor its environment has the password."""
    for key, value in environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    conf = {"requirepass": "s3cret-word"}
    with (
        Broker(available_brokers()["valkey"], conf=conf) as broker,
        statusd.attach(url=broker.url.replace("//", "//:s3cret-word@"), name="scan"),
    ):
        (daemon,) = processes_with_marker(os.environ[MARKER])
        seen = [Path(f"/proc/{daemon}/{file}").read_bytes() for file in ("cmdline", "environ")]
        wait_until(lambda: document(broker).get("state") == "READY", 10, "a document")

    assert b"attached.py" in seen[0]
    assert not any(b"s3cret-word" in text for text in seen)


def test_a_broker_that_is_away_keeps_nobody_waiting(attach: Any) -> None:
    """It returns, READY; the daemon goes on trying, and says so on standard error."""
    worker = attach(url=f"redis://127.0.0.1:{free_port()}/0")

    assert (worker.state, worker.connected) == ("READY", True)


def goal(directory: Path) -> bool:
    """Tell whether a goal has come to the disk."""
    file = directory / "state" / "scan.json"
    return file.exists() and '"goal": "RUNNING"' in file.read_text()


def test_a_dead_daemon_is_replaced(
    attach: Any, broker: Broker, journal: Journal, tmp_path: Path
) -> None:
    """The state keeps its value meanwhile; one warning; the goal is taken up again."""
    worker = attach()
    publish(broker, "start")
    assert worker.wait(10) == "RUNNING"
    wait_until(lambda: way(journal) == "READY RUNNING" and goal(tmp_path), 10, "it to be known")
    dead = worker._child

    os.kill(dead.pid, signal.SIGKILL)
    wait_until(lambda: not worker.connected, 10, "it to be noticed")
    assert (
        worker._members[worker._bytes[STATE_BYTE]] == "RUNNING"
    )  # nobody has looked, hence no new one
    with pytest.warns(RuntimeWarning, match="has died; it is started again") as warned:
        wait_until(lambda: worker.state and worker.connected, 10, "another one")

    wait_until(lambda: way(journal) == "READY RUNNING READY RUNNING", 10, "RUNNING again")
    wait_until(lambda: worker.ack() == "RUNNING", 10, "the program to see it")
    assert len(warned) == 1
    assert Process.of(dead.pid) is None
    wait_until(lambda: publish(broker, "pause"), 10, "it to hear")
    wait_until(lambda: worker.wait(0.05) == "PAUSED", 10, "PAUSED")


def test_a_daemon_that_dies_too_often_is_given_up(attach: Any, broker: Broker) -> None:
    """Three times it is started again; then work goes on as it is, without anybody to steer it."""
    worker = attach(goal="RUNNING")
    assert worker.wait(10) == "RUNNING"
    with pytest.warns(RuntimeWarning) as warned:
        kill_every_daemon(worker)

    assert (worker.state, worker.connected) == ("RUNNING", False)
    assert [str(w.message).rpartition("; ")[2] for w in warned] == [
        "it is started again",
        "nobody steers this program any more",
    ]
    assert next(worker.while_running()) == 0
    assert worker.wait(0.01) == "RUNNING"
    assert worker.wait() == "ENDING"  # nobody could end this wait


def kill_every_daemon(worker: Any) -> None:
    """Kill its daemon, and each that takes the place of that."""
    while worker._child is not None:
        dead = worker._child
        os.kill(dead.pid, signal.SIGKILL)
        wait_until(lambda d=dead: worker.state and worker._child is not d, 10, "the next one")  # type: ignore[misc]  # mypy can't infer lambdas with defaults


def test_a_blocked_program_notices_its_daemons_death(
    attach: Any, broker: Broker, journal: Journal
) -> None:
    """In READY, without a limit: another daemon is started, and its word is obeyed."""
    worker = attach()
    killed = threading.Timer(0.2, os.kill, (worker._child.pid, signal.SIGKILL))
    killed.start()

    def start_it() -> None:
        wait_until(lambda: way(journal) == "READY READY", 10, "the second daemon")
        wait_until(lambda: publish(broker, "start"), 10, "it to hear")

    starting = threading.Thread(target=start_it)
    starting.start()
    with pytest.warns(RuntimeWarning, match="started again"):
        assert next(worker.while_running()) == 0
    killed.join()
    starting.join()


def test_an_end_survives_the_daemon(attach: Any, broker: Broker, journal: Journal) -> None:
    """A program that is slow to leave isn't told to stay by the next daemon."""
    worker = attach(goal="RUNNING")
    publish(broker, "end")
    wait_until(lambda: worker.state == "ENDING", 10, "ENDING")
    os.kill(worker._child.pid, signal.SIGKILL)
    wait_until(lambda: not worker.connected, 10, "its death")

    with pytest.warns(RuntimeWarning, match="started again"):
        wait_until(lambda: worker.state and worker.connected, 10, "another one")
    wait_until(lambda: "it was ending when" in str(journal.events()[-1]), 10, "it to know")
    assert list(worker.while_running()) == []

    worker.detach()
    assert last_reason(journal) == "the program has detached"


def test_the_goal_of_the_program_is_the_newest(attach: Any, broker: Broker) -> None:
    """What was commanded last is taken up if the program doesn't say what it wants."""
    worker = attach()
    publish(broker, "start")
    assert worker.wait(10) == "RUNNING"
    publish(broker, "pause")
    assert worker.wait(10) == "PAUSED"
    worker.detach()

    again = attach()
    wait_until(lambda: again.wait(0.05) == "PAUSED", 10, "the old goal")
    assert repr(again) == "<statusd scan: PAUSED>"
    again.detach()

    assert attach(goal="RUNNING").wait(10) == "RUNNING"


def test_a_cell_that_is_run_again_replaces_its_worker(attach: Any, journal: Journal) -> None:
    """With `replace=True`; the first one is at its end, and the second goes on."""
    first = attach(replace=True)

    second = attach(replace=True)

    assert (first.state, first.connected) == ("END", False)
    assert (second.state, second.connected) == ("READY", True)
    wait_until(lambda: way(journal) == "READY ENDING END READY", 10, "all of it")


@pytest.mark.fault("J04")
def test_a_pickled_worker_is_a_spectator(attach: Any, journal: Journal) -> None:
    """It sees the state, and says nothing."""
    worker = attach()

    watcher = pickle.loads(pickle.dumps(worker))

    assert (watcher.state, watcher.connected) == ("READY", True)
    assert not watcher.trigger("end")
    worker.detach()
    assert watcher.state == "END"
