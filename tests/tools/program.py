"""The real program under test, with its files, its log, and everything that it started.

Rule of this file: nothing is signalled but the daemon itself, what carries its marker, and workers
that it logged and that were seen to be its own.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.tools.output import OUTPUT, Output, as_read
from tests.tools.processes import (
    MARKER,
    SESSION,
    Process,
    all_processes,
    descendants,
    dying_with_us,
)
from tests.tools.toml import to_toml
from tests.tools.waiting import wait_until

T = TypeVar("T")
Line = dict[str, Any]
"""One line of the log; ``event`` is its dotted name."""

CLOSE_TIMEOUT_S = 5.0
TAIL_LINES = 30
_ROOT = Path(__file__).parents[2]
_numbers = itertools.count(1)


class Program:
    """``statusd run`` with a configuration of its own; it is started by the constructor.

    It runs in ``directory``, its session is its own and its standard input empty. Of the caller's
    environment it gets all but ``STATUSD_*``. Worker functions may come from the package `tests`.

    Args:
        toml: the content of ``statusd.toml``, as text or as nested tables.
        directory: made if missing; a second Program in it finds the state file of the first.
        args: more arguments for ``statusd run``.
        env: more of the environment; wins over everything.
        below: a command that becomes it, e.g. ``("setpriv", "--bounding-set", "-kill")``.
        units: file name without ending -> content: it runs a folder of these, which ``toml`` is
            shared by.
        typed: what is typed in the place of a file, behind ``args``; none is written then.
    """

    def __init__(
        self,
        toml: str | Mapping[str, Any],
        *,
        directory: Path,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        below: Sequence[str] = (),
        units: Mapping[str, str | Mapping[str, Any]] | None = None,
        typed: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        folder = directory if units is None else directory / "units"
        folder.mkdir(parents=True, exist_ok=True)
        written = {} if typed else {**(units or {}), "statusd": toml}
        for name, content in written.items():
            text = content if isinstance(content, str) else to_toml(content)
            (folder / f"{name}.toml").write_text(text, encoding="utf-8")
        file = folder / "statusd.toml" if units is None else folder
        what = [*args, *typed] if typed else [str(file), *args]
        variables = environment(directory) | dict(env or {})
        self.marker = variables[MARKER]
        self._log: list[Line] = []
        self._workers: dict[int, Process] = {}
        self._stdout, self._stderr = Output(directory, "stdout"), Output(directory, "stderr")
        with self._stdout.path.open("wb") as stdout, self._stderr.path.open("wb") as stderr:
            self._process = subprocess.Popen(
                dying_with_us([*below, sys.executable, "-m", "statusd", "run", *what]),
                cwd=directory,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    # ---- what it says --------------------------------------------------------------------------

    def log(self) -> list[Line]:
        """Return every line of the log so far."""
        for output in (self._stdout, self._stderr):
            for line in output.new_lines():
                self._take(line)
        return list(self._log)

    def logged(self, event: str, **fields: Any) -> Line | None:
        """Return the first line of that ``event`` with those ``fields``, or None."""
        wanted = {"event": event} | fields
        return next((line for line in self.log() if wanted.items() <= line.items()), None)

    def wait_logged(self, event: str, timeout_s: float = 10.0, **fields: Any) -> Line:
        """Return the first line of that ``event`` with those ``fields``, once there is one.

        Raises:
            AssertionError: there was none in time, or the program ended without; shows the tail.
        """
        what = " ".join([event, *(f"{key}={value!r}" for key, value in fields.items())])
        return self._wait(lambda: self.logged(event, **fields), timeout_s, f"the log line {what}")

    def wait_state(self, name: str, timeout_s: float = 10.0) -> Line:
        """Return the newest ``state.changed`` line, once it says that the state is ``name``.

        Raises:
            AssertionError: it didn't in time, or the program ended otherwise; shows the tail.
        """

        def arrived() -> Line | None:
            line = self._newest("state.changed")
            return line if line is not None and line.get("new") == name else None

        return self._wait(arrived, timeout_s, f"the state {name}")

    def output(self) -> str:
        """Return all that it has printed: standard output, then standard error.

        What its worker has printed stands there as ``run 3 | ...``, also where it came as JSON.
        """
        return as_read(self.printed())

    def printed(self) -> str:
        """Return the same as it came."""
        return self._stdout.text() + self._stderr.text()

    def kept(self) -> Line:
        """Return what stands in its state file; nothing if none has been written yet."""
        for file in self.directory.glob("state/*.json"):
            content: Line = json.loads(file.read_bytes())
            return content
        return {}

    # ---- what it is ----------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The pid of the daemon."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return its exit code (minus a signal's number if that killed it); None while it runs."""
        return self._process.poll()

    def worker_pid(self, unit: str = "") -> int:
        """Return the pid in the newest ``worker.started`` line, of that unit if there are several.

        Raises:
            AssertionError: there is none yet.
        """
        line = self._newest("worker.started", **({"unit": unit} if unit else {}))
        if line is None:
            raise AssertionError(f"no worker was started yet{self._tail()}")
        return int(line["pid"])

    def descendants(self) -> list[int]:
        """Return the pids of all that live below the daemon."""
        return descendants(self.pid)

    # ---- what is done to it --------------------------------------------------------------------

    def signal(self, number: int) -> None:
        """Send a signal to the daemon alone; to a dead one nothing is sent."""
        self._process.send_signal(number)

    def wait_exit(self, timeout_s: float = 10.0) -> int:
        """Return its exit code, once it has ended.

        Raises:
            AssertionError: it is still there; shows the tail of its output.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            message = f"waited {timeout_s:g} s for the program to end{self._tail()}"
            raise AssertionError(message) from None

    def leftovers(self) -> list[int]:
        """Return the pids of what still lives of it: daemon, workers, and what those started."""
        return [process.pid for process in self._left()]

    def close(self) -> None:
        """Kill what is left of it, the daemon first; a second call does nothing.

        Raises:
            AssertionError: something can't be killed.
        """
        self.log()  # last chance to see whose the logged workers are
        self._process.kill()
        self._process.wait(CLOSE_TIMEOUT_S)
        wait_until(self._kill_left, CLOSE_TIMEOUT_S, f"the rest of program {self.pid} to be gone")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- how -----------------------------------------------------------------------------------

    def _take(self, text: bytes) -> None:
        try:
            line = json.loads(text)
        except ValueError:
            return
        if isinstance(line, dict) and line.get("event", OUTPUT) != OUTPUT:
            self._log.append(line)
            if line["event"] == "worker.started":
                self._note_worker(int(line["pid"]))

    def _note_worker(self, pid: int) -> None:
        """Remember which process ``pid`` is now, if it is ours and not a later one's number."""
        process = Process.of(pid)
        if process and (process.parent == self.pid or process.is_marked(self.marker)):
            self._workers[pid] = process

    def _newest(self, event: str, **fields: Any) -> Line | None:
        wanted = {"event": event} | fields
        found = (line for line in reversed(self.log()) if wanted.items() <= line.items())
        return next(found, None)

    def _left(self) -> list[Process]:
        self.log()
        workers = [process for process in self._workers.values() if process.is_alive()]
        groups = {process.pid for process in workers if process.group == process.pid}
        return [
            process
            for process in all_processes()
            if process in workers or process.group in groups or process.is_marked(self.marker)
        ]

    def _kill_left(self) -> bool:
        left = self._left()
        for process in left:
            process.kill()
        return not left

    def _wait(self, look: Callable[[], T | None], timeout_s: float, what: str) -> T:
        def look_while_it_lives() -> T | None:
            ended = self.exit_code() is not None  # asked first: what it said last is seen below
            found = look()
            if ended and not found:
                raise AssertionError(f"the program ended with {self.exit_code()} before {what}")
            return found

        try:
            found = wait_until(look_while_it_lives, timeout_s, what)
        except AssertionError as error:
            raise AssertionError(f"{error}{self._tail()}") from None
        assert found is not None
        return found

    def _tail(self) -> str:
        return self._stdout.tail(TAIL_LINES) + self._stderr.tail(TAIL_LINES)


def environment(directory: Path) -> dict[str, str]:
    """Return the environment of a program that works in ``directory``, with its own marker."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STATUSD_")}
    paths = [*filter(None, kept.get("PYTHONPATH", "").split(os.pathsep)), str(_ROOT)]
    return kept | {
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in paths),
        "STATUSD_LOG__FORMAT": "json",
        "STATUSD_STATE_DIRECTORY": str(directory / "state"),
        "XDG_RUNTIME_DIR": str(directory),
        MARKER: f"{SESSION}/program-{next(_numbers)}",
    }
