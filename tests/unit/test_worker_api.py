"""The worker's side, with the test in the daemon's place: a real page and real pipes."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from statusd.worker import board as page
from statusd.worker import notes
from statusd.worker.api import Worker
from statusd.worker.spectator import Spectator
from tests.tools import wait_until
from tests.unit.ends import Daemon


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon with a worker in INIT."""
    with ExitStack() as stack:
        yield Daemon(stack)


def test_the_state_is_a_read_that_acknowledges_nothing(daemon: Daemon) -> None:
    """It equals its name, and is a member of the worker's own Enum."""
    daemon.show("RUNNING")

    state = daemon.worker.state

    assert state == "RUNNING"
    assert state is daemon.worker.states.RUNNING
    assert daemon.board.words[page.SEEN] == 0
    assert daemon.notes() == []


def test_while_running_yields_a_turn_for_each_step(daemon: Daemon) -> None:
    """0, 1, 2 ...; the state is acknowledged once, each turn is a beat; ENDING ends it."""
    daemon.show("RUNNING")
    turns = []

    for step in daemon.worker.while_running():
        turns.append(step)
        if step == 2:
            daemon.show("ENDING")

    assert turns == [0, 1, 2]
    assert daemon.board.words[page.BEATS] == 3
    assert daemon.seen() == "ENDING"
    assert daemon.notes() == [notes.SEEN.strip()] * 2


def test_while_running_blocks_while_it_is_to_wait(daemon: Daemon) -> None:
    """PAUSED is acknowledged and waited out; then the count goes on."""
    daemon.show("PAUSED")
    turns: list[int] = []
    thread = threading.Thread(target=lambda: turns.extend(daemon.worker.while_running()))
    thread.start()
    wait_until(lambda: daemon.seen() == "PAUSED", 5, "the pause to be seen")
    assert turns == []

    daemon.show("RUNNING")
    wait_until(lambda: daemon.board.words[page.BEATS] > 5, 5, "a few turns")
    daemon.show("END")

    thread.join(5)
    assert turns == list(range(len(turns)))
    assert len(turns) > 5


def test_wait_returns_a_state_that_came_before_it(daemon: Daemon) -> None:
    """Whatever was not acknowledged yet is news."""
    daemon.show("READY", wake=False)

    assert daemon.worker.wait(5) == "READY"
    assert daemon.seen() == "READY"


def test_wait_gives_up_at_its_time(daemon: Daemon) -> None:
    """It returns the same state again."""
    daemon.worker.ack()

    assert daemon.worker.wait(0) == "INIT"
    assert daemon.worker.wait(0.01) == "INIT"


def test_wait_is_woken(daemon: Daemon) -> None:
    """A blocked worker has the new state at once."""
    daemon.worker.ack()
    got: list[str] = []
    thread = threading.Thread(target=lambda: got.append(daemon.worker.wait()))
    thread.start()

    daemon.show("PAUSED")

    thread.join(5)
    assert got == ["PAUSED"]


def test_a_wake_up_without_news_is_slept_through(daemon: Daemon) -> None:
    """Several wake-ups may stand in the pipe for one state."""
    daemon.show("READY")
    daemon.worker.ack()

    assert daemon.worker.wait(0.01) == "READY"


def test_args_come_with_the_state_and_replace_older_ones(daemon: Daemon) -> None:
    """They are there as soon as the state is."""
    daemon.show("RUNNING", args={"run": 1})
    first = dict(daemon.worker.args)
    daemon.show("PAUSED", args={"exposure": 2.5, "dark": True})

    assert (first, daemon.worker.args) == ({"run": 1}, {"exposure": 2.5, "dark": True})


@pytest.mark.parametrize("how", ["wait", "while_running", "args"])
def test_a_daemon_that_is_gone_means_ending(daemon: Daemon, how: str) -> None:
    """The end of the pipe: from now on the state is ENDING, whatever stands on the board."""
    daemon.show("PAUSED", wake=False)
    daemon.worker.ack()
    before = daemon.worker.connected
    daemon.gone()

    if how == "wait":
        assert daemon.worker.wait() == "ENDING"
    elif how == "while_running":
        assert list(daemon.worker.while_running()) == []
    else:
        assert daemon.worker.args == {}

    assert (before, daemon.worker.connected) == (True, False)
    assert daemon.worker.state == "ENDING"
    assert daemon.worker.wait(5) == "ENDING"


def test_what_it_says_arrives(daemon: Daemon) -> None:
    """ready and triggers as notes, progress and text on the board."""
    daemon.worker.ready()
    told = daemon.worker.trigger("pause", reason="out of film")
    daemon.worker.progress(3, 10, "exposing")
    first = daemon.board.read_record()
    daemon.worker.progress(4)
    daemon.worker.text("almost")

    ready, trigger = daemon.notes()
    assert told
    assert ready == notes.READY.strip()
    assert json.loads(trigger) == {"note": "trigger", "trigger": "pause", "reason": "out of film"}
    assert first == page.Record(3.0, 10.0, "exposing")
    assert daemon.board.read_record() == page.Record(4.0, None, "almost")


def test_a_daemon_that_does_not_read_blocks_nobody(daemon: Daemon) -> None:
    """Acknowledgements stand on the board; a trigger that can't be told says so."""
    while daemon.worker.trigger("pause", "x" * 400):
        pass
    for state in ("READY", "RUNNING", "PAUSED"):
        daemon.show(state)

        assert daemon.worker.wait() == state

    assert daemon.seen() == "PAUSED"


# ---- whatever is said of the work ----------------------------------------------------------------


class Unprintable:
    """What can't be made a text, nor a number."""

    def __str__(self) -> str:
        raise LookupError

    def __float__(self) -> float:
        raise LookupError


WEIRD_NUMBERS = [
    *((math.inf, None), (-math.inf, None), (math.nan, None), ("a lot", None), ([1, 2], None)),
    *((10**400, None), (Unprintable(), None), (None, None), (object, None)),
    *((-1, 0.0), (-0.0, 0.0), (1e300, 2.0**53), (2**60, 2.0**53)),
    *(("3", 3.0), (True, 1.0), (0.5, 0.5), (7, 7.0)),
]


@pytest.mark.parametrize(("said", "known"), WEIRD_NUMBERS)
def test_a_number_is_one_in_range_or_unknown(
    daemon: Daemon, said: Any, known: float | None
) -> None:
    """As step and as total; nothing is raised, and what is known of the other stays."""
    daemon.worker.progress(said, 10)
    first = daemon.board.read_record()
    daemon.worker.progress(3, said)

    assert first == page.Record(known, 10.0, "")
    assert daemon.board.read_record() == page.Record(3.0, known, "")


@pytest.mark.parametrize("bits", [math.inf, -math.inf, math.nan, -5.0, 1e308])
def test_whatever_stands_on_the_page_is_read_in_range(daemon: Daemon, bits: float) -> None:
    """The page is the user's process': it may write there what it likes."""
    daemon.board.write_record(bits, bits, "")

    record = daemon.board.read_record()

    assert record is not None
    assert all(number is None or 0 <= number <= 2**53 for number in record[:2])


WEIRD_TEXTS = [
    *((42, "42"), (ValueError("no film"), "no film"), (None, "None"), (b"x", "b'x'")),
    *(("half \ud800 a pair", "half ? a pair"), ("x" * 10**6, "x" * 900), ("é" * 900, "é" * 450)),
    (Unprintable(), "<unprintable Unprintable>"),
]


@pytest.mark.parametrize(("said", "kept"), WEIRD_TEXTS)
def test_anything_can_be_told_as_text(daemon: Daemon, said: Any, kept: str) -> None:
    """As the text of the work, and with a trigger; nothing is raised."""
    daemon.worker.text(said)
    record = daemon.board.read_record()
    if said is not None:  # which leaves the last text
        daemon.worker.text("")
        daemon.worker.progress(1, 2, said)

    assert record is not None
    assert record.text == kept
    said_last = page.Record(1.0, 2.0, kept), page.Record(None, None, kept)
    assert daemon.board.read_record() in said_last
    assert daemon.worker.trigger(said, said)
    (note,) = daemon.notes()
    assert json.loads(note)["reason"][:400] == kept[:400]
    assert len(note) < notes.MAX_LINE


@pytest.mark.parametrize("sign", ["\0", "é", "\U0001f600", '"', "\\"])
def test_a_note_is_never_longer_than_a_pipe_takes_at_once(sign: str) -> None:
    """Whatever its characters are on the wire: a torn line would spoil the next one too."""
    note = notes.encode("trigger", trigger=sign * 1000, reason=sign * 1000)

    assert len(note) <= notes.MAX_LINE
    assert json.loads(note) == {"note": "trigger", "trigger": sign * 64, "reason": sign * 500}


@pytest.mark.parametrize(
    ("said", "least_s", "most_s"),
    [
        *((600, 600, 601), (math.inf, 1e8, 1e10), (1e300, 1e8, 1e10), ("600", 600, 601)),
        *((-5, 0, 1), (math.nan, None, None), ("long", None, None), (None, None, None)),
    ],
)
def test_patience_is_a_time_or_not_said(
    daemon: Daemon, said: Any, least_s: float | None, most_s: float
) -> None:
    """Nothing is raised; endless is very long."""
    before = time.monotonic()

    daemon.worker.expect(said)

    until = daemon.board.words[page.PATIENCE] / 1e9
    assert until == 0 if least_s is None else least_s <= until - before <= most_s


def test_an_endless_wait_is_one(daemon: Daemon) -> None:
    """As long as it takes, however that is said."""
    daemon.show("READY")

    assert [daemon.worker.wait(math.inf), daemon.worker.wait(math.nan)] == ["READY", "READY"]


# ---- threads -------------------------------------------------------------------------------------


class Crew:
    """Threads that all follow one worker, by its loop or by waiting."""

    def __init__(self, worker: Worker, how: str, count: int = 3) -> None:
        self.turns = [0] * count
        self.gate = threading.Event()
        self.gate.set()
        follow = self._loop if how == "while_running" else self._wait
        self.threads = [
            threading.Thread(target=follow, args=(worker, number), daemon=True)
            for number in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def _loop(self, worker: Worker, number: int) -> None:
        for _ in worker.while_running():
            self.turns[number] += 1
            self.gate.wait()
            time.sleep(0.001)

    def _wait(self, worker: Worker, number: int) -> None:
        while (state := worker.wait()) != "ENDING":
            self.turns[number] += state == "RUNNING"
            self.gate.wait()

    def all_turn(self) -> Callable[[], bool]:
        """Return what tells whether all of them have had a turn since."""
        before = list(self.turns)
        return lambda: all(now > then for now, then in zip(self.turns, before, strict=True))


@pytest.mark.parametrize("how", ["while_running", "wait"])
def test_every_thread_follows_every_state(daemon: Daemon, how: str) -> None:
    """All wake at each resume, and all end at END; several rounds, for a wake-up to be missed."""
    daemon.show("READY")
    crew = Crew(daemon.worker, how)
    for _ in range(20):
        wait_until(lambda: daemon.seen() in ("READY", "PAUSED"), 5, "all to wait")
        have_turned = crew.all_turn()
        daemon.show("RUNNING")
        wait_until(have_turned, 5, "a turn of each thread")
        daemon.show("PAUSED")

    daemon.show("ENDING")

    for thread in crew.threads:
        thread.join(5)
    assert [thread.is_alive() for thread in crew.threads] == [False] * 3
    assert daemon.seen() == "ENDING"


def test_a_state_is_acknowledged_when_the_last_thread_has_seen_it(daemon: Daemon) -> None:
    """One that is in the middle of a step hasn't; neither `ack` nor others can speak for it."""
    daemon.show("RUNNING")
    crew = Crew(daemon.worker, "while_running")
    wait_until(crew.all_turn(), 5, "all to work")
    slow: Any = daemon.worker.while_running()
    assert next(slow) == 0
    daemon.notes()

    daemon.show("PAUSED")

    others = [thread.ident for thread in crew.threads]
    seen_by = daemon.worker._seen_by
    paused = daemon.board.words[page.STATE]
    wait_until(lambda: all(seen_by.get(n or 0) == paused for n in others), 5, "the others to see")
    assert (daemon.seen(), daemon.notes()) == ("RUNNING", [])
    slow.close()
    assert daemon.seen() == "PAUSED"
    assert daemon.notes() == [notes.SEEN.strip()]
    daemon.show("ENDING")
    for thread in crew.threads:
        thread.join(5)


def test_who_comes_back_late_is_told_what_it_has_missed(daemon: Daemon) -> None:
    """A thread between two waits: another one has acknowledged the state meanwhile."""
    daemon.show("READY")
    crew = Crew(daemon.worker, "wait")
    wait_until(lambda: daemon.seen() == "READY", 5, "all to wait")
    crew.gate.clear()
    daemon.show("RUNNING")
    wait_until(lambda: all(crew.turns), 5, "each to have seen it, and to be busy")
    daemon.show("ENDING")

    assert daemon.worker.wait(5) == "ENDING"
    assert daemon.seen() == "ENDING"
    crew.gate.set()

    for thread in crew.threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in crew.threads)


def test_threads_that_report_at_once_leave_a_whole_record(daemon: Daemon) -> None:
    """Whoever is last, what stands on the page is whole."""

    def report(number: int) -> None:
        for step in range(2000):
            daemon.worker.progress(step, 2000, f"{number}" * 50)

    threads = [threading.Thread(target=report, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    record = daemon.board.read_record()

    assert record is not None
    assert (record.total, len(record.text)) == (2000.0, 50)


def test_a_wait_in_a_signal_handler_doesn_t_wait_for_itself(daemon: Daemon) -> None:
    """It interrupts the very thread that reads: it looks at the page, and the reader goes on."""
    seen: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(daemon.worker.wait()))
    try:
        daemon.worker.ack()
        main = threading.main_thread().ident
        assert main is not None

        def interrupt() -> None:
            wait_until(lambda: daemon.worker._waiters._reader == main, 5, "it to read")
            signal.pthread_kill(main, signal.SIGUSR1)
            daemon.show("READY")

        helper = threading.Thread(target=interrupt)
        helper.start()
        seen.append(daemon.worker.wait(5))
        helper.join()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert seen == ["READY", "READY"]


# ---- descriptors that were closed ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["wait", "ack", "while_running", "args", "trigger", "ready"])
def test_nothing_is_written_to_or_read_from_what_isn_t_ours(
    daemon: Daemon, how: str, tmp_path: Path
) -> None:
    """`os.closerange`, then files are opened: their numbers are those of our pipes."""
    file = tmp_path / "data"
    file.write_bytes(b'{"the user\'s": "own"}\n' * 3)
    daemon.show("PAUSED", wake=False)
    mine = [os.open(file, os.O_RDWR) for _ in daemon.ends]
    for fd, end in zip(mine, daemon.ends, strict=True):
        os.dup2(fd, end)
        os.close(fd)

    if how in ("wait", "ack", "while_running"):
        with pytest.raises(RuntimeError, match=r"closed the descriptors.*worker\.fds"):
            list(daemon.worker.while_running()) if how == "while_running" else getattr(
                daemon.worker, how
            )()
    elif how == "trigger":
        assert not daemon.worker.trigger("pause")
    elif how == "ready":
        daemon.worker.ready()
    else:
        assert daemon.worker.args == {}

    assert file.read_bytes() == b'{"the user\'s": "own"}\n' * 3
    assert [os.lseek(end, 0, os.SEEK_CUR) for end in daemon.ends] == [0, 0]
    assert not set(daemon.worker.fds) & set(daemon.ends)


def test_it_tells_which_descriptors_it_needs(daemon: Daemon) -> None:
    """For whoever closes all others."""
    assert set(daemon.worker.fds) > set(daemon.ends)


# ---- other processes -----------------------------------------------------------------------------


def test_a_pickled_worker_sees_the_states_and_writes_nothing(daemon: Daemon) -> None:
    """It follows them one by one; page and pipes stay as they are."""
    daemon.show("PAUSED", args={"run": 7})
    assert daemon.worker.args == {"run": 7}
    watcher = pickle.loads(pickle.dumps(daemon.worker))
    assert type(watcher) is type(pickle.loads(pickle.dumps(watcher))) is Spectator
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.extend(follow(watcher)))

    assert (watcher.state, watcher.args, watcher.connected) == ("PAUSED", {"run": 7}, True)
    watcher.ack()
    watcher.progress(1, 2, "x")
    watcher.text("x")
    watcher.expect(5)
    watcher.ready()
    assert not watcher.trigger("end")
    thread.start()
    for state in ("RUNNING", "PAUSED", "ENDING"):
        daemon.show(state, wake=False)
        wait_until(lambda: seen[-1:] == [state], 5, state)  # noqa: B023
    thread.join(5)

    assert seen == ["PAUSED", "RUNNING", "PAUSED", "ENDING"]
    words = daemon.board.words
    assert [words[page.SEEN], words[page.BEATS], words[page.PATIENCE]] == [0, 0, 0]
    assert (daemon.board.read_record(), daemon.notes()) == (None, [])


def follow(worker: Worker) -> Iterator[str]:
    """Yield each state as it is seen."""
    yield str(worker.ack())
    while worker.state != "ENDING":
        yield str(worker.wait())


def test_a_pickled_worker_works_on_while_it_may(daemon: Daemon) -> None:
    """`while_running` as ever, but for the beats."""
    daemon.show("RUNNING")
    turns = []

    for step in pickle.loads(pickle.dumps(daemon.worker)).while_running():
        turns.append(step)
        if step == 2:
            daemon.show("ENDING")

    assert turns == [0, 1, 2]
    assert daemon.board.words[page.BEATS] == 0


def test_what_a_pickle_names_must_be_its_page(daemon: Daemon, tmp_path: Path) -> None:
    """On another machine, or after the descriptor was closed, the same numbers mean others."""
    dumped = pickle.dumps(daemon.worker)
    fd = os.open(tmp_path, os.O_RDONLY)
    os.dup2(fd, daemon.worker._board.file.fd)
    os.close(fd)

    with pytest.raises(RuntimeError, match="processes of its own machine"):
        pickle.loads(dumped)
