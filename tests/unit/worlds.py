"""A `Unit` in a world of its own: histories in words, with a clock that stands still.

    world = World("boot [ready] start [sees]")
    world.play("pause#a [sees]")
    assert world.said() == ["pause accepted", "pause done"]

The unit, its status, its store and all its parts are real; what stands for the world are a loop
(`Loop`), a broker that takes whatever is sent (`Broker`), a disk (`Disk`) and a worker (`Worker`).
What the words of a history mean:

- ``boot``: it has its name, and begins to live. ``SIGTERM``: the signal came.
- ``start``, ``start#a``: a command on a channel, as a plain word or with an id; ``~start#a``: an
  entry of the stream. ``resume*3``: that word so often, heard together.
- ``[ready] [sees] [exits 1] [gone]``: the worker of this run; ``[saw]``: it takes in its state, and
  nobody was told of that yet.
- ``(backoff)``: that deadline passes. ``+2.5``: so many seconds go by, with what is due.
- ``disk``: what is on its way to the disk is there. ``link``, ``cut``: we hear, or are deaf.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from statusd import logs
from statusd.core import events as ev
from statusd.core.messages import Command
from statusd.core.policy import Policy
from statusd.core.status import Status
from statusd.core.unit import Identity
from statusd.daemon.sending import Sending
from statusd.lifecycles.drawing import as_json
from statusd.supervision.relay import Outlet
from statusd.supervision.resources import Usage
from statusd.supervision.ring import Ring
from statusd.supervision.supervisor import Means
from statusd.supervision.worker_channel import Pulse, Spec
from statusd.unit import life
from statusd.unit.cursor import Delivery
from statusd.unit.kept import NOTHING, Kept
from statusd.unit.parts import Parts
from statusd.unit.ports import Ports
from statusd.unit.stream_position import NOWHERE, StreamPosition
from statusd.unit.unit import Unit
from statusd.wire.names import Names
from statusd.wire.outbox import Outbox, Outgoing, RedisCommand
from statusd.wire.roster import Roster
from statusd.worker.board import Record

WALL = 1_700_000_000.0
"""What the clock on the wall says when that of the loop says 0."""

SPEC = Spec(
    ("INIT", "READY", "RUNNING", "PAUSED", "BACKOFF", "FAILED", "ENDING", "END"),
    "swrwwwee",
    function="job:main",
)


class Handle:
    """What a `Loop` has promised."""

    def __init__(self, due: float, call: Callable[[], object]) -> None:
        self.due, self.call, self.is_cancelled = due, call, False

    def when(self) -> float:
        """Return when it is due."""
        return self.due

    def cancel(self) -> None:
        """Let it never come."""
        self.is_cancelled = True


class Loop:
    """Time that goes by when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Handle]] = []

    def time(self) -> float:
        """Return the time."""
        return self.now

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        """Promise a call."""
        return self.call_at(self.now + delay, callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Any:
        """Promise a call."""
        handle = Handle(when, lambda: callback(*args))
        heapq.heappush(self._due, (when, next(self._order), handle))
        return handle

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Nobody reads."""

    def remove_reader(self, fd: int) -> bool:
        """Nobody reads."""
        return False

    def add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Nobody writes."""

    def remove_writer(self, fd: int) -> bool:
        """Nobody writes."""
        return False

    def run(self, callback: Callable[..., object], *args: Any) -> None:
        """Call at once."""
        callback(*args)

    def pass_by(self, seconds: float) -> None:
        """Let the time go by, and do what is due meanwhile."""
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            due, _, handle = heapq.heappop(self._due)
            self.now = max(self.now, due)
            if not handle.is_cancelled:
                handle.call()
        self.now = until


class Broker:
    """Takes whatever is sent, in order, and replies OK, if nothing else is said in ``replies``."""

    def __init__(self, loop: Loop) -> None:
        self.link = Outgoing()
        self.roster = Roster(self.link.open(lambda line, reason: None), logs.get())
        self.sent: list[RedisCommand] = []
        self.writes: list[list[RedisCommand]] = []
        """What was sent at once, each time."""
        self.replies: dict[str, object] = {}
        self.is_up = True
        self.link_state = "LISTENING"
        self.canary_s: float | None = None
        self.refused: dict[str, str] = {}
        self._loop = loop
        sending = Sending(loop, self._send)
        self.flush, self.flush_soon = sending.flush, sending.flush_soon

    def open_outbox(self, refused: Callable[[RedisCommand, str], None]) -> Outbox:
        """Return an outbox."""
        return self.link.open(refused)

    def close_outbox(self, outbox: Outbox) -> None:
        """Send nothing of it any more."""
        self.link.close(outbox)

    def _send(self) -> None:
        while self.is_up and (lines := self.link.take(1000)):
            self.sent += lines
            self.writes.append(lines)
            for line in lines:
                reply = self.replies.get(str(line[0]), b"OK")
                if reply != b"OK" or not self.link.passed():
                    self.link.replied(reply)

    def time(self) -> float:
        """Return its wall clock."""
        return 1_800_000_000.0 + self._loop.now

    def heard_at(self) -> float:
        """Return when it said something last."""
        return self._loop.now


class Disk:
    """The state file: what is saved is there when `sync` is called."""

    def __init__(self) -> None:
        self.path = Path("unit.json")
        self.kept = self._saved = 0
        self.place: StreamPosition = NOWHERE
        self.trouble = ""
        self.failures = 0
        self.written: Callable[[int], None] = lambda _: None
        self.content: Kept = NOTHING
        self.saves: list[tuple[Kept, bool]] = []
        """What was to be saved, and whether somebody waits for it."""
        self._waiting: Kept | None = None

    def save(self, kept: Kept, boot: int, *, now: bool = False) -> int:
        """Take what is to be saved."""
        self._saved += 1
        self._waiting = kept
        self.saves.append((kept, now))
        return self._saved

    def is_open(self, key: str) -> bool:
        """Tell whether a successor would find that command open."""
        files = (self.content, self._waiting)
        return any(c.key == key for kept in files if kept for c in kept.memory.open)

    def sync(self) -> None:
        """Bring it to the disk, unless that is in trouble."""
        while self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            if not self.trouble:
                self.content, self.kept, self.place = waiting, self._saved, waiting.place
            self.written(self._saved)

    async def idle(self, _: float) -> None:
        """Wait for the disk."""
        self.sync()

    async def close(self) -> None:
        """Wait for the disk."""
        self.sync()


class NoStrays:
    """Nobody who has left a group."""

    def look(self, *, lately_s: float = 0.0) -> bool:
        """See nobody."""
        return False

    def orphans(self) -> list[int]:
        """Return nobody."""
        return []


class Memory:
    """Stands for the sampler of a worker's processes: whatever a test says, at once."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.samples = 0
        self.due_at = 0.0

    def has(self, memory: int) -> None:
        """Let the worker have so many bytes from now on, in a process."""
        self.usage = Usage(0.5, 12.0, memory, threads=3, processes=1, descriptors=7)

    def sample(self, leader: int, orphans: list[int], done: Callable[[Usage], None]) -> None:
        """Take a sample."""
        self.samples += 1
        if self.usage is not None:
            done(self.usage)


NO_STRAYS = NoStrays()


class Worker:
    """A worker's process, as the supervisor makes it."""

    made: list[Worker]

    def __init__(self, spec: Spec, run: int, submit: Callable[[ev.Input], None], *_: Any) -> None:
        self.run, self.pid = run, 4000 + run
        self.submit = submit
        self.shown: list[tuple[int, int]] = []
        self.signals: list[str] = []
        self.arrived: ev.Input | None = None
        self.beats = 0
        self.said: Record | None = None
        self.strays = NO_STRAYS
        self.sampler = Memory()
        self.is_over = True

    def start(self, number: int, seq: int, args: Any) -> None:
        """Be started in a state."""
        self.shown.append((number, seq))

    def show(self, show: ev.Show) -> None:
        """Be told a state."""
        self.shown.append((show.number, show.seq))

    def objection(self, number: int) -> str:
        """Have none."""
        return ""

    def flush(self) -> ev.Input | None:
        """Return what was taken in, and nobody was told of."""
        arrived, self.arrived = self.arrived, None
        return arrived

    def sees(self) -> ev.WorkerAcknowledged:
        """Return that it has taken in what it was told last."""
        number, seq = self.shown[-1]
        return ev.WorkerAcknowledged(self.run, seq, number)

    def stop(self, force: ev.Force) -> bool:
        """Be signalled."""
        self.signals.append(force.value)
        return True

    def record(self) -> Record | None:
        """Return what it has said of its work."""
        return self.said

    def pulse(self) -> Pulse:
        """Return its signs of life."""
        return Pulse(self.beats)

    def lost_lines(self) -> int:
        """Return that all was printed."""
        return 0

    def close(self) -> None:
        """Give nothing back."""


class World:
    """A unit and what becomes of it.

    Args:
        history: what happens first.
        name: of the unit; broker, loop: shared with other units, if they are given.
        left: what the last daemon has left.
        ring: what the worker has printed; None if that doesn't come by the daemon.
        policy: fields of `Policy`.
    """

    def __init__(
        self,
        history: str = "",
        *,
        name: str = "unit",
        loop: Loop | None = None,
        broker: Broker | None = None,
        left: Kept = NOTHING,
        ring: Ring | None = None,
        **policy: Any,
    ) -> None:
        self.loop = loop or Loop()
        self.broker = broker or Broker(self.loop)
        self.disk = Disk()
        self.disk.content, self.disk.place = left, left.place
        self.workers: list[Worker] = []
        self.codes: list[int] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.fields: dict[str, Any] = {}
        self.tidied = 0
        self.set_by = 0.0
        """So many seconds the clock on the wall was set by, or the loop's has stood still."""
        self.heard: list[str] = []
        self._is_untidy = False
        self._at = 0
        self._entries = itertools.count(1)
        names = Names("statusd", name)
        nowhere: Any = None
        outlet = Outlet(nowhere, nowhere, ring) if ring is not None else None
        identity = Identity(name, boot=7)
        parts = Parts(
            identity=identity,
            make_status=lambda memory, objection: Status(
                identity,
                policy=Policy(**policy),
                memory=memory,
                objection=objection,
            ),
            names=names,
            means=Means(SPEC, outlet, make_process=self._make_worker),
            state_file=cast(Any, self.disk),
            kept=left,
            last_boot=0,
            socket=Path("/nowhere/unit.sock"),
            channels=("mychannel",),
            lasting_s=60.0,
            fresh=False,
            drawn=lambda: as_json(self.unit.status.lifecycle),
        )
        ports = Ports(
            loop=self.loop,
            wall=lambda: WALL + self.loop.now + self.set_by,
            broker=self.broker,
            heard=lambda: self.heard.append(self.unit.name),
            later=self._later,
            changed=lambda: None,
            ended=self.codes.append,
            health=dict,
            stream_trouble=lambda: "",
            log=self,
        )
        self.unit = Unit(parts, ports, cast(Any, None))
        self.play(history)

    def info(self, event: str, **fields: Any) -> None:
        """Be told a line of the log."""
        self.logged.append((event, fields))

    warning = error = debug = info

    def _make_worker(self, *args: Any) -> Any:
        self.workers.append(Worker(*args))
        return self.workers[-1]

    def _later(self) -> None:
        if not self._is_untidy:
            self._is_untidy = True
            self.loop.call_later(0.02, self._tidy)

    def _tidy(self) -> None:
        self._is_untidy = False
        self.tidied += 1
        self.unit.tidy()
        self.unit.ports.broker.flush()

    # ---- what happens --------------------------------------------------------------------------

    def play(self, history: str) -> None:
        """Live through ``history``."""
        for token in history.replace("[exits ", "[exits_").split():
            self._step(token)

    def _step(self, token: str) -> None:
        unit = self.unit
        if token.startswith("+"):
            self.loop.pass_by(float(token[1:]))
        elif token == "boot":
            unit.document.is_ours = True
            unit.happened(ev.Booted(0, unit.ports.wall()))
        elif token.startswith("SIG"):
            unit.happened(ev.Signalled(token))
        elif token.startswith("("):
            unit.happened(ev.Passed(ev.Timer(token[1:-1])))
        elif token.startswith("["):
            self._worker(token[1:-1])
        elif token == "disk":
            self.disk.sync()
        elif token == "link":
            unit.hears()
        elif token == "cut":
            unit.is_deaf("closed")
        elif token.startswith("~"):
            self._durable(token[1:])
        else:
            self._heard(token)

    def _worker(self, what: str) -> None:
        worker = self.workers[-1]
        word, _, rest = what.partition("_")
        match word:
            case "ready":
                self.unit.happened(ev.WorkerReady(worker.run))
            case "sees":
                self.unit.happened(worker.sees())
            case "saw":
                worker.arrived = worker.sees()
            case "exits":
                self.unit.happened(ev.WorkerExited(worker.run, int(rest), f"exit code {rest}"))
            case "gone":
                self.unit.happened(ev.WorkerGone(worker.run))
            case _:
                raise ValueError(what)

    def _heard(self, token: str) -> None:
        spelled, _, times = token.partition("*")
        word, _, command_id = spelled.partition("#")
        said = json.dumps({"command": word, "id": command_id}) if command_id else word
        for _ in range(int(times or 1)):
            self.unit.hear(b"mychannel", said.encode())
        self.unit.intake.is_quiet = True
        self.unit.flush()

    def _durable(self, token: str) -> None:
        word, _, command_id = token.partition("#")
        number = next(self._entries)
        command = Command(word, f"stream:{number}-0", self.loop.now, id=command_id)
        self.unit.happened(
            Delivery((ev.Commanded(command),), StreamPosition(f"{number}-0", number))
        )

    async def leave(self) -> None:
        """Let the unit come to its end, as its daemon does."""
        life.stop_hearing(self.unit)
        await life.say_last_words(self.unit)
        life.keep_unsent(self.unit)
        await life.close(self.unit)

    # ---- what came of it -----------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The name of the present state."""
        return self.unit.status.state.name

    def new(self) -> list[RedisCommand]:
        """Return what was sent since the last look."""
        sent = self.broker.sent[self._at :]
        self._at = len(self.broker.sent)
        return sent

    def verdicts(self) -> list[dict[str, Any]]:
        """Return every verdict that was published so far."""
        channel = "statusd:verdicts"
        return [
            json.loads(str(line[2]))
            for line in self.broker.sent
            if line[:2] == ("PUBLISH", channel)
        ]

    def said(self) -> list[str]:
        """Return the verdicts so far, as ``pause done``."""
        return [f"{one['command']} {one['verdict']}" for one in self.verdicts()]

    def events(self) -> list[dict[str, Any]]:
        """Return every event that was published so far."""
        lines = (line for line in self.broker.sent if line[:2] == ("PUBLISH", "statusd:events"))
        return [json.loads(str(line[2])) for line in lines]

    def documents(self) -> list[dict[str, Any]]:
        """Return every status document that was written so far."""
        key = f"statusd:status:{{{self.unit.name}}}"
        return [json.loads(str(line[2])) for line in self.broker.sent if line[:2] == ("SET", key)]


def play_out(world: World) -> None:
    """Let the unit of ``world`` leave."""
    asyncio.run(world.leave())
