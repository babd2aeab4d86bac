"""What can happen to a unit (inputs), what it decides (effects), and the record of a transition.

Inputs are named in the past tense, effects in the imperative. All are plain values; those that each
transition makes are named tuples, which are made in half the time.

Length: every input and every effect of the core stands in this table of types, nowhere else.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from statusd.core.answers import Verdict
from statusd.core.errors import BadMessage
from statusd.core.messages import Command, Scalar
from statusd.core.words import Decision

# ---- inputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Booted:
    """The daemon's parts stand; the first worker may be started.

    Args:
        survivor: the run of an earlier daemon's worker of which something lives; 0 for none.
        wall: Unix time, for the deadline.
    """

    survivor: int = 0
    wall: float = 0.0


class Commanded(NamedTuple):
    """A command arrived.

    Args:
        expired: its ``expires`` lies in the past, by the broker's clock.
        again: the last daemon has obeyed it already, but its disk doesn't have what came of it.
        meant: what its word means, if that was looked up and nothing was decided since.
    """

    command: Command
    expired: bool = False
    again: bool = False
    meant: Decision | None = None


@dataclass(frozen=True, slots=True)
class InvalidMessage:
    """A message with an id arrived that is no command; its sender is answered singly."""

    error: BadMessage
    source: str
    received: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """Entries of the stream of durable commands arrived, in order.

    What they lead to must not be done before it is kept how far the stream was read with them.
    ``messages`` are fewer than entries, if some were for nobody to obey.
    """

    messages: tuple[Commanded | InvalidMessage, ...]


@dataclass(frozen=True, slots=True)
class Launched:
    """A unit that had ended is to begin again, because of ``command``; before `Booted`."""

    command: Command


@dataclass(frozen=True, slots=True)
class Gapped:
    """The unit was deaf, or the stream has lost something; now it hears again.

    Args:
        start, end: RFC 3339.
        reason: in words.
        recovered: so many durable commands were read after it.
        lost: so many can't be read any more; None if nobody knows.
    """

    start: str
    end: str
    reason: str
    recovered: int = 0
    lost: int | None = 0


@dataclass(frozen=True, slots=True)
class Dropped:
    """More was to be said than the broker took: the ``reason`` is how much of what was dropped."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Another daemon holds the unit's name: this one has to end; the ``reason`` is who it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dismissed:
    """The unit is to end by itself: its settings are gone, or others; ``reason`` is why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal that asks the daemon to end, and who has sent it, in words; empty: nobody knows."""

    name: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Prompted:
    """A signal that stands for a word has come, or the deadline is near: see `prompts`."""

    command: Command


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker of ``run`` is ready for work."""

    run: int


class WorkerAcknowledged(NamedTuple):
    """The worker of ``run`` was seen to have taken in state ``number``, of event ``seq``.

    Or it was told it, if it is a program, which can't say what it has taken in.
    """

    run: int
    seq: int
    number: int


@dataclass(frozen=True, slots=True)
class WorkerUntold:
    """The worker of ``run`` could not be told the state of event ``seq``, and why."""

    run: int
    seq: int
    why: str


@dataclass(frozen=True, slots=True)
class WorkerTriggered:
    """The worker of ``run`` asks for a transition."""

    run: int
    trigger: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """The worker's own process ended.

    Args:
        code: its exit code, or minus the number of the signal that killed it.
        reason: what else is known, e.g. the last line of its traceback.
        stderr: the last lines of its standard error.
        returned: it was a function, which came to its end.
        left: who of its processes had left its group, and is killed with it, in words.
    """

    run: int
    code: int
    reason: str = ""
    stderr: tuple[str, ...] = ()
    returned: bool = False
    left: str = ""


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """Nothing of the process group of ``run`` lives."""

    run: int


@dataclass(frozen=True, slots=True)
class WorkerUnreached:
    """Not all that lives of ``run`` could be told to go: the system refuses us the signal.

    Args:
        force: what it was to be told.
        whom: who that is; why: the system's reason; both in words.
    """

    run: int
    force: Force
    whom: str
    why: str


@dataclass(frozen=True, slots=True)
class WorkerNotStarted:
    """The worker of ``run`` could not be started, with the system's reason."""

    run: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerHung:
    """The worker of ``run`` has shown no progress for ``silent_s`` seconds."""

    run: int
    silent_s: float


@dataclass(frozen=True, slots=True)
class WorkerGrown:
    """The worker of ``run`` has so many bytes of ``memory``: more than it may have, or no more."""

    run: int
    memory: int


class Timer(enum.Enum):
    """The deadlines of a unit; each is armed at most once at a time."""

    READY = "ready"
    BACKOFF = "backoff"
    FOLLOW = "follow"
    STATE = "state"
    STOP = "stop"
    KILL = "kill"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Passed:
    """A deadline that was armed has passed."""

    timer: Timer


WorkerFate = WorkerExited | WorkerUnreached | WorkerGone | WorkerNotStarted
WorkerInput = WorkerReady | WorkerUntold | WorkerTriggered | WorkerFate | WorkerHung | WorkerGrown
Input = (
    Booted
    | LeaseLost
    | Dismissed
    | Commanded
    | InvalidMessage
    | Launched
    | Delivered
    | Gapped
    | Dropped
    | Signalled
    | Prompted
    | WorkerAcknowledged
    | Passed
    | WorkerInput
)

# ---- effects ---------------------------------------------------------------------------------


class EventHead(NamedTuple):
    """What an event shares with others like it."""

    name: str
    boot: int
    run: int
    old: str
    new: str
    trigger: str
    source: str


class Event(NamedTuple):
    """The record of one transition, or of something else that must be told.

    Args:
        change: what happened to whom; seq: its number.
        more: what else there is to say, e.g. ``by``, ``args``, ``reason``.
        is_remark: it is no transition; the state is what it was.
    """

    change: EventHead
    seq: int
    more: Mapping[str, Any]
    is_remark: bool = False

    @property
    def id(self) -> str:
        """Its name everywhere: ``<boot>-<seq>``."""
        return f"{self.change.boot}-{self.seq}"

    @property
    def fields(self) -> dict[str, Any]:
        """Return what stands on the wire, but for ``at``: the shell has the clock."""
        name, boot, *others = self.change
        known = zip(EventHead._fields[2:], others, strict=True)
        told = {"event": self.id, "name": name, "boot": boot, "seq": self.seq}
        return {**told, **dict(known), **self.more}


class Say(NamedTuple):
    """Send ``verdict`` to whoever listens, with the status ``document`` in it if that is wanted."""

    verdict: Verdict
    document: bool = False


class Show(NamedTuple):
    """Put the state of event ``seq`` on the board of ``run`` and wake the worker.

    Args:
        args: new ones for the worker, sent before the state; None leaves them as they are.
    """

    run: int
    number: int
    seq: int
    args: Mapping[str, Scalar] | None = None


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start the worker of ``run``, with the state of event ``seq`` on its new board."""

    run: int
    number: int
    seq: int
    args: Mapping[str, Scalar]


class Force(enum.Enum):
    """How a worker that is to go is told so."""

    DUMP = "SIGQUIT"
    """A Python function prints the stacks of its threads, whatever it is doing."""

    TERMINATE = "SIGTERM"
    KILL = "SIGKILL"


@dataclass(frozen=True, slots=True)
class StopWorker:
    """Signal the worker's process group."""

    run: int
    force: Force


class Arm(NamedTuple):
    """Let `Passed` come in ``after_s`` seconds; with ``at``, when the clock on the wall says that.

    That is Unix time: it goes on while the machine is suspended, and somebody may set it.
    """

    timer: Timer
    after_s: float
    at: float = 0.0


class Disarm(NamedTuple):
    """Forget the deadline."""

    timer: Timer


class Save(NamedTuple):
    """Bring what must survive into the state file."""


@dataclass(frozen=True, slots=True)
class Leave:
    """End the program."""

    code: int


@dataclass(frozen=True, slots=True)
class Note:
    """Tell the log something that is no transition; ``name`` is dotted, in the past tense."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Effect = Event | Say | Show | StartWorker | StopWorker | Arm | Disarm | Save | Leave | Note
