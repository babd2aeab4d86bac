"""The three units of the demonstration: real daemons with real workers, gone whenever we are.

Each has a shell beside it that holds the end of a pipe to us, as the embedded broker has: however
we go, it ends the daemon and removes what that had.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statusd.private import writing
from statusd.supervision import reaper

COMMON = "mychannel"
"""The channel that all of them hear, beside one of their own name."""
UNITS = {"camera": (0.05, 2000), "laser": (0.1, 1000), "stage": (0.3, 400)}
"""Name -> seconds a step, and how many steps are its work."""

_TOML = """\
name = "{name}"
tags = ["demo"]
goal = "RUNNING"
state_directory = "{folder}"

[redis]
url = "{url}"

[control]
channels = ["{common}", "{name}"]

[worker]
function = "statusd.examples.counter:main"
environment = {{ COUNTER_STEP_S = "{step_s}", COUNTER_TOTAL = "{total}" }}
output = "./worker.log"
backoff_s = [2, 30]
"""
_GUARD = """folder=$1; shift; "$@" </dev/null >"$folder/daemon.log" 2>&1 & pid=$!
read -r _; kill "$pid" 2>/dev/null; wait "$pid"; rm -rf "$folder"; rmdir "${folder%/*}" 2>/dev/null
"""


class DemoDaemon:
    """One `statusd run`, in a folder of its own.

    Args:
        name: one of `UNITS`.
        folder: of all; the last guard to leave removes it.
        url: the broker.
    """

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name = name
        self._folder = folder / name
        step_s, total = UNITS[name]
        self._toml = _TOML.format(
            name=name, folder=self._folder, url=url, common=COMMON, step_s=step_s, total=total
        )
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it anew."""
        self.hang_up()
        self.wait()
        file = self._folder / "statusd.toml"
        with writing(file):
            self._folder.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.fsencode(self._toml))  # TMPDIR may be of any bytes
        command = [sys.executable, "-m", "statusd", "run", str(file)]
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "statusd-demo-guard", str(self._folder), *command],
            cwd="/",  # not ours: a module there may be called like one of the library's
            env={k: v for k, v in os.environ.items() if not k.startswith("STATUSD_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for us, and we end them in order
        )
        reaper.ours.add(self._guard.pid)

    def crash(self, document: Mapping[str, Any]) -> int:
        """Kill the worker that ``document`` tells of; return its pid, 0 if it has none."""
        pid = (document.get("worker") or {}).get("pid")
        if not isinstance(pid, int) or self._guard is None:
            return 0
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return 0
        try:
            # Only what is below our own guard: anybody on this host may write documents.
            if _parent(_parent(pid)) != self._guard.pid:
                return 0
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return 0
        finally:
            os.close(handle)
        return pid

    def hang_up(self) -> None:
        """Have it ended, and don't wait."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()

    def wait(self) -> None:
        """Return when it is gone and has left nothing."""
        if self._guard is not None:
            self._guard.wait()


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])
