"""What a test session leaves behind when it is killed: found by its owner's name, and cleared.

Every process that tests start carries their session's marker; networks and control groups have its
name, and all files are in one folder. An owner's name is never another's, see `Process.name`, so
nothing of a session that lives is ever touched.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.tools import control_groups, namespace
from tests.tools.processes import OWNER, Process, all_processes, is_abandoned
from tests.tools.waiting import wait_until

CLEAR_S = 10.0
"""So long processes may take to die, and files to be gone."""

_PREFIX = "statusd-tests-"
_TEMPORARY = Path(tempfile.gettempdir())


def folder(session: str) -> Path:
    """Return where a session has its files; those of its parts are below it."""
    owner, _, part = session.partition("/")
    return _TEMPORARY / f"{_PREFIX}{owner}" / part


def abandoned() -> list[str]:
    """Return the owners that have died, and left something."""
    found = {process.mark().partition("/")[0] for process in all_processes()}
    found |= {namespace.owner_of(name) for name in namespace.networks()}
    found |= {control_groups.owner_of(group) for group in control_groups.groups()}
    found |= {path.name.removeprefix(_PREFIX) for path in _TEMPORARY.glob(f"{_PREFIX}*")}
    return sorted(owner for owner in found if OWNER.fullmatch(owner) and is_abandoned(owner))


def clear(session: str, *, keep_files: bool = False) -> None:
    """End and remove all that is left of a session, or of a part of one.

    Raises:
        AssertionError: something can't be; everything else is cleared all the same.
    """
    where = folder(session)
    groups = control_groups.groups(session)
    with ExitStack() as steps:  # the last one is done first, and each of them in any case
        if not keep_files:
            steps.callback(_remove, where)
        steps.callback(_unmount, where)
        for group in groups:
            steps.callback(control_groups.remove, group)
        steps.callback(namespace.remove_networks, session)
        steps.callback(_kill_all, session, where)
        for group in groups:
            steps.callback(control_groups.thaw, group)


def processes_of(session: str, where: Path) -> list[Process]:
    """Return what lives of a session: by its marker, its folder if it has wiped that off, or its
    control groups, where a machine has processes that were never given one.
    """
    own = [
        process
        for process in all_processes()
        if process.is_marked(session) or (process.works_in(str(where)) and process.is_wiped())
    ]
    found = {*own, *control_groups.members(session)}
    return [process for process in found if process.pid != os.getpid()]


def _kill_all(session: str, where: Path) -> None:
    def are_gone() -> bool:
        left = processes_of(session, where)
        for process in left:
            process.kill()
        return not left

    wait_until(are_gone, CLEAR_S, f"the processes of {session} to be gone")


def _unmount(where: Path) -> None:
    """Take away the file systems that are mounted below ``where``, the inner ones first."""
    rows = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [Path(_unescaped(row.split(" ")[4])) for row in rows]
    for point in sorted((p for p in points if p.is_relative_to(where)), reverse=True):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False, timeout=10)


def _unescaped(text: str) -> str:
    """Return a path of proc_pid_mountinfo(5), where a blank is ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _remove(where: Path) -> None:
    """Remove a folder; whoever else does it at the same time doesn't matter."""

    def is_gone() -> bool:
        for path, names, _ in os.walk(where):
            for inner in (Path(path, name) for name in names):
                with suppress(OSError):  # else nothing could be taken out of it
                    if not inner.is_symlink():
                        inner.chmod(stat.S_IRWXU)
        shutil.rmtree(where, ignore_errors=True)
        return not where.exists()

    wait_until(is_gone, CLEAR_S, f"{where} to be gone")
