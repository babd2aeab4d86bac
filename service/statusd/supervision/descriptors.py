"""How many descriptors a daemon may have open: as many as its units need, if the system lets it.

The usual soft limit of 1,024 is for programs that use select(2); the hard one is for all others
(RLIMIT_NOFILE of getrlimit(2)). Rule of this file: whoever we start has the limit that we were
started with; its own process sees to that (`worker.wrapper`), before it is the user's.
"""

from __future__ import annotations

import resource

from statusd import logs
from statusd.worker import wrapper

A_UNIT, BESIDE = 10, 128
"""A unit has six as a rule (its lock, socket, process, output) and more for moments; and others."""

_before = 0
"""The limit that we were started with; 0 if it is still that."""

log = logs.get()


def allow_for(units: int) -> None:
    """Have as many as so many units need; if that is too many for this system, say so."""
    global _before
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = units * A_UNIT + BESIDE
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        _before = _before or soft
    if allowed < needed:
        cure = f"ulimit -Hn {needed}, or LimitNOFILE={needed} in its unit of systemd"
        log.warning("descriptors.few", allowed=allowed, needed=needed, cure=cure)


def theirs() -> dict[str, str]:
    """Return what tells a worker's process the limit that it is to have."""
    return {wrapper.DESCRIPTORS: str(_before)} if _before else {}
