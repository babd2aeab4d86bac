"""Control groups of the first kind (cgroups(7)) of the tests' own. It takes the rights of root."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tests.tools.processes import OWNER, SESSION, Process, all_processes
from tests.tools.waiting import wait_until

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = ("freezer", "memory")
_PREFIX = "statusd-tests-"
EMPTY_S = 15.0
"""So long the processes in a group may take to be gone."""


class CannotGroup(Exception):
    """Here there can't be one, and why."""


def name_of(session: str) -> str:
    """Return what a group of a session is called."""
    return f"{_PREFIX}{session.replace('/', '-')}"


def make(controller: str) -> Path:
    """Make a control group below our own.

    Raises:
        CannotGroup: it can't be made here.
    """
    rows = [row.split(":", 2) for row in Path("/proc/self/cgroup").read_text().splitlines()]
    own = next((path for _, names, path in rows if names == controller), None)
    if own is None:
        raise CannotGroup(f"no {controller} hierarchy of the first kind here")
    group = MOUNT / controller / own.lstrip("/") / name_of(SESSION)
    try:
        group.mkdir()
    except OSError as error:
        raise CannotGroup(f"no control group can be made here: {error.strerror}") from None
    return group


def remove(group: Path) -> None:
    """Remove a group when everything in it is gone; it may be gone itself.

    Raises:
        AssertionError: something in it doesn't go.
    """
    wait_until(lambda: _is_removed(group), EMPTY_S, f"{group} to be empty")


def thaw(group: Path) -> None:
    """Let what is frozen in it go on, so that it can be killed."""
    state = group / "freezer.state"
    if state.exists():
        with contextlib.suppress(FileNotFoundError):  # somebody else removes it at the same time
            state.write_text("THAWED")


def groups(session: str = "*") -> list[Path]:
    """Return the groups of a session; of all sessions, if it isn't said which."""
    found: set[Path] = set()
    for name in (name_of(session), f"{name_of(session)}-*"):
        found |= {*MOUNT.glob(name), *MOUNT.glob(f"*/{name}")}  # of `Machine`
        for controller in CONTROLLERS:
            found |= {*(MOUNT / controller).rglob(name)}
    return sorted(found)


def members(session: str) -> list[Process]:
    """Return what lives in the groups of a session, whoever has started it."""
    inside: set[int] = set()
    for group in groups(session):
        for file in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # a group that goes, or one of threads (cgroups(7))
                inside |= {int(pid) for pid in file.read_text().split()}
    return [process for process in all_processes() if process.pid in inside] if inside else []


def owner_of(group: Path) -> str:
    """Return who has made it."""
    found = OWNER.match(group.name.removeprefix(_PREFIX))
    return found[0] if found is not None else ""


def _is_removed(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not group.exists()
