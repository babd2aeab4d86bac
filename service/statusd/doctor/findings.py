"""What was found, how bad it is, and what to do."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It could not be looked at: whoever asks may not see it."""
    WARNING = "warning"
    """It works, and may hurt some day."""
    ERROR = "error"
    """The unit can't do what it is to do."""


class Finding(NamedTuple):
    """One thing that was looked at.

    Args:
        level: how bad it is.
        about: what was looked at, in a word or two.
        what: was found.
        cure: what to do; empty if there is nothing to be done.
    """

    level: Level
    about: str
    what: str
    cure: str = ""


def ok(about: str, what: str) -> Finding:
    """Return a finding that needs no cure."""
    return Finding(Level.OK, about, what)


def unknown(about: str, what: str, cure: str) -> Finding:
    """Return what could not be looked at, and how it could."""
    return Finding(Level.UNKNOWN, about, what, cure)


def warning(about: str, what: str, cure: str) -> Finding:
    """Return what may hurt some day."""
    return Finding(Level.WARNING, about, what, cure)


def error(about: str, what: str, cure: str) -> Finding:
    """Return what keeps the unit from its work."""
    return Finding(Level.ERROR, about, what, cure)


def exit_code(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """Return 1 if there is an error (``strict``: or a warning), else 0."""
    bad = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    return int(any(finding.level in bad for finding in findings))
