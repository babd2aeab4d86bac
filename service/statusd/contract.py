"""What stands on the wire, as types: commands, verdicts, events, status documents.

For whoever speaks to units from another language there is the same as JSON Schema in
docs/contract, made from these types by ``make contract``; the tests hold it to the messages of a
real run. Times are RFC 3339 in UTC; a boot is in milliseconds since 1970.

Length: all that is on the wire stands beside each other, as its readers need it.
"""

from __future__ import annotations

from typing import (
    Literal,
    NotRequired,  # pydantic reads typing's only from 3.12 on
)

from typing_extensions import TypedDict

Scalar = str | int | float | bool | None
Args = dict[str, Scalar]
VerdictKind = Literal[
    "accepted", "postponed", "done", "noop", "refused", "invalid", "expired", "failed", "denied"
]


class Target(TypedDict):
    """Whom a command is for; several of one kind mean any of them."""

    name: NotRequired[str | list[str]]
    tag: NotRequired[str | list[str]]
    state: NotRequired[str | list[str]]


class Command(TypedDict):
    """A command as a JSON object; a bare word, or a JSON string, means ``{"command": word}``.

    Either ``command``, or ``control``: a word of the daemon (``launch``), whatever the unit's own
    lifecycle has.
    """

    command: NotRequired[str]
    control: NotRequired[str]
    id: NotRequired[str]
    by: NotRequired[str]
    target: NotRequired[Target]
    reply_to: NotRequired[str]
    expires: NotRequired[str]
    boot: NotRequired[int]
    run: NotRequired[int]
    args: NotRequired[Args]


class Progress(TypedDict):
    """How far the work is, and of how much, if anybody knows.

    ``unit`` is what the steps are ("images"); empty if the worker doesn't say. ``rate`` is in
    steps a second, of the time in which there was work to do: a pause doesn't count. It is 0 for
    work that stands still, null as long as too little was seen. ``left_s`` is how many seconds of
    work are left; null if nobody knows, as without a total. Both are null for work that is ending
    or over.
    """

    step: float | None
    total: float | None
    unit: str
    rate: float | None
    left_s: float | None


class Death(TypedDict):
    """How the last worker died that did."""

    run: int
    reason: str
    stderr: list[str]


class Reached(TypedDict):
    """What a run that is over has said of its work last."""

    run: int
    step: float | None
    total: float | None
    text: str


class Resources(TypedDict):
    """What the worker's processes use, as it was read within the last few seconds.

    ``cpu`` is a share of one core since the time before (2.0: two of them), null the first time;
    ``cpu_s`` are seconds of the run until now. ``memory`` is the resident set in bytes, ``pss`` the
    proportional one, which is read only if ``memory`` is over ``memory_max``. ``descriptors`` is
    null where nobody may count them.
    """

    cpu: float | None
    cpu_s: float
    memory: int
    pss: int | None
    threads: int
    processes: int
    descriptors: int | None


class Worker(TypedDict):
    """The process: none has the pid null."""

    pid: int | None
    beats: int
    restarts: int
    death: NotRequired[Death]
    reached: NotRequired[Reached]
    resources: NotRequired[Resources]


class Stop(TypedDict):
    """How far the worker's end has come, and what comes next in how many seconds."""

    stage: str
    next: NotRequired[str]
    in_s: NotRequired[float]


class Ended(TypedDict):
    """Why the unit is ending, or has: who asked for it, or what became of the worker."""

    source: NotRequired[str]
    reason: NotRequired[str]
    command: NotRequired[str]
    by: NotRequired[str]
    id: NotRequired[str]


class Last(TypedDict):
    """What led to the present state."""

    event: str
    source: NotRequired[str]
    reason: NotRequired[str]
    command: NotRequired[str]
    by: NotRequired[str]
    id: NotRequired[str]


class Node(TypedDict):
    """A state; acting: somebody works towards the next one."""

    name: str
    kind: Literal["waiting", "working", "acting", "fault", "end"]


class Arrow(TypedDict):
    """What leads from one state to another, and who may say it.

    A label begins with the word, ``start [ready]``: behind a blank stand its conditions and its
    deadline. ``is_aside``: it tells of the process' death and end, not of the work.
    """

    source: str
    dest: str
    labels: list[str]
    who: Literal["anyone", "worker", "daemon"]
    is_aside: bool


class Lifecycle(TypedDict):
    """What states a unit has, and what leads from one to another: ``GET statusd:lifecycle:{name}``.

    Written when a unit begins, with each new connection, every six hours and at its end; gone a
    day after it was written last.
    """

    nodes: list[Node]
    arrows: list[Arrow]


class Document(TypedDict):
    """The status document: ``GET statusd:status:{name}``.

    ``trouble`` says what somebody has to put right, in words; empty if there is nothing.
    ``ends_within_s`` is the time in seconds from END by command to the last thing that is done
    about the worker: SIGKILL; of an attached program, that it is said. ``words`` is what the unit's
    own lifecycle knows; it is missing for the built-in one.
    ``daemon`` is the name of the daemon that can launch the unit again when it has ended; it is
    missing where the daemon leaves with its unit.
    ``waits_for`` is the word that begins the work, where the worker stands by for want of it.
    ``deadline`` is when the job has to be over; it is missing where it has no deadline.
    ``at`` is when it was written; with nothing new that is every ``beat_s`` seconds.
    """

    name: str
    tags: list[str]
    boot: int
    seq: int
    run: int
    state: str
    part: Literal["works", "waits", "ends"]
    kind: Literal["waiting", "working", "acting", "fault", "end"]
    since: str
    goal: str
    allowed: list[str]
    waits_for: str
    observed: bool
    unseen_since: str | None
    text: str
    progress: Progress | None
    args: Args
    worker: Worker
    stop: Stop | None
    last: Last | None
    ended: Ended | None
    host: str
    pid: int
    channels: list[str]
    link: Literal["DOWN", "CONNECTING", "CONFIRMING", "CATCHING_UP", "LISTENING"]
    outages: int
    canary_ms: float | None
    beat_s: float
    ends_within_s: float
    daemon: NotRequired[str]
    deadline: NotRequired[str]
    words: NotRequired[list[str]]
    trouble: str
    at: str


class Verdict(TypedDict):
    """The answer of one unit to one command, or to ``count`` of them.

    ``ms`` is the time from when the command was heard, the first one of several, until it was
    answered. A ``repeat`` is the recorded verdict: its ``ms`` is that of the first time. With
    ``kept`` false the unit's disk can't be written: if its daemon is killed now, the next one
    doesn't know of the command, or, if it is a durable one, obeys it again.
    """

    verdict: VerdictKind
    id: NotRequired[str]
    name: str
    boot: int
    seq: int
    command: str
    source: str
    state: str
    reason: NotRequired[str]
    allowed: NotRequired[list[str]]
    did_you_mean: NotRequired[str]
    observed: NotRequired[bool]
    kept: NotRequired[bool]
    repeat: NotRequired[bool]
    count: NotRequired[int]
    status: NotRequired[Document]
    ms: float


class LogQuestion(TypedDict):
    """What is asked of a unit's output, on its channel ``statusd:logs:{name}`` or on its socket.

    The last ``lines`` (2,000 at most), with ``since`` (RFC 3339) only later ones, of one ``stream``
    only if that is said. With ``follow_s`` (60 at most) what comes is sent as well, for so many
    seconds; who goes on reading asks again before that, with ``boot`` and ``after`` of what he has
    had last (``next``), so that he is told what he has missed, and nothing twice. ``reply_to``
    begins with ``statusd:reply:logs:``; on a socket there is none.
    """

    ask: Literal["logs"]
    reply_to: NotRequired[str]
    lines: NotRequired[int]
    follow_s: NotRequired[float]
    since: NotRequired[str]
    stream: NotRequired[Literal["stdout", "stderr"]]
    boot: NotRequired[int]
    after: NotRequired[list[int]]


class LogLine(TypedDict):
    """A line of a worker's, as it printed it: it may hold anything; ``cut`` bytes more it had."""

    at: str
    run: int
    stream: Literal["stdout", "stderr"]
    line: str
    cut: NotRequired[int]


class Standing(TypedDict):
    """What the worker has printed without an end so far, a progress bar say."""

    run: int
    stream: Literal["stdout", "stderr"]
    line: str


class Logs(TypedDict):
    """What a unit (``logs`` is its name) tells who asks for its worker's output.

    The answer to a question (``answer``) is one message, or several, of which all but the last have
    ``more``. Those of what comes have the numbers ``seq`` that follow on it. ``left_out``: so many
    lines are missing before these. ``next``: so many lines of standard output and error are behind
    whoever has read it.
    ``standing`` is in place of what it was before, null for nothing. After ``refused`` (why) and
    ``ended`` nothing more comes.
    """

    logs: str
    boot: int
    seq: int
    lines: list[LogLine]
    left_out: NotRequired[int]
    next: NotRequired[list[int]]
    answer: NotRequired[bool]
    more: NotRequired[bool]
    standing: NotRequired[Standing | None]
    refused: NotRequired[str]
    ended: NotRequired[str]


class Gap(TypedDict):
    """From when to when a unit may have missed something, and what became of durable commands.

    ``lost`` is null if nobody can know how many can't be read any more.
    """

    start: str
    end: str
    recovered: int
    lost: int | None


class Event(TypedDict):
    """The record of one transition; its id is also that of its entry in the history.

    With ``gap`` it is none: the unit was deaf, and ``old`` and ``new`` are the state it is in. With
    the trigger ``drop`` neither: more was to be said than the broker took, and ``reason`` tells
    how much of it was dropped. Nor with ``grow`` and ``shrink``, ``hang`` and ``recover``,
    ``unreached``: that is about the worker, and nothing was done.
    """

    event: str
    name: str
    boot: int
    seq: int
    run: int
    old: str
    new: str
    trigger: str
    source: str
    by: NotRequired[str]
    id: NotRequired[str]
    args: NotRequired[Args]
    reason: NotRequired[str]
    stderr: NotRequired[list[str]]
    gap: NotRequired[Gap]
    previous: NotRequired[str]
    at: str
