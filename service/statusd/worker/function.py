"""Runs the user's function in the worker's process; begun by `statusd.worker.launch`.

It imports nothing that the user's code might need in another version. The daemon knows it as well,
for what both say of a launch; what only the worker's process needs is imported where it is used.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys

from statusd.worker import callee, notes
from statusd.worker.board import Board
from statusd.worker.descriptor import Descriptor
from statusd.worker.standard import WithLibraryFirst
from statusd.worker.wrapper import die_with, ignore_signals, keep_identity, limit_descriptors

UNUSABLE = 78
"""The exit code where there is nothing to run, or nothing that can be: EX_CONFIG of sysexits.h."""
TERMINATED = 128 + signal.SIGTERM
"""The exit code of a function that has left for a SIGTERM, as a shell has it."""

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from statusd.worker.api import Worker


class Launch:
    """What the daemon tells this program on its command line.

    Args:
        board, down, up: inherited descriptors.
        daemon_pid: our parent.
        ready: ``started`` or ``notified``.
        states: the names of the states; parts: their letters (see `Worker`).
        function: ``package.module:name``; own: of the user's Enum of states, or empty.
        paths: where to look for it, before the interpreter's own places.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self.board, self.down, self.up, self.daemon_pid = map(int, argv[:4])
        self.ready, self.parts, states, self.function, self.own, *self.paths = argv[4:]
        self.states = states.split(",")

    @staticmethod
    def argv(
        fds: Sequence[int],
        daemon_pid: int,
        ready: str,
        states: Sequence[str],
        parts: str,
        function: str,
        own: str,
        paths: Sequence[str],
    ) -> list[str]:
        """Return the command line for `__init__` to read."""
        numbers = [str(number) for number in (*fds, daemon_pid)]
        return [*numbers, ready, parts, ",".join(states), function, own, *paths]


def main(argv: Sequence[str]) -> int:
    """Run the function and return the exit code; the reason of a failure goes to the daemon."""
    launch = Launch(argv)
    die_with(launch.daemon_pid)
    keep_identity()
    ignore_signals()
    with WithLibraryFirst():
        limit_descriptors()
    faulthandler.register(
        signal.SIGQUIT, all_threads=True
    )  # asked for by a daemon that sees a hang
    for fd in (launch.board, launch.down, launch.up):
        os.set_inheritable(fd, False)  # grandchildren must not hold our pipes open
    tell = _writer(launch.up)
    _leave_at_sigterm()
    try:
        _run(launch)
    except Unusable as error:
        print(error, file=sys.stderr)
        tell(notes.encode("error", reason=str(error)))
        return UNUSABLE
    except SystemExit as error:
        if error.code is not None and not isinstance(error.code, int):
            tell(notes.encode("error", reason=error.code))  # sys.exit("no film")
        raise
    except BaseException as error:
        _print(error)
        tell(notes.encode("error", reason=notes.last_line(error)))
        return 1
    tell(notes.RETURNED)
    return 0


class Unusable(Exception):
    """What is to be run isn't there, or can't be called; the text says what to write."""


def _run(launch: Launch) -> None:
    """Find the function and call it, to its end.

    Raises:
        Unusable: there is none that can be called.
        BaseException: whatever it raises.
    """
    _prepare(launch)
    worker = _connect(launch)
    gc.freeze()  # ours stays: at its end the interpreter need not look for garbage in it
    function = _found(launch.function)
    known = callee.of(launch.function.partition(":")[2], function)
    if known.objection():
        raise Unusable(f"{launch.function}: {known.objection()}")
    if launch.ready == "started":
        worker.ready()
    if known.is_async:
        _async_worker().run(function, worker)
        return
    found = function(worker)
    if callee.is_unfinished(found):  # whoever has decorated it hides what it is
        text = f"has returned a {type(found).__name__}, so nothing was done"
        raise Unusable(f"{launch.function} {text}: name what is `async def` itself, or a function")


def _found(reference: str) -> Any:
    """Return the function; an error in its module is the module's own.

    Raises:
        Unusable: there is no such module, or nothing of that name in it.
    """
    module = reference.partition(":")[0]
    try:
        __import__(module)  # not by importlib: the user's folders are looked into first
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # it is there, and something that it needs isn't
        raise Unusable(f"{reference}: {error}") from None
    try:
        return named(reference)
    except AttributeError as error:
        raise Unusable(f"{reference}: {error}") from None


def _async_worker() -> Any:
    with WithLibraryFirst():
        import statusd.worker.async_worker as module
    return module


def _leave_at_sigterm() -> None:
    """Have SIGTERM raise SystemExit, so that ``finally`` and `atexit` have their time.

    Only in the main thread of this very process, which is where a handler runs (signal(7)); the
    user's own handler takes its place, and a signal that is ignored stays so. A second one changes
    nothing: SIGKILL is what comes next.
    """
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    pid = os.getpid()

    def leave(number: int, _: object) -> None:
        if os.getpid() != pid:  # a forked child in its first moment
            forget()
            os.kill(os.getpid(), number)
            return
        signal.signal(signal.SIGTERM, leaving)
        raise SystemExit(TERMINATED)

    def leaving(_: int, __: object) -> None:
        """Do nothing; SIG_IGN would be inherited by every program that is started now."""

    def forget() -> None:
        if signal.getsignal(signal.SIGTERM) in (leave, leaving):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, leave)
    os.register_at_fork(after_in_child=forget)


def _writer(up: int) -> Callable[[bytes], None]:
    """Return what sends a line to the daemon: from this process, and while the pipe is ours.

    The user's code may have closed it, or forked: a child that returns hasn't done the work.
    """
    pid, pipe = os.getpid(), Descriptor(up)

    def write(line: bytes) -> None:
        if os.getpid() == pid and pipe.is_ours():
            notes.send(up, line)

    return write


def _connect(launch: Launch) -> Worker:
    from statusd.worker.api import Worker

    return Worker(
        Board(launch.board),
        launch.down,
        launch.up,
        states=launch.states,
        own=named(launch.own) if launch.own else None,
        parts=launch.parts,
        daemon_pid=launch.daemon_pid,
    )


def _prepare(launch: Launch) -> None:
    """Let the user's code find its modules, its name, and its output line by line."""
    sys.path[:0] = launch.paths
    sys.argv = [launch.function]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # both are text streams


def named(reference: str) -> Any:
    """Return what ``module:name`` names; whatever is wrong with it is raised."""
    module, _, path = reference.partition(":")
    __import__(module)  # not by importlib: the user's folders are looked into first
    found: Any = sys.modules[module]
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _print(error: BaseException) -> None:
    """Print the traceback without our own frames.

    Those of the import are ours, too: who misspells a module is told that, and nothing else. By the
    interpreter itself: the module `traceback` may be the user's, or one of those that it needs.
    """
    trace = error.__traceback__
    frozen = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
    ours = (__file__, *frozen)
    while trace is not None and trace.tb_frame.f_code.co_filename in ours:
        trace = trace.tb_next
    sys.__excepthook__(type(error), error.with_traceback(trace), trace)
