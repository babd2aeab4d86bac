"""`Attached`: the worker of a program that stays the main process, and outlives its daemon.

Rules of this file: the program is never signalled, and no thread, handler or hook of it is touched
but `atexit`; nothing of ours makes it fail once it is attached; a forked child is a spectator.

Length: one class, whose daemon dies, is started again and let go by any of its threads at any
moment: whoever changes one of these reads the others.
"""

from __future__ import annotations

import atexit
import copyreg
import sys
import time
from _thread import allocate_lock, get_ident

from statusd.worker import api, notes
from statusd.worker import child as daemons
from statusd.worker.api import CLOSED, Worker, workers
from statusd.worker.board import STATE_BYTE, Board
from statusd.worker.child import LAST_WORDS_S
from statusd.worker.descriptor import Descriptor
from statusd.worker.spectator import Spectator, give_seat
from statusd.worker.standard import WithLibraryFirst
from statusd.worker.states import StateT_co

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from statusd.worker.api import Scalar
    from statusd.worker.child import Child, Starter

BUDGET = 3
"""So many times a daemon that has died is started again; one that was well is forgiven."""
WELL_S = 60.0
"""A daemon that lived so long was well."""
LOOK_S = 0.5
"""How often a program that only reads its state looks whether the daemon is there."""

_DROPPED = b'{"note": "left", "failed": false, "reason": "the program has dropped its worker"}\n'


class Attached(Worker[StateT_co]):
    """The worker of a program that is attached: used with ``with``, or ended by `detach`.

    It is made by `attach`. Unlike the worker of a function it outlives its daemon: see `connected`.
    """

    _child: Child | None = None

    def __init__(
        self,
        start: Starter,
        child: Child,
        own: Any,
        parts: str,
        states: Sequence[str],
        name: str,
    ) -> None:
        board = Board(start.board.fd)
        self._child = child
        self._starter = start
        self._name = name
        self._last = list(states).index("END")
        self._deaths = 0
        self._look_at = 0.0
        self._looking, self._looker = allocate_lock(), 0
        self._has_left = False
        super().__init__(  # from now on other threads find it
            board, child.down, child.up, states=states, parts=parts, daemon_pid=child.pid, own=own
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            self._leave("the block was left")
        elif _is_failure(error):
            self._leave(notes.last_line(error), failed=True)
        else:
            self._leave(f"the block was left by {type(error).__name__}")

    def detach(self) -> None:
        """End the unit and wait for its daemon's last words, 3 s at most; the state is END then.

        A second time it does nothing.
        """
        self._leave("the program has detached")

    def __del__(self) -> None:
        if self._child is not None:  # no waiting here, and no import: who knows where we are
            self._write(_DROPPED)
            self.let_go()

    def __repr__(self) -> str:
        lost = "" if self.connected or self._bytes[STATE_BYTE] == self._last else ", no daemon"
        state = getattr(self.state, "name", "")
        return f"<statusd {self._name}: {state}{lost}>"

    # ---- the state ---------------------------------------------------------------------------

    @property
    def state(self) -> StateT_co:
        """The state as it is now: a member of ``worker.states``; END once you have left.

        A read of memory. Every half a second it looks whether the daemon is there.
        """
        if time.monotonic() > self._look_at:
            self._check_daemon()
        return self._members[self._bytes[STATE_BYTE]]

    def take_in(self) -> None:
        """Acknowledge the state if it asks to wait: that it works is for its loop to say."""
        if not self._known.works[self._bytes[STATE_BYTE]]:
            self.ack()

    @property
    def connected(self) -> bool:
        """Whether the daemon is there. If it isn't, the state keeps its value.

        Whatever you ask the worker next starts it again, three times in a row at most.
        """
        child = self._child
        return child is not None and child.is_alive()

    @property
    def args(self) -> Mapping[str, Scalar]:
        """What commands told this program (``statusd send start --arg run=1234``), flat."""
        self._check_daemon()
        return super().args

    # ---- the daemon's life -------------------------------------------------------------------

    def _check_daemon(self) -> None:
        now = time.monotonic()
        if now > self._look_at:
            self._look_at = now + LOOK_S
            self._look()

    def _look(self) -> None:
        if not self._looking.acquire(False):  # another thread does, or this one, interrupted
            return
        self._looker = get_ident()
        try:
            child = self._child
            if child is None:
                return
            if not child.is_reached():
                if child is self._child:  # else another thread has just let it go
                    self._lose_pipes()
            elif not child.is_alive():
                self._replace()
        finally:
            self._looker = 0
            self._looking.release()

    def _replace(self) -> None:
        """Start the daemon again, unless it was to end, or has died too often."""
        number = self._bytes[STATE_BYTE]
        dead = self._take()
        if dead is None:
            return
        dead.let_go()
        daemons.bury()
        self._deaths = 1 if time.monotonic() - dead.started > WELL_S else self._deaths + 1
        if number == self._last:
            self._freeze(number)
        elif self._deaths > BUDGET:
            self._give_up("it has died too often; nobody steers this program any more")
        else:
            self._start_again(is_ending=number == self._known.ending)

    def _start_again(self, *, is_ending: bool) -> None:
        if not self._starter.board.is_ours():  # it would write on what is there now
            self._give_up(CLOSED)
            return
        try:
            child = self._starter.child()
        except OSError as error:
            self._give_up(f"it can't be started again: {error.strerror}")
            return
        self._child = child
        self._plug(child.down, child.up, child.pid)
        if self._has_left:  # another thread meanwhile: this one isn't wanted any more
            self.let_go()
            return
        if self._deaths == 1:
            _warn("the daemon of this program has died; it is started again")
        if is_ending:  # it wouldn't know: a goal END is not taken up
            self.trigger("end", reason="it was ending when its daemon died")

    def _give_up(self, why: str) -> None:
        """Work goes on as it is; a wait that nobody could end is over."""
        number = self._bytes[STATE_BYTE]
        self._freeze(number if self._known.works[number] else self._known.ending)
        _warn(f"the daemon of this program is gone: {why}")

    def _sleep(self, deadline: float | None) -> bool:
        if self._child is not None:
            return super()._sleep(deadline)
        if self._looker not in (0, get_ident()):  # another thread is just starting it again
            left_s = LOOK_S if deadline is None else deadline - time.monotonic()
            time.sleep(max(0.0, min(left_s, api.LOOK_S)))
            return left_s > 0
        if deadline is None and self._bytes[STATE_BYTE] != self._last:
            self._freeze(self._known.ending)  # nobody could end this wait
        time.sleep(0.0 if deadline is None else max(0.0, deadline - time.monotonic()))
        return False

    def _read(self, deadline: float | None) -> bool:
        child = self._child
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        if child is None or not child.wait(left_s):
            return False
        self._listen()
        self._look()
        return True

    def _listen(self) -> bool:
        child = self._child
        if child is None or not child.is_reached():
            return False
        lines = child.lines.read()
        for line in lines or ():
            if line and not line.startswith(daemons.MARK):
                self._args = notes.decode(line)
        return bool(lines)

    def _is_readable(self, timeout_s: float | None) -> bool:
        child = self._child
        if child is None:
            return False
        return bool(child.lines.kept) or daemons.is_readable((child.down,), timeout_s)

    def _lose_pipes(self) -> bool:
        """The daemon takes closed pipes for our leaving, and ends the unit; so do we."""
        if self._child is not None:
            self.let_go()
            _warn(f"{CLOSED}; its unit ends")
        return False

    # ---- the end -----------------------------------------------------------------------------

    def _leave(self, reason: str, *, failed: bool = False) -> None:
        child = self._child
        if child is not None:
            self._say_goodbye(reason, failed=failed)
        self.let_go()
        daemons.bury(LAST_WORDS_S)

    def _say_goodbye(self, reason: str, *, failed: bool = False) -> None:
        self._write(notes.encode("left", reason=reason, failed="yes" if failed else ""))

    def let_go(self) -> None:
        """End the unit without a reason, give everything back, and wait for nothing."""
        self._has_left = True
        child = self._take()
        if child is None:
            return
        self._freeze(self._last)
        child.let_go()
        self._starter.board.close()

    def _take(self) -> Child | None:
        """Return the daemon, to one thread only, and forget the pipes.

        Their numbers will soon mean something else in this program.
        """
        child: Child | None = self.__dict__.pop("_child", None)  # at once, whoever else comes
        if child is not None:
            self._down, self._up = Descriptor(-1), Descriptor(-1)
        return child

    def _forked(self, kind: type[Worker]) -> None:
        child = self._take()
        if child is not None:
            self._looking, self._looker = allocate_lock(), 0
            child.close()
            super()._forked(AttachedSpectator)


class AttachedSpectator(Spectator, Attached):
    """What a forked child has of its parent's worker."""

    state = Worker.state


for kind in (Attached, AttachedSpectator):
    copyreg.pickle(kind, give_seat)


def daemons_of_ours() -> list[int]:
    """Return the pids of the daemons of this program."""
    return [child.pid for worker in _attached() if (child := worker._child) is not None]


def _attached() -> list[Attached]:
    return [worker for worker in workers() if isinstance(worker, Attached)]


def detach_named(names: tuple[str, str]) -> None:
    """Detach the worker of this program that has got its name in that way."""
    for worker in _attached():
        if worker._starter.names == names:
            worker.detach()


def _exiting() -> None:
    """The program ends without having left: say so, and keep nobody waiting."""
    error: Any = getattr(sys, "last_value", None) if not hasattr(sys, "ps1") else None
    failed = error is not None and _is_failure(error)
    for worker in _attached():
        if worker._child is not None:
            reason = notes.last_line(error) if failed else "the program has ended"
            worker._say_goodbye(reason, failed=failed)
            worker.let_go()


atexit.register(_exiting)


def _is_failure(error: BaseException) -> bool:
    """Tell whether leaving by ``error`` means that something went wrong: Ctrl-C doesn't."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return isinstance(error, Exception)


def _warn(text: str) -> None:
    with WithLibraryFirst():
        import warnings

    try:
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:  # made an error: that is no reason for the user's work to fail
        print(f"RuntimeWarning: {text}", file=sys.stderr)
