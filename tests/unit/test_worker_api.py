"""The worker's side, with the test in the daemon's place: a real page and real pipes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from statusd.core.lifecycle import BUILT_IN
from statusd.worker import board as page
from statusd.worker import notes
from statusd.worker.api import Worker
from statusd.worker.board import Board
from tests.tools import wait_until

NAMES = [state.name for state in BUILT_IN.members()]
PARTS = "".join(BUILT_IN.parts[state].value for state in BUILT_IN.members())


class Daemon:
    """The other side of the page and the pipes; ``os.getppid()`` stands for its pid."""

    def __init__(self, stack: ExitStack) -> None:
        fd = page.create()
        self.board = Board(fd)
        worker_board = Board(fd)
        os.close(fd)
        down_read, self.down = os.pipe()
        self.up, up_write = os.pipe()
        for end in (self.down, self.up, up_write):
            os.set_blocking(end, False)
        self.seq = 0
        self.show("INIT", wake=False)
        self.worker = Worker(
            worker_board, down_read, up_write, states=NAMES, parts=PARTS, daemon_pid=os.getppid()
        )
        for end in (down_read, self.up, up_write):
            stack.callback(os.close, end)
        stack.callback(self.gone)
        self._lines = notes.Lines(self.up)

    def show(self, state: str, *, wake: bool = True, args: dict[str, Any] | None = None) -> None:
        """Put a state on the board, as the daemon does."""
        self.seq += 1
        if args is not None:
            os.write(self.down, json.dumps(args).encode() + b"\n")
        self.board.words[page.STATE] = page.pack_word(NAMES.index(state), 1, self.seq)
        if wake:
            os.write(self.down, notes.WAKE)

    def gone(self) -> None:
        """Close our end of the pipe, as a dead daemon's kernel does."""
        if self.down != -1:
            os.close(self.down)
            self.down = -1

    def seen(self) -> str:
        """Return the state that the worker took in last."""
        number: int = page.unpack_word(self.board.words[page.SEEN]).state
        return NAMES[number]

    def notes(self) -> list[bytes]:
        """Return the notes that have come."""
        try:
            return self._lines.read() or []
        except BlockingIOError:
            return []


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
    assert first == (3.0, 10.0, "exposing")
    assert daemon.board.read_record() == (4.0, None, "almost")


def test_a_daemon_that_does_not_read_blocks_nobody(daemon: Daemon) -> None:
    """Acknowledgements stand on the board; a trigger that can't be told says so."""
    while daemon.worker.trigger("pause", "x" * 400):
        pass
    for state in ("READY", "RUNNING", "PAUSED"):
        daemon.show(state)

        assert daemon.worker.wait() == state

    assert daemon.seen() == "PAUSED"
