"""This user's home directory, if he has one: the number that a container runs as has none.

Rule of this file: nobody else asks for it, so that what needs none works without one.
"""

from __future__ import annotations

import os
from pathlib import Path

from statusd.core.errors import ConfigError


def home() -> Path | None:
    """Return ``HOME``, or what the system's users have for this one; None if there is none."""
    named = os.environ.get("HOME")
    if named:
        return Path(named) if os.path.isabs(named) else None
    import pwd

    try:
        found = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None
    return Path(found) if os.path.isabs(found) else None


def xdg(variable: str, below: str) -> Path | None:
    """Return the directory that the variable of the XDG names, or ``below`` of the home.

    Returns:
        None if neither is there.
    """
    if named := os.environ.get(variable):
        return Path(named)
    mine = home()
    return mine / below if mine is not None else None


def nobodys() -> str:
    """Return what to say when a home is needed, and there is none."""
    return f"no home directory for uid {os.getuid()}"


def expanded(path: str) -> Path:
    """Return ``path``, with the home that ``~`` or ``~user`` at its beginning means.

    Raises:
        ConfigError: there is no such home.
    """
    first, *rest = Path(path).parts or ("",)
    if not first.startswith("~"):
        return Path(path)
    whose = home() if first == "~" else _of(first[1:])
    if whose is None:
        why = nobodys() if first == "~" else f"no home directory of a user {first[1:]!r}"
        cure = ", or set HOME" if first == "~" else ""
        raise ConfigError(f"{path}: {why}: write the whole path{cure}")
    return whose.joinpath(*rest)


def _of(user: str) -> Path | None:
    import pwd

    try:
        return Path(pwd.getpwnam(user).pw_dir)
    except KeyError:
        return None
