"""Where and with what the figures were measured."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from benchmarks.broker import Broker
from benchmarks.processes import ROOT
from statusd.supervision.reaper import become_nearest

MOST_OTHERS = 0.05
NORMAL = "normal, nice 0"
DISTURBED = ": DISTURBED, not to be quoted"
_PACKAGES = ("statusd", "hiredis", "transitions", "structlog", "redis")


def header(broker: Broker) -> dict[str, str]:
    """Return what a reader must know to compare, name -> text."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("describe", "--always", "--dirty") or "unknown",
        "service": _service(),
        "machine": f"{os.cpu_count()} x {_cpu()}, {platform.system()} {platform.release()}",
        "scheduling": _scheduling(),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "broker": broker.version,
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "log": "JSON into a file, log.level = info, unless a row says otherwise",
    }


class Others:
    """What all the other processes of the machine use, from when this is made.

    Ours are also those that were left behind by what we have started: from now on they fall to us.
    """

    def __init__(self) -> None:
        become_nearest()
        self._before = self._now()

    def __str__(self) -> str:
        with contextlib.suppress(ChildProcessError):  # nobody is left
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        busy_s, ours_s, idle_s = (
            now - before for now, before in zip(self._now(), self._before, strict=True)
        )
        share = max(0.0, busy_s - ours_s) / (busy_s + idle_s or 1)
        disturbed = share > MOST_OTHERS and os.sched_getscheduler(0) == os.SCHED_OTHER
        return f"{share:.0%} of the processors" + (DISTURBED if disturbed else "")

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Return the seconds that processors were busy, that they were with us, and idle."""
        line = Path("/proc/stat").read_text("ascii").splitlines()[0]
        fields = [int(field) / os.sysconf("SC_CLK_TCK") for field in line.split()[1:9]]
        idle_s = fields[3] + fields[4]
        usages = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
        return (
            sum(fields) - idle_s,
            sum(usage.ru_utime + usage.ru_stime for usage in usages),
            idle_s,
        )


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _scheduling() -> str:
    """Return how we, and with us all that we start, share the processors with others."""
    policy = os.sched_getscheduler(0)
    if policy == os.SCHED_OTHER:
        return f"normal, nice {os.nice(0)}"
    names = {os.SCHED_RR: "SCHED_RR", os.SCHED_FIFO: "SCHED_FIFO"}
    name = names.get(policy, f"policy {policy}")
    return f"{name} {os.sched_getparam(0).sched_priority}, before all others, all contestants alike"


def _service() -> str:
    """Return the last commit that changed what is measured, and not only how it is."""
    last = _git("log", "-1", "--format=%h", "--", "service") or "unknown"
    return f"{last}{' and changes' if _git('status', '--porcelain', '--', 'service') else ''}"


def _git(*words: str) -> str:
    command = ["git", *words]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
