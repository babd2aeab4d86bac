"""Verbs of the command line without the quarter of a second that each spends on its imports.

A process of our own has imported all that verbs need, and nothing else; for each verb it forks, and
the child does what ``python -m statusd`` does: arguments, environment, folder, standard input and
outputs are its own, and so is its end. A verb that starts programs, or asks how the interpreter
was started, is no case for this.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from statusd.worker.wrapper import die_with
from tests.tools.processes import MARKER, SESSION

NAMES = ("send", "status", "history", "check", "graph", "doctor", "acl", "health", "completion")
"""The verbs that are forked."""
LATE = ("fleet.fleet", "doctor.broker")
"""What they import when they have something to ask: redis-py comes with it."""
MOST_BYTES = 60_000
"""Longer words are passed to a program, as the system does it."""
INTERPRETER = ("PYTHON", "LC_", "LANG")
"""Variables that the interpreter reads when it starts."""
_ROOT = Path(__file__).parents[2]


class Verbs:
    """The process that forks; it is started with the first verb, and dies with us."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def run(
        self, words: Sequence[str], cwd: Path | None, env: Mapping[str, str], timeout_s: float
    ) -> subprocess.CompletedProcess[str] | None:
        """Run a verb to its end; None if it is no case for this, or another one runs just now.

        Raises:
            subprocess.TimeoutExpired: it was killed, for it hasn't ended in time.
        """
        told = json.dumps([list(words), str(cwd or os.getcwd()), dict(env)]).encode()
        known = {key: value for key, value in os.environ.items() if key.startswith(INTERPRETER)}
        asked = {key: value for key, value in env.items() if key.startswith(INTERPRETER)}
        if not {*words[:1]} & {*NAMES} or len(told) > MOST_BYTES or asked != known:
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._ask(told, words, timeout_s)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End it; a second call does nothing."""
        if self._process is not None and self._socket is not None:
            self._socket.close()
            self._process.wait(5)
        self._process = self._socket = None

    def _ask(
        self, told: bytes, words: Sequence[str], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        asking = self._socket or self._start()
        pipes = [os.pipe(), os.pipe()]
        socket.send_fds(asking, [told], [pipes[0][1], pipes[1][1]])
        for _, theirs in pipes:
            os.close(theirs)
        pid = int(asking.recv(100))
        said = _read([ours for ours, _ in pipes], pid, time.monotonic() + timeout_s)
        code = int(asking.recv(100))
        if said is None:
            raise subprocess.TimeoutExpired(list(words), timeout_s)
        return subprocess.CompletedProcess(list(words), code, *said)

    def _start(self) -> socket.socket:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.tools.verbs", str(theirs.fileno()), str(os.getpid())],
                cwd=_ROOT,
                env=os.environ | {MARKER: f"{SESSION}/verbs"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return self._socket


verbs = Verbs()
"""The one of this process; `tests.conftest` ends it."""


def _read(pipes: Sequence[int], pid: int, deadline: float) -> list[str] | None:
    """Return what comes out of the pipes up to their ends; None if ``pid`` was killed for it."""
    said, is_late = {pipe: bytearray() for pipe in pipes}, False
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                os.kill(pid, signal.SIGKILL)
                is_late, deadline = True, time.monotonic() + 1.0
                continue
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                said[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
    for pipe in pipes:
        os.close(pipe)
    return None if is_late else [_text(bytes(data)) for data in said.values()]


def _text(data: bytes) -> str:
    """Return it as ``subprocess.run(text=True)`` does."""
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")


# ---- in the process that forks -------------------------------------------------------------------


def _serve(asked: socket.socket) -> None:
    while True:
        told, fds, _, _ = socket.recv_fds(asked, 2 * MOST_BYTES, 2)
        if not told:
            return
        us = os.getpid()
        pid = os.fork()
        if pid == 0:
            asked.close()
            die_with(us)
            words, cwd, env = json.loads(told)
            _become(words, cwd, env, fds)
        for fd in fds:
            os.close(fd)
        asked.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        asked.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(words: list[str], cwd: str, env: dict[str, str], fds: Sequence[int]) -> NoReturn:
    """Do what ``python -m statusd`` does, up to the end."""
    code = 70
    try:
        os.environ.clear()
        os.environ.update(env)
        time.tzset()
        os.chdir(cwd)
        for ours, theirs in zip((1, 2), fds, strict=True):
            os.dup2(theirs, ours)
            os.close(theirs)
        sys.stdout = open(1, "w", errors=sys.stdout.errors, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", errors=sys.stderr.errors, buffering=1, closefd=False)  # noqa: SIM115
        sys.argv[1:] = words
        code = _obey()
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _obey() -> int:
    from statusd.cli import main

    try:
        return main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1


def _import_all() -> None:
    from importlib import import_module

    from statusd import cli

    sys.argv[:] = [str(Path(cli.__file__).parents[1] / "__main__.py")]
    for name in (*(f"cli.{name}" for name in NAMES), *LATE):
        import_module(f"statusd.{name}")
    gc.freeze()


def _forget_ourselves() -> None:
    """Leave no trace of the tests in what a child could import."""
    sys.path.pop(0)  # our folder, by ``-m``
    for name in [*sys.modules]:
        if name.partition(".")[0] == "tests":
            del sys.modules[name]


if __name__ == "__main__":
    number, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    _import_all()
    _forget_ourselves()
    with socket.socket(fileno=number) as ours:
        _serve(ours)
