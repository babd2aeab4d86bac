"""The daemon of the demonstration: three units with real workers, gone whenever we are.

It has a shell beside it that holds the end of a pipe to us, as the embedded broker has: however we
go, it ends the daemon and removes what that had.
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

_SHARED = """\
state_directory = "{folder}"
tags = ["demo"]
goal = "RUNNING"

[daemon]
name = "demo"

[redis]
url = "{url}"

[worker]
backoff_s = [2, 30]
"""
_UNIT = """\
name = "{name}"

[control]
channels = ["{common}", "{name}"]

[worker]
function = "statusd.examples.counter:main"
environment = {{ COUNTER_STEP_S = "{step_s}", COUNTER_TOTAL = "{total}" }}
"""
_GUARD = """folder=$1; shift; "$@" </dev/null >"$folder/daemon.log" 2>&1 & pid=$!
read -r _; kill "$pid" 2>/dev/null; wait "$pid"; rm -rf "$folder"
"""


class DemoDaemon:
    """``statusd run`` of a folder with `UNITS`; it is started by the constructor.

    Args:
        folder: of its own, which its guard removes; url: the broker.
    """

    def __init__(self, folder: Path, url: str) -> None:
        files = {"statusd": _SHARED.format(folder=folder, url=url)}
        for name, (step_s, total) in UNITS.items():
            files[name] = _UNIT.format(name=name, common=COMMON, step_s=step_s, total=total)
        for name, text in files.items():
            file = folder / f"{name}.toml"
            with writing(file):
                file.write_bytes(os.fsencode(text))  # TMPDIR may be of any bytes
        command = [sys.executable, "-m", "statusd", "run", str(folder)]
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "statusd-demo-guard", str(folder), *command],
            cwd="/",  # not ours: a module there may be called like one of the library's
            env={k: v for k, v in os.environ.items() if not k.startswith("STATUSD_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for us, and we end it in order
        )
        reaper.ours.add(self._guard.pid)

    def crash(self, document: Mapping[str, Any]) -> int:
        """Kill the worker that ``document`` tells of; return its pid, 0 if it has none."""
        pid = (document.get("worker") or {}).get("pid")
        if not isinstance(pid, int):
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

    def close(self) -> None:
        """End it, and return when it is gone and has left nothing."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])
