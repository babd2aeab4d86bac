"""Many jobs on one machine, in each way that there is: as one contestant of many processes.

A daemon each (`Apart`), one daemon for a folder of them (`Folder`), supervisord with a program
each (`Supervised`), and the jobs alone (`Bare`), which is what the others come on top of.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from benchmarks.broker import Wire
from benchmarks.contestants import CHANNEL, Contestant, Unit, clean_environment
from benchmarks.page import SIZE, VARIABLE, Page
from benchmarks.peers.daemons import CHILD, supervisord
from benchmarks.processes import end, family, wait_until
from benchmarks.rounds import Bench

START_S = 120.0
"""A thousand units may take so long to be up."""
LOOK_S = 0.02
"""How often it is looked whether all are up: seldom enough to cost them nothing."""
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
BARE = "print(flush=True); import time; time.sleep(3600)"
"""A job that says that it is there, and waits."""

_SHARED = """\
state_directory = "{folder}/state"

[redis]
url = "{url}"

[log]
format = "json"
level = "info"
"""
_UNIT = """\
name = "{name}"
instances = {count}
goal = "{goal}"

[control]
channels = {channels}

[worker]
{worker}

[worker.environment]
{variable} = "{pages}/{{instance}}"
"""


class Crowd:
    """So many jobs; a context manager that starts and ends them.

    Then ``pids`` are all of its processes, ``daemons`` those that no bare job would need.
    """

    def start(self) -> None:
        """Start all of them, as fast as this way of having them can."""
        raise NotImplementedError

    def wait(self) -> None:
        """Return when the last of them is up."""
        raise NotImplementedError

    def daemons(self) -> list[int]:
        """Return the processes that look after the jobs."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        """Return all processes: of the jobs, and of who looks after them."""
        return [pid for daemon in self.daemons() for pid in family(daemon)]

    def log(self) -> str:
        """Return the end of what who looks after the jobs has said."""
        return ""

    def close(self) -> None:
        """End all of them."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait()
        except BaseException as error:
            error.add_note(f"{type(self).__name__} said:\n{self.log()}")
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Apart(Crowd):
    """``statusd run FILE``, so many times."""

    def __init__(self, bench: Bench, count: int) -> None:
        self._bench = bench
        self._units: list[Unit] = [
            bench.unit("bare", name=f"apart-{number}", goal="READY")
            for number in range(1, count + 1)
        ]

    def start(self) -> None:
        """Start all at once, as a service manager does when the machine boots."""
        for unit in self._units:
            unit.start()

    def wait(self) -> None:
        """Return when each unit hears and its worker was seen."""
        names = [f"apart-{number}" for number in range(1, len(self._units) + 1)]
        wanted = {"state": "READY", "observed": True}
        _wait_until_up(self._bench.broker.port, names, wanted, self._units[0].has_ended)

    def daemons(self) -> list[int]:
        """Return the daemons."""
        return [unit.pid for unit in self._units]

    def close(self) -> None:
        """Ask all to end, then wait for each."""
        for unit in self._units:
            unit.ask_to_end()
        for unit in self._units:
            unit.close()


class Folder(Crowd):
    """``statusd run FOLDER``: so many instances of one unit, each with a page of its own.

    Args:
        count: of units, called NAME-1 and so on; worker, goal: as of `Unit`.
        settings: more lines of ``[worker]``.
        channels: of all, or with ``{instance}`` of each.
    """

    def __init__(
        self,
        bench: Bench,
        count: int,
        worker: str | Sequence[str] = "bare",
        *,
        name: str = "folder",
        goal: str = "READY",
        settings: str = "",
        channels: Sequence[str] = (CHANNEL,),
    ) -> None:
        self._daemon = _FolderDaemon(bench)
        self._port = bench.broker.port
        self.names = [f"{name}-{number}" for number in range(1, count + 1)]
        self._folder = tempfile.TemporaryDirectory(prefix="statusd-bench-", dir=IN_MEMORY)
        self.pages = _pages(self._folder.name, count)
        self._wanted = {"state": goal, "observed": isinstance(worker, str)}
        kind = "function" if isinstance(worker, str) else "command"
        told = f"benchmarks.workers:{worker}" if isinstance(worker, str) else list(worker)
        fields: dict[str, Any] = {"name": name, "count": count, "goal": goal}
        fields["channels"] = json.dumps(channels)
        fields |= {"worker": f"{kind} = {json.dumps(told)}\n{settings}", "variable": VARIABLE}
        text = _UNIT.format(pages=self._folder.name, **fields)
        (self._daemon.units / "unit.toml").write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Start the daemon, which starts them all."""
        self._daemon.start()

    def wait(self) -> None:
        """Return when each unit hears and its worker was seen in the goal."""
        _wait_until_up(self._port, self.names, self._wanted, self._daemon.has_ended)

    def daemons(self) -> list[int]:
        """Return the one daemon."""
        return [self._daemon.pid]

    def log(self) -> str:
        """Return the end of the daemon's log."""
        return self._daemon.log()

    def close(self) -> None:
        """End the daemon, and with it the units."""
        self._daemon.close()
        self._folder.cleanup()


class _FolderDaemon(Contestant):
    """The daemon of a folder, in which the units are yet to be written."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.guard, bench.broker)
        self._python = bench.python
        self.units = self.folder / "units"
        self.units.mkdir()
        text = _SHARED.format(folder=self.folder, url=bench.broker.url)
        (self.units / "statusd.toml").write_text(text, encoding="utf-8")

    def _command(self) -> list[str]:
        return [self._python, "-m", "statusd", "run", str(self.units)]


class Supervised(Crowd):
    """supervisord with so many programs.

    Raises:
        CalledProcessError: it can't be installed.
    """

    def __init__(self, bench: Bench, count: int) -> None:
        self._daemon, self._is_started = supervisord(bench), False
        self._folder = tempfile.TemporaryDirectory(prefix="statusd-bench-", dir=IN_MEMORY)
        self.pages = _pages(self._folder.name, count)
        file = self._daemon.folder / "supervisord.conf"
        head, _, _ = file.read_text("utf-8").partition("[program:")
        programs = (
            f"[program:child-{number}]\ncommand = {' '.join(CHILD)}\n"
            f'environment = {VARIABLE}="{self._folder.name}/{number}"\n'
            for number in range(1, count + 1)
        )
        file.write_text(head + "\n".join(programs), encoding="utf-8")

    def start(self) -> None:
        """Start supervisord, which starts them all."""
        self._daemon.start()
        self._is_started = True

    def wait(self) -> None:
        """Return when each program has said that it runs."""
        wait_until(lambda: all(page.count for page in self.pages), "the programs", START_S, LOOK_S)

    def daemons(self) -> list[int]:
        """Return the one daemon."""
        return [self._daemon.pid]

    def log(self) -> str:
        """Return the end of what it has said."""
        return self._daemon.log()

    def close(self) -> None:
        """End it, and with it the programs: it is killed while it still waits for them."""
        programs = family(self._daemon.pid)[1:] if self._is_started else []
        self._daemon.close()
        for pid in programs:
            with suppress(OSError):
                if CHILD[-1].encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
        self._folder.cleanup()


class Bare(Crowd):
    """So many Python processes that wait, and nobody who looks after them."""

    def __init__(self, bench: Bench, count: int) -> None:
        self._bench, self._count = bench, count
        self._jobs: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start one after the other, as fast as that goes."""
        command = [sys.executable, "-c", BARE]
        for _ in range(self._count):
            job = self._bench.guard.start(command, clean_environment(), stdout=subprocess.PIPE)
            self._jobs.append(job)

    def wait(self) -> None:
        """Return when each has printed its line."""
        for job in self._jobs:
            assert job.stdout is not None
            job.stdout.readline()

    def daemons(self) -> list[int]:
        """Return nobody."""
        return []

    def pids(self) -> list[int]:
        """Return the jobs."""
        return [job.pid for job in self._jobs]

    def close(self) -> None:
        """End them."""
        for job in self._jobs:
            assert job.stdout is not None
            end(job)
            job.stdout.close()


def _pages(folder: str, count: int) -> list[Page]:
    """Return so many new pages, in files that are called 1, 2 and so on."""
    paths = [Path(folder) / str(number) for number in range(1, count + 1)]
    for path in paths:
        path.write_bytes(b"")
        os.truncate(path, SIZE)
    return [Page(str(path)) for path in paths]


def _wait_until_up(
    port: int, names: Sequence[str], wanted: Mapping[str, Any], has_ended: Callable[[], bool]
) -> None:
    """Return when the status documents of ``names`` say what is ``wanted``, and that they hear."""
    keys = [f"statusd:status:{{{name}}}" for name in names]
    asked = {**wanted, "link": "LISTENING"}
    with Wire(port) as wire:

        def are_up() -> bool:
            has_ended()
            texts = wire.call("MGET", *keys)
            return all(text and asked.items() <= json.loads(text).items() for text in texts)

        wait_until(are_up, f"{len(names)} units to be up", START_S, LOOK_S)
