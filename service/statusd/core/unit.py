"""What a unit is, what it remembers, and what it knows of its worker: plain values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from statusd.core.messages import Command, Scalar
from statusd.core.signals import is_prompt


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a unit is.

    Args:
        name: unique in its namespace.
        tags: what a command's target may ask for.
        boot: start time of the daemon in ms; with ``seq`` it makes the id of an event.
        namespace: the prefix of the unit's names in Redis.
    """

    name: str
    tags: frozenset[str] = frozenset()
    boot: int = 0
    namespace: str = "statusd"


@dataclass(slots=True)
class Memory:
    """What survives a daemon.

    Args:
        goal: the state that the last accepted command asked for; empty for none.
        args: what commands told the worker.
        run: the last worker generation.
        last_event: the id of the last event; empty for none.
        open: the commands that have no final verdict yet.
    """

    goal: str = ""
    args: Mapping[str, Scalar] = field(default_factory=dict)
    run: int = 0
    last_event: str = ""
    open: tuple[Command, ...] = ()


class Cause(NamedTuple):
    """Who made a transition happen, and why; it stands in the event."""

    source: str
    reason: str = ""
    command: Command | None = None
    stderr: tuple[str, ...] = ()

    @property
    def is_asked(self) -> bool:
        """Tell whether somebody has asked for it by a command: no signal has, nor the deadline."""
        return self.command is not None and not is_prompt(self.source)


@dataclass(frozen=True, slots=True)
class Stop:
    """How far the worker's end has come.

    Args:
        stage: what it was told last.
        next: the signal that comes next, and at: when, on the monotonic clock in seconds.
        began: when it was told to end, on the same clock.
    """

    stage: str
    next: str = ""
    at: float = 0.0
    began: float = 0.0


class ExitKind(enum.Enum):
    """How a worker's run came to an end: few words, to count by."""

    EXITED = "exit"
    KILLED = "signal"
    HUNG = "hang"
    GROWN = "memory"
    NOT_READY = "not_ready"
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker died.

    Args:
        run: its generation.
        kind: of exit; reason: in words.
        stderr: the last lines of its standard error.
    """

    run: int
    kind: ExitKind
    reason: str
    stderr: tuple[str, ...] = ()


@dataclass(slots=True)
class WorkerView:
    """What the status knows of the process that does the work.

    Args:
        run: its generation.
        alive: it was started, and something of its process group may still live.
        doomed: it is being killed; what it does from now on doesn't count.
        exited: its own process has ended.
        shown: the event whose state stands on its board; seen: the last one it took in.
        seen_working: the last state it took in was one to work in.
        end: how it ended, for the last event.
        hung: since when it shows no progress, in words, if it can't be helped; empty if it does.
        grown: that it has more memory than it may have, in words; empty if it hasn't.
        untold: why it could not be told to stand by, and so isn't ready; empty if it could.
        awaited: who must end by itself, and why, in words; empty if all can be signalled.
        is_unkillable: not even SIGKILL could be sent to all of it.
    """

    run: int = 0
    alive: bool = False
    doomed: bool = False
    exited: bool = False
    shown: int = 0
    seen: int = 0
    seen_working: bool = False
    end: str = ""
    hung: str = ""
    grown: str = ""
    untold: str = ""
    awaited: str = ""
    is_unkillable: bool = False

    @property
    def counts(self) -> bool:
        """Tell whether what it says is to be taken for the worker's word."""
        return self.alive and not self.doomed and not self.exited
