"""A throw-away machine with a real systemd as its process 1, by systemd-nspawn(1).

It has no network but its own loopback, and what is written in it is gone with it. What boots is the
tree of `ops`; where our own process 1 isn't systemd, it gets control groups of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.tools.control_groups import name_of
from tests.tools.ops import COMMANDS, ROOT, CannotRun, demand, tree, wheels
from tests.tools.processes import SESSION, Process, descendants
from tests.tools.waiting import wait_until

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """A booted machine; as a context manager it is shut down at the end.

    A copy of the checkout is in /src; ``pip install`` finds what it needs in /wheels.

    Raises:
        CannotRun: there can't be one here, and why.
    """

    def __init__(self) -> None:
        demand(COMMANDS)
        self._groups: list[Path] = []
        self._scratch = Path(tempfile.mkdtemp(prefix="statusd-ops-"))
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        try:
            base = tree()
            (self._scratch / "wheels").mkdir()
            wheels(self._scratch / "wheels", base, "setuptools>=77", "wheel")
            self._copy_checkout(self._scratch / "src")
            self._make_groups()
            self._boot(base)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _copy_checkout(there: Path) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (there / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, there / name)

    def _make_groups(self) -> None:
        if Path("/run/systemd/system").is_dir():
            return  # nspawn asks our own systemd
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, where, kind, options, *_ = line.split()
            if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options):
                group = Path(where, name_of(SESSION))
                try:
                    group.mkdir()
                except OSError:
                    continue
                self._groups.append(group)
        if not self._groups:
            raise CannotRun("no control groups to work in")

    def _boot(self, base: Path) -> None:
        scratch = self._scratch
        words = [
            *("systemd-nspawn", "-q", f"--directory={base}", "--volatile=overlay", "--boot"),
            *("--register=no", "--keep-unit", "--console=pipe", "--private-network"),
            *("--link-journal=no", "--kill-signal=SIGRTMIN+4", f"--machine=ops{os.getpid()}"),
            *(f"--bind-ro={scratch / 'wheels'}:/wheels", f"--bind={scratch / 'src'}:/src"),
        ]
        joined = " ".join(f"echo $$ >{group}/cgroup.procs;" for group in self._groups)
        with (scratch / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-c", f'{joined} exec "$@"', "sh", *words],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        wait_until(self._find_leader, 30, f"the machine: {self._console()}")
        wait_until(self._is_up, 60, "systemd to have started")

    def _console(self) -> str:
        return (self._scratch / "console").read_text(errors="replace")[-500:]

    def _find_leader(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise CannotRun(f"systemd-nspawn: {self._console()}")
        for pid in descendants(self._nspawn.pid):
            with contextlib.suppress(OSError):  # it has gone since it was listed
                if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                    self._leader = pid
        return bool(self._leader)

    def _is_up(self) -> bool:
        state = self.type("systemctl is-system-running", is_fine=None).strip()
        return state in ("running", "degraded")

    def type(self, script: str, *, is_fine: bool | None = True, timeout_s: float = 120) -> str:
        """Let root type ``script`` into a shell there, in /src; return what was printed.

        Args:
            is_fine: whether it must succeed or fail; None: nobody cares.

        Raises:
            AssertionError: it didn't.
        """
        done = subprocess.run(
            [
                *("nsenter", "-t", str(self._leader), "-a", "--", "env", "-i", f"PATH={_PATH}"),
                *("HOME=/root", "LANG=C.UTF-8", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"),
                *("bash", "-euo", "pipefail", "-c", f"cd /src\n{script}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if is_fine is not None:
            said = f"{script}\n-> {done.returncode}\n{done.stdout[-3000:]}"
            assert (done.returncode == 0) is is_fine, said
        return done.stdout

    def show(self, unit: str, what: str) -> str:
        """Return a property of a unit."""
        return self.type(f"systemctl show -P {what} {unit}").strip()

    def write(self, file: str, content: str) -> None:
        """Write a file there, and the folders above it."""
        self.type(
            f"mkdir -p $(dirname {file}); cat >{file} <<'END_OF_FILE'\n{content}\nEND_OF_FILE"
        )

    def wait(self, look: Callable[[], bool], what: str, timeout_s: float = 60) -> float:
        """Wait until it is so; return how long that took, in seconds."""
        began = time.monotonic()
        wait_until(look, timeout_s, what)
        return time.monotonic() - began

    def close(self) -> None:
        """Shut it down, the hard way if need be; a second call does nothing."""
        if self._nspawn is not None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                leader = Process.of(self._leader) if self._leader else None
                if leader is not None:
                    leader.kill()
                self._nspawn.kill()
                self._nspawn.wait(10)
            self._nspawn = None
        for group in self._groups:
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    continue  # not ours to empty
        self._groups = []
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
