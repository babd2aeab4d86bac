"""Where and with what the figures were measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.broker import Broker
from benchmarks.processes import ROOT

_PACKAGES = ("statusd", "hiredis", "transitions", "structlog", "redis")


def header(broker: Broker) -> dict[str, str]:
    """Return what a reader must know to compare, name -> text."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} x {_cpu()}, {platform.system()} {platform.release()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "broker": broker.version,
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "log": "JSON into a file, log.level = info, unless a row says otherwise",
    }


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"
