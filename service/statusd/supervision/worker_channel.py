"""What the two kinds of worker have in common, seen from the daemon: a `WorkerChannel`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from statusd.core import events as ev
from statusd.core.messages import Scalar
from statusd.scheduler import Scheduler
from statusd.worker import board

Record = board.Record
"""What a worker says of its work; a unit knows the worker's side by us."""

Submit = Callable[[ev.Input], None]
"""Gets an input that the worker has caused."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run, and how.

    Args:
        states, parts: the lifecycle, for the worker's side; parts are letters (see `Worker`).
        ready: when it counts as ready: ``started`` or ``notified``.
        function: ``package.module:name``; command: a program and its arguments. One of them.
        python: the interpreter for a function; empty for our own.
        worker_states: ``module:name`` of the user's Enum, for a function.
        paths: where its modules are looked for first.
        lines: a program gets the states as lines on its standard input.
        signals: state -> the signal that tells a program of it.
        directory: where it runs; empty for here.
        environment: what it inherits; environment_file is read at each start and wins over that,
            chosen_environment over both.
        umask: of the process, -1 for ours; nice: its priority, 0 for ours.
        worker_file: where its process writes who it is; empty for nowhere.
        unit: whose worker it is, as its lines say it; empty if there is no other unit.
        ignored: signals that are for the daemon, wherever they come.
        deadline: when its job has to be over, in Unix time; 0 for never.
    """

    states: tuple[str, ...]
    parts: str
    ready: str = "started"
    function: str = ""
    command: tuple[str, ...] = ()
    python: str = ""
    worker_states: str = ""
    paths: tuple[str, ...] = ()
    lines: bool = False
    signals: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_file: Path | None = None
    chosen_environment: Mapping[str, str] = field(default_factory=dict)
    umask: int = -1
    nice: int = 0
    worker_file: str = ""
    unit: str = ""
    ignored: tuple[int, ...] = ()
    deadline: float = 0.0

    @property
    def what(self) -> str:
        """What is run, for a human."""
        return self.function or " ".join(self.command)


@dataclass(frozen=True, slots=True)
class Spawn:
    """How a channel wants its process to be started.

    Args:
        argv: the command line; stdin: a descriptor for its standard input.
        fds: what it inherits beside that; variables: what its environment gets.
    """

    argv: Sequence[str]
    stdin: int
    fds: Sequence[int] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


class Pulse(NamedTuple):
    """A worker's signs of life, as it left them.

    Args:
        beats: turns of its work loop, or ``WATCHDOG=1``; 0 for one that never beats.
        seen: the state word that it took in last.
        patience_until: it asked for patience until then (monotonic seconds); 0 if it didn't.
    """

    beats: int = 0
    seen: int = 0
    patience_until: float = 0.0


class WorkerChannel(ABC):
    """How the daemon talks with one run's process.

    Args:
        spec: what to run.
        run: its generation.
        submit: gets every input that the worker causes; flush: called after a batch of them.
        loop: whose time it is, and who waits for the descriptors.
    """

    def __init__(
        self, spec: Spec, run: int, submit: Submit, flush: Callable[[], None], loop: Scheduler
    ) -> None:
        self.error = ""
        """What the worker itself said of its end; empty for nothing."""
        self.severed = ""
        """That it has closed its end of what it was given, in words; empty if not."""
        self.has_returned = False
        """It is a function that came to its end."""
        self._spec = spec
        self._run = run
        self._submit = submit
        self._flush = flush
        self._loop = loop

    @abstractmethod
    def prepare(self, number: int, seq: int, args: Mapping[str, Scalar]) -> Spawn:
        """Make what the process is started with; the state is ``number`` of event ``seq``.

        Raises:
            OSError: the system refused.
        """

    @abstractmethod
    def started(self, pid: int) -> None:
        """Listen to the process ``pid``, and give up what only it needs."""

    @abstractmethod
    def show(self, number: int, seq: int, args: Mapping[str, Scalar] | None) -> str | None:
        """Tell it a state; ``args``, if there are new ones, before that. Never waits.

        Of a worker that won't say itself what it has taken in, it is an input whether it was told.

        Returns:
            Why it couldn't be told, if so; then nothing has become of it.
        """

    @abstractmethod
    def flush(self) -> ev.Input | None:
        """All that is to be told for now was told: see that it is noticed.

        Returns:
            What it has led to already, if anything.
        """

    @abstractmethod
    def drain(self) -> None:
        """Take in what it said before it died."""

    @abstractmethod
    def record(self) -> Record | None:
        """Return what it said of its work last, if anything."""

    @abstractmethod
    def pulse(self) -> Pulse:
        """Return its signs of life."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""
