"""`statusd.attach`: real programs that stay the main process, in every setting and to every end."""

from __future__ import annotations

import enum
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import statusd
from statusd.worker.board import STATE_BYTE
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
from tests.tools.processes import MARKER, dying_with_us


class Parent:
    """A program of `tests.parents`, with what it prints, and its daemon."""

    def __init__(self, name: str, url: str, directory: Path) -> None:
        self._file = directory / f"{name}.out"
        variables = environment(directory)
        self.marker = variables[MARKER]
        with self._file.open("wb") as out:
            self.process = subprocess.Popen(
                dying_with_us([sys.executable, "-m", "tests.parents", name, url]),
                cwd=directory,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def said(self) -> str:
        """Return all that it printed, and its daemon."""
        return self._file.read_text(encoding="utf-8", errors="replace")

    def wait_said(self, text: str) -> None:
        """Wait until it has printed ``text``."""
        wait_until(lambda: text in self.said() or self._ended(text), 20, f"{text!r}")

    def _ended(self, text: str) -> bool:
        if self.process.poll() is not None and text not in self.said():
            raise AssertionError(f"ended without {text!r}; it said:\n{self.said()}")
        return False

    def daemons(self) -> list[Process]:
        """Return the living daemons of it."""
        found = map(Process.of, processes_with_marker(self.marker))
        return [p for p in found if p is not None and b"attached.py" in _command_line(p.pid)]

    def wait_exit(self, timeout_s: float = 45) -> int:
        """Return its exit code, once it has ended, and nothing of it is left 2 s later."""
        code = self.process.wait(timeout_s)
        wait_until(lambda: not self.daemons(), 4, f"the daemon to be gone; {self.said()}")
        return code

    def close(self) -> None:
        """Kill what is left."""
        self.process.kill()
        self.process.wait()
        for daemon in self.daemons():
            daemon.kill()


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


Start = Callable[[str], Parent]


@pytest.fixture
def start(broker: Broker, tmp_path: Path) -> Iterator[Start]:
    """Start a program of `tests.parents` that is attached to ``broker``."""
    with ExitStack() as stack:

        def started(name: str) -> Parent:
            parent = Parent(name, broker.url, tmp_path)
            stack.callback(parent.close)
            return parent

        yield started


def way(journal: Journal) -> str:
    """Return the states that were come to, in order."""
    return " ".join(event["new"] for event in journal.events())


def last_reason(journal: Journal) -> str:
    """Return the cause in the last event, once that tells of END."""
    wait_until(lambda: way(journal).endswith(" END"), 10, f"END in {journal.events()}")
    return str(journal.events()[-1].get("reason", ""))


# ---- in every setting ----------------------------------------------------------------------------

SETTINGS = [
    *("looping", "polling", "threaded", "spawned", "in_asyncio", "notebook"),
    *("forking", "forked_pool", "dropping", "in_threads", "weird"),
]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_program_is_ended_by_a_word(
    name: str, start: Start, broker: Broker, journal: Journal
) -> None:
    """Attached, it hears at once: END is accepted, obeyed and done, and the program goes on."""
    parent = start(name)
    parent.wait_said("attached")
    seen = len(journal.events())

    broker.client().publish("mychannel", "END")

    assert parent.wait_exit() == 0, parent.said()
    told = [(verdict["command"], verdict["verdict"]) for verdict in journal.verdicts()]
    assert told == [("END", "accepted"), ("END", "done")]
    assert [event["new"] for event in journal.events()[seen:]][-2:] == ["ENDING", "END"]
    assert "Traceback" not in parent.said() or name == "forking"


def test_a_forked_child_looks_and_changes_nothing(
    start: Start, broker: Broker, journal: Journal
) -> None:
    """Whatever way it goes: detached, raised, exited, it is the parent's unit."""
    parent = start("forking")

    parent.wait_said("attached State.RUNNING True")

    assert "child State.RUNNING True" in parent.said()
    assert way(journal) == "READY RUNNING"
    broker.client().publish("mychannel", "pause")
    wait_until(lambda: "PAUSED" in way(journal), 10, "PAUSED")
    broker.client().publish("mychannel", "end")
    assert parent.wait_exit() == 0
    assert "left State.END" in parent.said()


def test_a_pool_of_processes_works_in_the_block(start: Start, broker: Broker) -> None:
    """By fork and by spawn."""
    parent = start("forked_pool")

    parent.wait_said("attached")

    assert "fork [1, 2]\nspawn [1, 2]\n" in parent.said()


def test_a_second_attach_says_what_is_wrong(start: Start) -> None:
    """A notebook's cell that is run twice: the name is taken, and the first goes on."""
    parent = start("notebook")

    parent.wait_said("twice:")

    assert re.search(r"twice: a unit named 'scan' runs here already \(pid \d+\)", parent.said())
    assert "it is yours: worker.detach()" in parent.said()
    assert len(parent.daemons()) == 1


def test_a_repl_is_attached(broker: Broker, journal: Journal, tmp_path: Path) -> None:
    """Line for line, with `detach`; an error in between is not its failure."""
    lines = [
        "import statusd",
        f"worker = statusd.attach('mychannel', {broker.url!r}, 'scan')",
        "str(worker.state)",
        "1 / 0",
        "worker.detach()",
        "str(worker.state)",
    ]

    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        cwd=tmp_path,
        env=environment(tmp_path),
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.stdout == "'State.READY'\n'State.END'\n", done.stderr
    assert way(journal) == "READY ENDING END"
    assert last_reason(journal) == "the program has detached"


# ---- to every end --------------------------------------------------------------------------------

ENDS = {
    "raising": (1, "ValueError: the detector is on fire", True),
    "exiting": (1, "SystemExit: no film", True),
    "kept_raising": (1, "ValueError: no film", True),
    "hard": (0, "process died", True),
    "unleft": (0, "the program has dropped its worker", False),
    "kept": (0, "the program has ended", False),
    "abandoned_thread": (0, "the program has ended", False),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end_of_its_own_is_told_with_its_cause(
    name: str, start: Start, journal: Journal
) -> None:
    """FAILED, then END, if something went wrong; and the program's exit code is its own."""
    code, reason, failed = ENDS[name]

    parent = start(name)

    assert parent.wait_exit() == code
    assert last_reason(journal) == reason
    assert ("FAILED" in way(journal)) is failed
    assert way(journal).endswith("ENDING END")


def test_a_killed_program_is_told_of(start: Start, journal: Journal) -> None:
    """SIGKILL: its daemon says that the process died, and goes within two seconds."""
    parent = start("looping")
    parent.wait_said("attached")

    parent.process.kill()

    assert parent.wait_exit() == -signal.SIGKILL
    assert last_reason(journal) == "process died"
    assert way(journal) == "READY RUNNING FAILED ENDING END"


def test_an_interrupted_program_ends_well(start: Start, journal: Journal) -> None:
    """Ctrl-C reaches its process group and not the daemon, which has the last word."""
    parent = start("looping")
    parent.wait_said("attached")
    (daemon,) = parent.daemons()
    assert daemon.group == daemon.pid

    os.killpg(parent.process.pid, signal.SIGINT)

    assert parent.wait_exit() == -signal.SIGINT
    assert last_reason(journal) == "the block was left by KeyboardInterrupt"
    assert way(journal) == "READY RUNNING ENDING END"


def test_an_interrupted_program_is_not_kept_by_a_frozen_broker(
    start: Start, broker: Broker
) -> None:
    """It leaves, and its daemon with it, though nobody takes its last words."""
    parent = start("looping")
    parent.wait_said("attached")
    broker.freeze()

    os.killpg(parent.process.pid, signal.SIGINT)

    assert parent.wait_exit() == -signal.SIGINT
    broker.thaw()


def test_a_program_that_becomes_another_one_has_left(start: Start, journal: Journal) -> None:
    """execve(2) closes its ends; the new program is let alone."""
    parent = start("replaced")
    parent.wait_said("attached")

    assert last_reason(journal) == "the program has let go of its worker"
    assert parent.process.poll() is None


def test_a_program_that_does_not_leave_is_never_killed(
    start: Start, broker: Broker, journal: Journal
) -> None:
    """`failed` after stop_timeout_s, `force` refused, two signals in vain; later it leaves."""
    parent = start("deaf")
    parent.wait_said("attached")
    client = broker.client()

    client.publish("mychannel", '{"command": "end", "id": "e"}')
    wait_until(lambda: len(journal.finals()) == 1, 10, "the verdict")
    client.publish("mychannel", '{"command": "force", "id": "f"}')
    wait_until(lambda: len(journal.finals()) == 2, 10, "the other one")
    (daemon,) = parent.daemons()
    os.kill(daemon.pid, signal.SIGTERM)
    os.kill(daemon.pid, signal.SIGTERM)

    told = [(v["id"], v["verdict"], v["reason"]) for v in journal.finals()]
    assert told == [
        ("e", "failed", "the program has not left within 0.3 s"),
        ("f", "refused", "the program isn't ours to kill: statusd is attached to it"),
    ]
    assert parent.process.poll() is None
    assert way(journal) == "READY RUNNING ENDING"
    parent.process.send_signal(signal.SIGUSR1)
    assert parent.wait_exit() == 0
    assert last_reason(journal) == "the block was left"


def test_a_hang_is_told_and_not_punished(start: Start, broker: Broker, journal: Journal) -> None:
    """An event and a text; when it goes on, so does the unit."""
    parent = start("hanging")
    wait_until(lambda: "hang" in triggers(journal), 10, "the hang")
    text = wait_until(lambda: document(broker).get("text"), 10, "its text")

    parent.process.send_signal(signal.SIGUSR1)

    wait_until(lambda: "recover" in triggers(journal), 10, "it to go on")
    assert re.fullmatch(r"hung: no progress for \d+ s", text)
    assert way(journal) == "READY RUNNING RUNNING RUNNING"
    assert document(broker)["state"] == "RUNNING"
    assert parent.process.poll() is None


def triggers(journal: Journal) -> list[Any]:
    """Return the triggers of all events."""
    return [event["trigger"] for event in journal.events()]


def document(broker: Broker) -> dict[str, Any]:
    """Return the status document of the unit."""
    found: dict[str, Any] = json.loads(broker.client().get("statusd:status:{scan}") or b"{}")
    return found


# ---- in this very process ------------------------------------------------------------------------


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


def test_a_lifecycle_of_ones_own(attach: Any, broker: Broker) -> None:
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


MISTAKES: dict[str, dict[str, Any]] = {
    "channels: ": {"channels": ["two words"]},
    "url: ": {"url": "http://127.0.0.1"},
    "name: ": {"name": "a name"},
    "RUNING: it can't be taken up": {"goal": "RUNING"},
    "starts nothing and kills nothing": {"config": "run.toml"},
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
