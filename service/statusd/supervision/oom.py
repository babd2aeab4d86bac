"""Whether the kernel has killed something of ours for want of memory (cgroups(7))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")


def kills() -> int:
    """Return how many processes of our control group the kernel has killed so; 0 if unknown."""
    count = 0
    for file in _counters():
        try:
            found = re.search(r"^oom_kill (\d+)$", file.read_text(encoding="ascii"), re.MULTILINE)
        except OSError:
            continue
        count = max(count, int(found[1]) if found else 0)
    return count


def _counters() -> Iterator[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        inside = group.lstrip("/")
        if controllers == "memory":
            yield _MOUNT / "memory" / inside / "memory.oom_control"
        elif not controllers:
            yield _MOUNT / inside / "memory.events"
