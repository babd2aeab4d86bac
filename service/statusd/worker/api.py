"""`Worker`: what the user's function is given, and all that it needs to know of statusd.

    def main(worker: Worker) -> None:
        for step in worker.while_running():
            do_one_step(step)
            worker.progress(step + 1, total, "exposing")

Reading the state is a read of memory. Blocking is a read of a pipe: no polling, no idle CPU.
"""

from __future__ import annotations

import enum
import os
import time

from statusd.worker import notes
from statusd.worker.board import BEATS, PATIENCE, SEEN, STATE, STATE_BYTE, Board

TYPE_CHECKING = False  # typing costs the user's process time and memory, and types are for tools
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    Scalar = str | int | float | bool | None


class Worker:
    """One run's connection to its daemon.

    Args:
        board: the page shared with the daemon.
        down, up: the pipes, from and to the daemon.
        states: the lifecycle's state names, in the order of their numbers.
        own: the user's own Enum of them, if it has one. What it doesn't know (BACKOFF, FAILED,
            ENDING) is END to it: in all of these the worker is to leave.
        parts: for each state a letter: ``r`` do the work, ``w`` wait, ``e`` leave.
        daemon_pid: the daemon; when it is no longer our parent, it is gone.
    """

    def __init__(
        self,
        board: Board,
        down: int,
        up: int,
        *,
        states: Sequence[str],
        parts: str,
        daemon_pid: int,
        own: Any = None,
    ) -> None:
        made: Any = enum.Enum  # the states are known at run time only
        self.states: Any = own or made("State", {name: name for name in states}, type=str)
        known = self.states.__members__
        self._members: tuple[Any, ...] = tuple(known.get(n, known["END"]) for n in states)
        self._end = list(states).index("ENDING")
        self._works = tuple(letter == "r" for letter in parts)
        self._leaves = tuple(letter == "e" for letter in parts)
        self._board = board
        self._words: Any = board.words
        self._bytes: Any = board.bytes
        self._lines = notes.Lines(down)
        self._down, self._up = down, up
        self._daemon_pid = daemon_pid
        self._args: dict[str, Scalar] = {}
        self._seen = board.words[SEEN]
        self._step: float | None = None
        self._total: float | None = None
        self._text = ""
        self._expects = False

    # ---- the state ---------------------------------------------------------------------------

    @property
    def state(self) -> Any:
        """The state as it is now: a member of ``worker.states``.

        That is your own Enum, if your lifecycle has one; else each member equals its own name.
        A read of memory: no lock, no system call. It acknowledges nothing.
        """
        return self._members[self._bytes[STATE_BYTE]]

    @property
    def connected(self) -> bool:
        """Whether the daemon is still there."""
        return self._daemon_pid != -1 and os.getppid() == self._daemon_pid

    @property
    def args(self) -> Mapping[str, Scalar]:
        """What commands told this worker (``statusd send start --arg run=1234``), flat."""
        self._drain()
        return self._args

    def ack(self) -> Any:
        """Tell the daemon that the present state is taken in, and return it."""
        word = self._words[STATE]
        if word != self._seen:
            self._acknowledge(word)
        return self._members[word & 0xFF]

    def wait(self, timeout_s: float | None = None) -> Any:
        """Acknowledge the state, block until another one comes, acknowledge and return that.

        A state that came since the last acknowledgement is returned at once.

        Args:
            timeout_s: the longest wait in seconds; None for ever. After it, the same state is
                returned.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self._words[STATE] == self._seen and self._sleep(deadline):
            pass
        return self.ack()

    def while_running(self) -> Iterator[int]:
        """Yield 0, 1, 2 ... while the state asks for work; the loop to do the work in.

        Blocks while it asks to wait (READY, PAUSED), stops when it asks to leave (ENDING), or when
        the daemon is gone. Each turn acknowledges the state and is a sign of life.
        """
        step = 0
        while True:
            self._check_daemon()
            word = self._words[STATE]
            if word != self._seen:
                self._acknowledge(word)
            number = word & 0xFF
            if self._leaves[number]:
                return
            if self._works[number]:
                self._words[BEATS] += 1
                if self._expects:
                    self._words[PATIENCE], self._expects = 0, False
                yield step
                step += 1
            else:
                self._sleep(None)

    # ---- telling the daemon ------------------------------------------------------------------

    def ready(self) -> None:
        """Say that this worker is ready for work (with ``ready = "notified"``)."""
        notes.send(self._up, notes.READY)

    def expect(self, seconds: float) -> None:
        """Say that this step may take so long; with ``hang_timeout_s`` it is no hang until then.

        It holds until the next turn of `while_running`, or until it is said anew.
        """
        self._words[PATIENCE] = int((time.monotonic() + seconds) * 1e9)
        self._expects = True

    def progress(self, step: float, total: float | None = None, text: str | None = None) -> None:
        """Say how far the work is; costs two microseconds and no system call.

        Args:
            step: how much is done.
            total: how much there is to do; None if nobody knows.
            text: what is being done; None leaves the last text. At most 900 bytes are kept.
        """
        self._step, self._total = step, total
        if text is not None:
            self._text = text
        self._board.write_record(step, total, self._text)

    def text(self, text: str) -> None:
        """Say what is being done, in words for a human; at most 900 bytes are kept."""
        self._text = text
        self._board.write_record(self._step, self._total, text)

    def trigger(self, trigger: str, reason: str = "") -> bool:
        """Ask for a transition that the lifecycle lets the worker fire, e.g. ``pause``.

        Args:
            trigger: the transition's name.
            reason: for the event and the log.

        Returns:
            Whether the daemon could be told; whether it agreed is seen in the state.
        """
        import json

        note = {"note": "trigger", "trigger": trigger[:64], "reason": reason[:500]}
        return notes.send(self._up, json.dumps(note).encode() + b"\n")

    # ---- inside ------------------------------------------------------------------------------

    def _acknowledge(self, word: int) -> None:
        self._seen = word
        self._words[SEEN] = word
        notes.send(self._up, notes.SEEN)

    def _sleep(self, deadline: float | None) -> bool:
        """Block until the daemon wakes us; False at the deadline or when the daemon is gone."""
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        if self._daemon_pid == -1 or (left_s is not None and not self._is_readable(left_s)):
            return False
        return self._listen()

    def _drain(self) -> None:
        while self._daemon_pid != -1 and self._is_readable(0) and self._listen():
            pass

    def _is_readable(self, timeout_s: float) -> bool:
        from select import POLLIN, poll

        poller = poll()
        poller.register(self._down, POLLIN)
        return bool(poller.poll(timeout_s * 1000))

    def _listen(self) -> bool:
        """Read the pipe once; False at its end."""
        lines = self._lines.read()
        if lines is None:
            self._lose_daemon()
            return False
        for line in filter(None, lines):
            import json

            self._args = json.loads(line)
        return True

    def _check_daemon(self) -> None:
        if os.getppid() != self._daemon_pid != -1:
            self._lose_daemon()

    def _lose_daemon(self) -> None:
        """Nobody will steer this worker any more: from now on its state is ENDING."""
        self._freeze(self._end)

    def _freeze(self, number: int) -> None:
        """Have state ``number`` from now on, whatever stands on the board."""
        from array import array

        words = array("Q", self._words)  # a copy: nobody reads the board any more
        words[STATE] = words[STATE] & ~0xFF | number
        self._words, self._bytes, self._daemon_pid = words, memoryview(words).cast("B"), -1
