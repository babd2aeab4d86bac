"""Whose a state file is whose unit has a derived name: of the settings file that stands in it.

A name that somebody has chosen is his own affair. One that was derived (`wire.names.default_name`)
may be that of another project as well, whose goal and run would be taken over without a word. Where
there is no settings file, for the job was typed, that line and its folder stand there. Rules of
this file: of another settings file nothing is taken and nothing is changed; a file of an older
version, which names none, is the first comer's; a worker is known before its state is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from statusd import logs
from statusd.core.errors import Unavailable
from statusd.private import open_own
from statusd.unit import state_format
from statusd.unit.name_lock import NameLock

log = logs.get()

OLDER = None
"""Whose a state file is that names no settings file: an older version has written it."""
_IN, _LINE = "in ", ": statusd run "
"""Where a folder begins and ends that a job was typed in; a settings file begins with a slash."""


class Origin(NamedTuple):
    """Where a unit's name comes from.

    Args:
        settings: the path of its settings file, absolute; where and how its job was typed, as
            `typed` says it; empty for none.
        is_derived: nobody has chosen the name.
        former: the name that older versions would have derived.
    """

    settings: str = ""
    is_derived: bool = False
    former: str = ""

    @property
    def file(self) -> Path | None:
        """Return its settings file; None if there is none."""
        is_one = self.settings and not _is_typed(self.settings)
        return Path(self.settings) if is_one else None


CHOSEN = Origin()
"""A name that somebody has chosen."""


def typed(folder: Path, line: str) -> str:
    """Return what stands in the place of a settings file where a job was typed.

    Args:
        line: what was typed: ``statusd run job:main``.
    """
    return f"{_IN}{folder}: {line}"[: state_format.MOST_PATH]


def another(directory: Path, name: str, origin: Origin) -> str:
    """Return why the state file of ``name`` isn't ours, with the cure; empty if it may be."""
    path = directory / f"{name}.json"
    owner = owner_of(path) if origin.is_derived else ""
    if owner in (OLDER, "", origin.settings):
        return ""
    ours, is_typed = _told(origin.settings), _is_typed(origin.settings)
    both = f"{path} is of {_told(owner)}, and {ours} has no name either: both are {name!r}"
    if not os.path.lexists(_place(owner)):
        cure = f"type STATUSD_NAME={name} before it" if is_typed else f'write name = "{name}"'
        return f"{both}. The first one is gone: to go on with its state, {cure}"
    if is_typed:
        return f"{both}; type STATUSD_NAME=... before it"
    return f'{both}; write name = "..."' + (" into one of them" if not _is_typed(owner) else "")


def _is_typed(owner: str) -> bool:
    return owner.startswith(_IN)


def _place(owner: str) -> str:
    """Return the settings file, or the folder in which a job was typed."""
    return owner.removeprefix(_IN).rpartition(_LINE)[0] if _is_typed(owner) else owner


def _told(owner: str) -> str:
    """Return it in the middle of a sentence."""
    place = _place(owner)
    line = owner.removeprefix(f"{_IN}{place}: ")
    return f"`{line}` in {place}" if _is_typed(owner) else owner


def owner_of(path: Path) -> str | None:
    """Return the settings file that a state file names; empty if none can be told.

    What can't be read is the reader's matter.
    """
    try:
        with open(open_own(path, os.O_RDONLY), "rb") as file:
            return state_format.settings_in(file.read(state_format.MOST_BYTES + 1))
    except (OSError, Unavailable):
        return ""


def adopt(directory: Path, name: str, origin: Origin) -> None:
    """Take over what an older version has left, under the name that it derived; ours is locked.

    The worker goes first: whoever is interrupted in between does the rest the next time, and knows
    the worker already.

    Raises:
        OSError: it can't be renamed; what is there is whole, under the one name or the other.
        Unavailable: a daemon of an older version runs under that name; nothing was changed.
    """
    ours, theirs = directory / f"{name}.json", directory / f"{origin.former}.json"
    if not origin.is_derived:
        return
    if ours.exists():
        if owner_of(ours) is OLDER:
            log.info("state.adopted", file=str(ours), settings=origin.settings)
        return
    if not origin.former or not theirs.exists() or owner_of(theirs) is not OLDER:
        return
    lock = NameLock(directory / f"{origin.former}.lock")
    try:
        worker = theirs.with_name(f"{origin.former}.worker")
        mine = ours.with_name(f"{name}.worker")
        if worker.exists() and mine.exists():
            return  # this unit has lived already: what the other one has left isn't its
        if worker.exists():
            worker.rename(mine)
        theirs.rename(ours)
    finally:
        lock.give_up()
    log.info("state.adopted", file=str(ours), settings=origin.settings, was=str(theirs))
