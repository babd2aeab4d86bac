"""What can happen to a unit (inputs), what it decides (effects), and the record of a transition.

Inputs are named in the past tense, effects in the imperative. All are plain values.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statusd.core.errors import BadMessage
from statusd.core.messages import Command, Scalar, Verdict
from statusd.core.place import Place

# ---- inputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Booted:
    """The daemon's parts stand; the first worker may be started."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """A command arrived.

    Args:
        expired: its ``expires`` lies in the past, by the broker's clock.
    """

    command: Command
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Misspoken:
    """A message with an id arrived that is no command; its sender is answered singly."""

    error: BadMessage
    source: str
    received: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """Entries of the stream of durable commands arrived, in order.

    What they lead to must not be done before the new place, and the goal, are kept.

    Args:
        messages: what they say; fewer than entries, if some were for nobody to obey.
        place: how far the stream has been read with them.
    """

    messages: tuple[Commanded | Misspoken, ...]
    place: Place


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
class Ousted:
    """Another daemon holds the unit's name: this one has to end.

    Args:
        reason: who it is.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal that asks the daemon to end: ``SIGTERM`` or ``SIGINT``."""

    name: str


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker of ``run`` is ready for work."""

    run: int


@dataclass(frozen=True, slots=True)
class WorkerAcknowledged:
    """The worker of ``run`` was seen to have taken in state ``number``, of event ``seq``."""

    run: int
    seq: int
    number: int


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
    """

    run: int
    code: int
    reason: str = ""
    stderr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """Nothing of the process group of ``run`` lives."""

    run: int


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


class Timer(enum.Enum):
    """The deadlines of a unit; each is armed at most once at a time."""

    READY = "ready"
    BACKOFF = "backoff"
    FOLLOW = "follow"
    STATE = "state"
    STOP = "stop"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Passed:
    """A deadline that was armed has passed."""

    timer: Timer


WorkerInput = (
    WorkerReady | WorkerTriggered | WorkerExited | WorkerGone | WorkerNotStarted | WorkerHung
)
Input = (
    Booted
    | Ousted
    | Commanded
    | Misspoken
    | Delivered
    | Gapped
    | Signalled
    | WorkerAcknowledged
    | Passed
    | WorkerInput
)

# ---- effects ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """The record of one transition, or of something else that must be told.

    Args:
        fields: what stands on the wire, but for ``at``: the shell has the clock. Its id is
            ``<boot>-<seq>``.
        is_remark: it is no transition; the state is what it was.
    """

    fields: Mapping[str, Any]
    is_remark: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """Send ``verdict`` to whoever listens.

    Args:
        document: with the status document in it, as the shell knows it.
    """

    verdict: Verdict
    document: bool = False


@dataclass(frozen=True, slots=True)
class Show:
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


@dataclass(frozen=True, slots=True)
class Arm:
    """Let `Passed` come in ``after_s`` seconds."""

    timer: Timer
    after_s: float


@dataclass(frozen=True, slots=True)
class Disarm:
    """Forget the deadline."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Save:
    """Bring what must survive into the state file."""


@dataclass(frozen=True, slots=True)
class Leave:
    """End the program."""

    code: int


@dataclass(frozen=True, slots=True)
class Note:
    """Tell the log something that is no transition.

    Args:
        name: a dotted event name in the past tense.
    """

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Effect = Event | Say | Show | StartWorker | StopWorker | Arm | Disarm | Save | Leave | Note
