"""A lifecycle as its user wrote it: named, each thing with its place, and not yet put together."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from statusd.core.conditions import Condition
from statusd.core.lifecycle import Part, Who

DAEMONS_STATES = ("INIT", "BACKOFF", "FAILED", "ENDING", "END")
"""States of the process, in every lifecycle."""

Path = tuple[str | int, ...]
Find = Callable[[str], object]


class Mistake(NamedTuple):
    """What is wrong with a lifecycle.

    Args:
        path: where it stands: keys and indices below ``[lifecycle]``.
        text: what is wrong, and what would be right.
    """

    path: Path
    text: str


@dataclass(slots=True)
class State:
    """A state, and what it says of itself."""

    name: str
    path: Path
    kind: str = "steady"
    part: Part = Part.WAITS
    timeout_s: float = 0.0
    on_timeout: str = ""
    restore: tuple[str, ...] = ()


@dataclass(slots=True)
class Way:
    """A transition as the user wrote it, with its sources named."""

    trigger: str
    sources: list[str]
    dest: str
    path: Path
    who: Who = Who.ANYONE | Who.WORKER
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """All that was written, without a mistake.

    Args:
        states: by their names, in the user's order.
        enum_class: the user's own Enum of them, if there is one.
    """

    states: dict[str, State]
    ways: list[Way]
    enum_class: type[enum.Enum] | None
