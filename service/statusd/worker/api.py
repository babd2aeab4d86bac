"""`Worker`: what the user's function is given, and all that it needs to know of statusd.

    def main(worker: Worker) -> None:
        for step in worker.while_running():
            do_one_step(step)
            worker.progress(step + 1, total, "exposing")

Reading the state is a read of memory. Blocking is a read of a pipe: no polling, no idle CPU.
Rules of this file: what the user's code says of its work never raises; any number of its threads
may use a worker; another process looks on (`Spectator`), and says nothing.

Length: a third is what `help(Worker)` shows; the waits and the fork share who has seen what.
"""

from __future__ import annotations

import os
import time
from _thread import get_ident
from _weakref import ref
from select import POLLIN, poll

from statusd.worker import notes
from statusd.worker.board import BEATS, PATIENCE, SEEN, STATE, STATE_BYTE, Board, time_left_s
from statusd.worker.descriptor import Descriptor
from statusd.worker.progress import Progress, as_float
from statusd.worker.states import Generic, States, StateT_co
from statusd.worker.waiters import LONGEST_S, Waiters, deadline_after

TYPE_CHECKING = False  # typing costs the user's process time and memory, and types are for tools
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from statusd.worker.states import Members
    from statusd.worker.track import ItemT, Track

    Scalar = str | int | float | bool | None

LOOK_S = 0.02
"""How often a state is looked at where nothing can wake us."""

CLOSED = (
    "this process has closed the descriptors that statusd gave it (os.closerange, a recipe for "
    "daemons?), so nobody can steer it any more: keep worker.fds open"
)
_workers: list[ref[Worker[Any]]] = []
"""Those of this process, for the moment in which it forks (see `statusd.worker.spectator`)."""


class Worker(Generic[StateT_co]):
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
        self._known = States(states, parts, own)
        self.states = self._known.all
        self._members: Members[StateT_co] = self._known.members
        self._board = board
        self._words: Any = board.words
        self._bytes: Any = board.bytes
        self._pid = os.getpid()
        self._args: dict[str, Scalar] = {}
        self._seen = board.words[SEEN]
        self._progress = Progress(board)
        self._who: Callable[[], int] = get_ident  # or what goes for a thread: see `async_worker`
        self._plug(down, up, daemon_pid)
        self._begin_alone()
        _workers.append(ref(self, _workers.remove))

    def _plug(self, down: int, up: int, daemon_pid: int) -> None:
        """Talk with that daemon from now on."""
        self._down, self._up, self._daemon_pid = Descriptor(down), Descriptor(up), daemon_pid
        self._lines = notes.Lines(down)

    def _begin_alone(self) -> None:
        """Forget every thread but this one: it is the only one there is."""
        this = get_ident()
        inside: list[int] = getattr(self, "_inside", [])
        self._inside = [thread for thread in inside if thread == this]
        self._seen_by: dict[int, int] = {}
        self._are_several = False
        self._waiters = Waiters()
        self._progress.begin_alone()
        self._patient = 0

    # ---- the state ---------------------------------------------------------------------------

    @property
    def state(self) -> StateT_co:
        """The state as it is now: a member of ``worker.states``.

        That is your own Enum, if your lifecycle has one; else each member equals its own name.
        Type checkers know those of the built-in lifecycle; with others, say ``Worker[YourEnum]``,
        or ``Worker[str]``.
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

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the deadline of this job (``worker.deadline``); None if it has none."""
        return time_left_s(self._words)

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors of this process that it must not close."""
        return tuple(own.fd for own in (self._board.file, self._down, self._up) if own.is_ours())

    def ack(self) -> StateT_co:
        """Tell the daemon that the present state is taken in, and return it.

        If other threads are inside `while_running` or `wait`, it is told when they have seen it.

        Raises:
            RuntimeError: this process has closed its `fds`.
        """
        word = self._words[STATE]
        if word != self._seen:
            self._take_in(self._who())
        return self._members[word & 0xFF]

    def wait(self, timeout_s: float | None = None) -> StateT_co:
        """Acknowledge the state, block until another one comes, acknowledge and return that.

        A state that came since the last acknowledgement is returned at once. Any number of threads
        may wait: all are told of each state, and it is acknowledged when all have seen it.

        Args:
            timeout_s: the longest wait in seconds; None for ever. After it, the same state is
                returned.

        Raises:
            RuntimeError: this process has closed its `fds`.
        """
        deadline = deadline_after(timeout_s)
        thread = self._enter(get_ident())
        try:
            seen = self._last_seen(thread)
            while self._words[STATE] == seen and self._sleep(deadline):
                pass
            return self._members[self._take_in(thread) & 0xFF]
        finally:
            self._exit(thread)

    def while_running(self) -> Iterator[int]:
        """Yield 0, 1, 2 ... while the state asks for work; the loop to do the work in.

        Blocks while it asks to wait (READY, PAUSED), stops when it asks to leave (ENDING), or when
        the daemon is gone. Each turn acknowledges the state and is a sign of life. Any number of
        threads may have such a loop: a state is acknowledged when all have seen it.

        Raises:
            RuntimeError: this process has closed its `fds`.
        """
        thread, seen, known = self._enter(get_ident()), None, self._known
        try:
            step = 0
            while True:
                self._check_daemon()
                word = self._words[STATE]
                if word != seen:
                    word = seen = self._take_in(thread)
                number = word & 0xFF
                if known.leaves[number]:
                    return
                if known.works[number]:
                    self._beat(thread)
                    yield step
                    step += 1
                else:
                    self._sleep(None)
        finally:
            self._exit(thread)

    def track(
        self,
        iterable: Iterable[ItemT] | None = None,
        desc: str | None = None,
        total: float | None = None,
        *,
        unit: str = "",
        initial: float = 0,
        steer: bool = True,
        **look: Any,
    ) -> Track[ItemT]:
        """Loop over items as `while_running` does, and tell how far that is: for ``tqdm(...)``.

        Args:
            iterable: the items; None for ``with worker.track(total=5) as bar: bar.update()``.
            desc: the text; total: how many there are, if `len` doesn't tell; unit: "images".
            initial: where the count begins; steer: False to count only, whatever the state.
            look: what else tqdm takes; of that only ``disable`` means something.
        """
        from statusd.worker.track import Track

        return Track(self, self.while_running, iterable, desc, total, unit, initial, steer, look)

    # ---- telling the daemon ------------------------------------------------------------------

    def ready(self) -> None:
        """Say that this worker is ready for work (with ``ready = "notified"``)."""
        self._write(notes.READY)

    def expect(self, seconds: float) -> None:
        """Say that this step may take so long; with ``hang_timeout_s`` it is no hang until then.

        It holds until the next turn of `while_running`, of this thread if there are several, or
        until it is said anew. What is no number is as if it had not been said.
        """
        number = as_float(seconds)
        if number is not None:
            until = time.monotonic() + min(max(number, 0.0), LONGEST_S)
            self._words[PATIENCE], self._patient = int(until * 1e9), self._who()

    def progress(
        self, step: float, total: float | None = None, text: str | None = None, unit: str = ""
    ) -> None:
        """Say how far the work is; costs two microseconds and no system call, and never raises.

        Args:
            step: how much is done, from 0 to 2**53: what is beyond becomes that, and what is no
                number (NaN, infinity, another type) is unknown.
            total: how much there is to do, likewise; None if nobody knows.
            text: what is being done; None leaves the last text. At most 900 bytes are kept.
            unit: what is counted, "images"; at most 28 bytes.
        """
        self._progress.say(step, total, text, unit)

    def text(self, text: str) -> None:
        """Say what is being done, in words for a human; at most 900 bytes are kept.

        Never raises; what is no text is told as `str` has it.
        """
        self._progress.say_text(text)

    def trigger(self, trigger: str, reason: str = "") -> bool:
        """Ask for a transition that the lifecycle lets the worker fire, e.g. ``pause``.

        Args:
            trigger: the transition's name.
            reason: for the event and the log; 500 characters of it are told.

        Returns:
            Whether the daemon could be told; whether it agreed is seen in the state.
        """
        return self._write(notes.encode("trigger", trigger=trigger, reason=reason))

    # ---- inside ------------------------------------------------------------------------------

    def _write(self, line: bytes) -> bool:
        up = self._up  # another thread may let go of it meanwhile
        return up.is_ours() and notes.send(up.fd, line)

    def _beat(self, thread: int) -> None:
        self._words[BEATS] += 1
        if self._patient and (not self._are_several or self._patient == thread):
            self._words[PATIENCE] = self._patient = 0

    def _enter(self, thread: int) -> int:
        """Be inside: from now on nothing is acknowledged that this thread hasn't seen."""
        if any(other != thread for other in self._inside):
            self._are_several = True
        self._inside.append(thread)
        return thread

    def _exit(self, thread: int) -> None:
        self._inside.remove(thread)
        if self._inside:  # they may have waited for nobody but this one
            self._acknowledge_if_all(self._words[STATE])

    def _last_seen(self, thread: int) -> Any:
        """Return the word that ``thread`` has seen last.

        Of several threads, another one may have acknowledged what this one has never seen.
        """
        return self._seen_by.get(thread, self._seen) if self._are_several else self._seen

    def _take_in(self, thread: int) -> int:
        """Let ``thread`` have seen the present state, and return its word."""
        word: int = self._words[STATE]
        self._seen_by[thread] = word
        self._acknowledge_if_all(word)
        return word

    def _acknowledge_if_all(self, word: int) -> None:
        """Acknowledge ``word``, if every thread inside has seen it."""
        seen_by = self._seen_by
        if word == self._seen or any(seen_by.get(thread) != word for thread in self._inside):
            return
        self._seen = word
        self._words[SEEN] = word
        if not self._write(notes.SEEN) and not self._up.is_ours():
            self._lose_pipes()

    def _sleep(self, deadline: float | None) -> bool:
        """Block until the daemon wakes us; False at the deadline or when the daemon is gone."""
        if self._daemon_pid == -1:
            return False
        if self._waiters.is_reading:  # a signal handler in the middle of our own wait
            left_s = LOOK_S if deadline is None else deadline - time.monotonic()
            time.sleep(max(0.0, min(left_s, LOOK_S)))
            return left_s > 0
        return self._waiters.wait(self._read, deadline)

    def _read(self, deadline: float | None) -> bool:
        """Wait for the pipe and read it; False at the deadline or when the daemon is gone."""
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not self._down.is_ours():  # nor do we wait for what isn't ours
            return self._lose_pipes()
        return (left_s is None or self._is_readable(left_s)) and self._listen()

    def _drain(self) -> None:
        """Take what has come; another thread that reads has it soon, and wakes us."""

        def read(_: float | None = None) -> bool:
            return self._is_readable(0) and self._listen()

        while (
            self._down.is_ours()
            and not self._waiters.is_reading
            and self._is_readable(0)
            and self._waiters.wait(read, time.monotonic() + LOOK_S)
        ):
            pass

    def _is_readable(self, timeout_s: float | None) -> bool:
        poller = poll()
        poller.register(self._down.fd, POLLIN)
        return bool(poller.poll(None if timeout_s is None else timeout_s * 1000))

    def _listen(self) -> bool:
        """Read the pipe once; False at its end."""
        if not self._down.is_ours():
            return self._lose_pipes()
        lines = self._lines.read()
        if lines is None:
            self._lose_daemon()
            return False
        for line in filter(None, lines):
            self._args = notes.decode(line)
        return True

    def _check_daemon(self) -> None:
        if os.getppid() != self._daemon_pid != -1:
            self._lose_daemon()

    def _lose_daemon(self) -> None:
        """Nobody will steer this worker any more: from now on its state is ENDING."""
        self._freeze(self._known.ending)

    def _lose_pipes(self) -> bool:
        raise RuntimeError(CLOSED)

    def _freeze(self, number: int) -> None:
        """Have state ``number`` from now on, whatever stands on the board."""
        copy = memoryview(bytearray(self._words))  # nobody reads the board any more
        words = copy.cast("Q")
        words[STATE] = words[STATE] & ~0xFF | number
        self._words, self._bytes, self._daemon_pid = words, copy, -1

    def _forked(self, kind: type[Worker[Any]]) -> None:
        """In a forked child: be of that kind from now on, for the worker is its parent's."""
        self.__class__ = kind
        self._begin_alone()


def workers() -> list[Worker[Any]]:
    """Return those of this process, also while other threads make and lose some."""
    return [worker for known in tuple(_workers) if (worker := known()) is not None]
