"""Where settings are looked for when nobody says, and whose they must be then.

Settings say where passwords are sent, which file is sent as one, and what runs. Rule of this file:
one that somebody has named is his own choice; one that is merely found counts only if nobody but
this user and root can have put it there, for in a folder such as /tmp anybody may leave one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from statusd.core.errors import ConfigError
from statusd.home import xdg
from statusd.wire.names import USUAL

SYSTEM = Path("/etc/statusd/statusd.toml")
"""The administrator's: nobody else puts anything there, whoever it was given to (a volume, say)."""
ROOT = 0
MOST_LINKS = 40
"""So many links in a row lead nowhere, says the kernel as well."""


def settings_file(text: str) -> Path:
    """Take an argument that names a file, or a folder of them.

    Raises:
        argparse.ArgumentTypeError: it is a url, which may hold a password and is not repeated.
    """
    if "://" in text:
        raise argparse.ArgumentTypeError("that is a url, and a file with settings is wanted here")
    return Path(text)


def existing(given: Path) -> Path:
    """Return what somebody has named.

    Raises:
        ConfigError: nothing is there; names what may have been meant.
    """
    try:
        os.lstat(given)
    except FileNotFoundError as error:
        from statusd.core.suggestions import nearest

        near = nearest(given.name, tuple(_beside(given)))
        hint = f", did you mean {given.parent / near}?" if near else ": is it spelt right?"
        raise ConfigError(f"{given}: {error.strerror}{hint}") from None
    except OSError as error:
        raise ConfigError(f"{given}: {error.strerror}") from None
    return given


def _beside(given: Path) -> Iterator[str]:
    """Yield what could have been named in the place of ``given``: settings, and folders."""
    with contextlib.suppress(OSError), os.scandir(given.parent) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and (entry.name.endswith(".toml") or entry.is_dir()):
                yield entry.name


def of_broker(given: Path) -> Path:
    """Return the file that says which broker is meant: for a folder, what its units share.

    That file needn't be there: the broker is the default one then.

    Raises:
        ConfigError: nothing is there, or a folder without any unit.
    """
    if not existing(given).is_dir():
        return given
    try:
        is_of_units = any(name.endswith(".toml") for name in os.listdir(given))
    except OSError as error:
        raise ConfigError(f"{given}: {error.strerror}: let this user read it") from None
    if not is_of_units:
        raise ConfigError(f"{given}: no unit in it: each is a *.toml with [worker]")
    return given / f"{USUAL}.toml"


def default_files() -> list[Path]:
    """Return the places where a settings file may be, best first."""
    config = xdg("XDG_CONFIG_HOME", ".config")
    of_user = [] if config is None else [config / "statusd" / "statusd.toml"]
    return [Path("statusd.toml"), *of_user, SYSTEM]  # a user without a home has no such place


def find_file(naming: str = "") -> Path | None:
    """Return the first settings file that exists, or None.

    Args:
        naming: what is typed before a file to name it, for the message: ``--file``.

    Raises:
        ConfigError: it may be a stranger's. It isn't passed over in favour of the next one: whoever
            stands in that folder may mean what it says, and would command something else.
    """
    file = next(_existing(), None)
    why = objection(file) if file is not None else ""
    if why:
        typed = " ".join(filter(None, (naming, f"{file}")))
        raise ConfigError(f"{file}: {why}; nobody has named it, so it isn't read: {typed}")
    return file


def believed_file(*, is_here: bool = True) -> Path | None:
    """Return the first settings file that exists and isn't a stranger's, or None.

    Args:
        is_here: the one in the present folder may be it.
    """
    mine = (file for file in _existing() if is_here or file.is_absolute())
    return next((file for file in mine if not objection(file)), None)


def found_by_itself(file: Path) -> bool:
    """Tell whether ``file`` is the one that is found when nobody names one."""
    found = next(_existing(), None)
    return found is not None and os.path.samefile(found, file)


def _existing() -> Iterator[Path]:
    return (path for path in default_files() if os.path.isfile(path))


# ---- whose it is ---------------------------------------------------------------------------------


def objection(file: Path) -> str:
    """Return why others than this user and root may have made ``file``; empty if they can't have.

    A link must be made by one of the two, and lead to a file of one of them, in a folder in which
    nobody else can take its place. What holds now, holds until one of them changes it.
    """
    judge = _of_other_than_root if file == SYSTEM else _of_other
    try:
        return next(filter(None, map(judge, _trail(file))), "")
    except OSError as error:  # it is being changed right now
        return f"{error.strerror}"


def folder_objection(folder: Path) -> str:
    """Return why others may put a file into ``folder``; empty if they can't.

    What sticks (/tmp) keeps them from what is there, and not from leaving a unit of theirs.
    """
    try:
        found = os.stat(folder)
    except OSError as error:
        return f"{error.strerror}"
    if found.st_uid not in (os.geteuid(), ROOT):
        return f"it is of {_user(found.st_uid)}"
    is_open = _may_others_write(found)
    return f"others may write to it (mode {stat.S_IMODE(found.st_mode):o})" if is_open else ""


def _trail(file: Path) -> Iterator[Path]:
    """Yield ``file``, and if it is a link what it leads to, step by step."""
    for _ in range(MOST_LINKS):
        yield file
        if not file.is_symlink():
            return
        file = file.parent / file.readlink()


def _of_other_than_root(path: Path) -> str:
    mode = os.lstat(path).st_mode
    is_open = not stat.S_ISLNK(mode) and mode & stat.S_IWOTH
    return f"everybody may write to it (mode {stat.S_IMODE(mode):o})" if is_open else ""


def _of_other(path: Path) -> str:
    found = os.lstat(path)
    is_link = stat.S_ISLNK(found.st_mode)
    what = f"{path} is a link" if is_link else "it is"
    if found.st_uid not in (os.geteuid(), ROOT):
        return f"{what} of {_user(found.st_uid)}"
    if not is_link and _may_others_write(found):
        return f"others may write to it (mode {stat.S_IMODE(found.st_mode):o})"
    return _of_other_folder(path.parent)


def _of_other_folder(folder: Path) -> str:
    found = os.stat(folder)
    if found.st_uid not in (os.geteuid(), ROOT):
        return f"its folder is of {_user(found.st_uid)}"
    if _may_others_write(found) and not found.st_mode & stat.S_ISVTX:
        return f"others may write to its folder (mode {stat.S_IMODE(found.st_mode):o})"
    return ""


def _may_others_write(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_ours_alone(found.st_gid)


def _is_ours_alone(gid: int) -> bool:
    """Tell whether a group is this user's own, of which nobody else is (as umask 002 is for)."""
    import grp
    import pwd

    try:
        group, us = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return (group.gr_gid, group.gr_name) == (us.pw_gid, us.pw_name) and not (
        set(group.gr_mem) - {us.pw_name}
    )


def _user(uid: int) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"
