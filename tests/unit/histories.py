"""Histories in words: a `Status` lives through a story, with a worker that does as it is told.

    story = Story("boot [ready] start [sees]")
    said(story.play("pause#a [sees]")) == ["pause accepted", "pause done"]

What the words of a history mean:

- ``boot``: the daemon's parts stand; ``boot:7``: and something of run 7 has outlived the last one.
  ``SIGTERM``, ``SIGINT``: the signal came.
- ``start``, ``start#a``: a command, as a plain word or with an id.
- ``{}#a``: a message with that id that is no command.
- ``[ready] [sees] [asks pause] [hangs] [exits 1] [gone] [not started]``: the worker of this run; it
  ``sees`` what stands on its board, or ``saw`` what stood there before. ``[old exits 1]``: the
  worker of the run before. ``[unreached SIGKILL]``: that could not be sent to all of it.
  ``[has 2.1]``: it has so many GiB of memory.
- ``(backoff)``: that deadline passes, at the time for which it is armed. It must be armed.
- ``+2.5``: so many seconds go by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from statusd.core import events as ev
from statusd.core.capabilities import Capabilities
from statusd.core.errors import BadMessage
from statusd.core.lifecycle import BUILT_IN, Lifecycle
from statusd.core.messages import Command
from statusd.core.policy import Policy
from statusd.core.status import Status
from statusd.core.unit import Identity, Memory

ME = Identity("counter", frozenset({"demo", "gpu"}), boot=7)

WAYS = {
    "INIT": "boot",
    "READY": "boot [ready]",
    "RUNNING": "boot [ready] start [sees]",
    "PAUSED": "boot [ready] start [sees] pause [sees]",
    "BACKOFF": "boot [exits 1] [gone]",
    "FAILED": "boot" + 5 * " [exits 1] [gone] (backoff)" + " [exits 1] [gone]",
    "ENDING": "boot [ready] end",
    "END": "boot [ready] end [exits 0] [gone]",
}
"""A way to each state; but for INIT to PAUSED and ENDING, nothing of a worker lives there."""
STATES = tuple(WAYS)

SUDO = "pid 9 (sudo, of root)"
EPERM = "can't be signalled: Operation not permitted"

_TOKEN = re.compile(r"\[[^]]*\]|\([^)]*\)|\S+")
_Kind = TypeVar("_Kind")


class Story:
    """A status and what became of it.

    Args:
        history: what happens first.
        memory: what the last daemon left.
        goal: the default one.
        draw: chance.
        lifecycle, capabilities: the user's, instead of the built-in one and a function.
        policy: fields of `Policy`.
    """

    def __init__(
        self,
        history: str = "",
        *,
        memory: Memory | None = None,
        goal: str = "",
        draw: Callable[[], float] = lambda: 0.5,
        lifecycle: Lifecycle = BUILT_IN,
        capabilities: Capabilities | None = None,
        **policy: Any,
    ) -> None:
        self.status = Status(
            ME,
            lifecycle=lifecycle,
            capabilities=capabilities,
            policy=Policy(**policy),
            memory=memory,
            default_goal=goal,
            draw=draw,
            objection=self._objection,
        )
        self.asked: list[str] = []
        """The states of which the status has asked whether their signals would arrive."""
        self.barred: dict[str, str] = {}
        """State -> why its signal wouldn't."""
        self.untold = ""
        """Why a program can't be told a state, though it seemed so; empty while it can."""
        self.now = 1000.0
        self.effects: list[ev.Effect] = []
        self.armed: dict[ev.Timer, float] = {}
        self.living: set[int] = set()
        """The runs of which something may live."""
        self.overlapped = False
        """A worker was started while an older one lived."""
        self.board = self.board_before = (0, 0)
        """Number of the event and of the state that stand on the board, or stood there before."""
        self.play(history)

    @property
    def state(self) -> str:
        """The name of the present state."""
        return self.status.state.name

    @property
    def goal(self) -> str:
        """The name of the present goal."""
        return self.status.goal.name

    @property
    def states(self) -> list[str]:
        """Every state so far, by the events."""
        return ["INIT", *(event["new"] for event in events(self.effects))]

    def snapshot(self) -> tuple[object, ...]:
        """Return all that a refused command must leave alone."""
        return self.state, self.status.seq, self.status.memory(), dict(self.armed), self.board

    def play(self, history: str) -> list[ev.Effect]:
        """Live through ``history`` and return the effects of it."""
        return [effect for token in _TOKEN.findall(history) for effect in self.step(token)]

    def step(self, token: str) -> list[ev.Effect]:
        """Live through one word of a history."""
        if token.startswith("+"):
            self.now += float(token[1:])
            return []
        if token.partition(":")[0] == "boot":
            survivor = int(token.partition(":")[2] or 0)
            self.living |= {survivor} - {0}
            return self.happen(ev.Booted(survivor))
        if token.startswith("SIG"):
            return self.happen(ev.Signalled(token))
        if token.startswith("("):
            return self.happen(self._deadline(ev.Timer(token[1:-1])))
        if token.startswith("["):
            return self.happen(self._worker(token[1:-1]))
        return self.happen(self._message(*token.split("#")))

    def send(self, word: str, *, expired: bool = False, **fields: Any) -> list[ev.Effect]:
        """Let a command come, with ``fields`` of `Command`."""
        command = Command(word, "redis:mychannel", **{"received": self.now} | fields)
        return self.happen(ev.Commanded(command, expired))

    def happen(self, happened: ev.Input) -> list[ev.Effect]:
        """Let ``happened`` happen and return the effects of it."""
        if isinstance(happened, ev.WorkerGone | ev.WorkerNotStarted):
            self.living.discard(happened.run)
        effects = self.status.handle(happened, self.now)
        for effect in effects:
            self._observe(effect)
        self.effects += effects
        if self.status.capabilities.is_answered:
            return effects
        told = [self._told(show) for show in only(effects, ev.Show)]
        return effects + [effect for one in told for effect in self.happen(one)]

    def _objection(self, number: int) -> str:
        name = self.status.lifecycle.members()[number].name
        self.asked.append(name)
        return self.barred.get(name, "")

    def _told(self, show: ev.Show) -> ev.Input:
        """Return what becomes of it that a program was told a state: it says nothing itself."""
        if self.untold:
            return ev.WorkerUntold(show.run, show.seq, self.untold)
        return ev.WorkerAcknowledged(show.run, show.seq, show.number)

    def _message(self, word: str, command_id: str = "") -> ev.Input:
        if word == "{}":
            error = BadMessage("no command", b"{}", {"id": command_id})
            return ev.InvalidMessage(error, "redis:mychannel", self.now)
        return ev.Commanded(Command(word, "redis:mychannel", self.now, id=command_id))

    def _deadline(self, timer: ev.Timer) -> ev.Passed:
        assert timer in self.armed, f"{timer} was not armed"
        self.now = max(self.now, self.armed.pop(timer))
        return ev.Passed(timer)

    def _worker(self, deed: str) -> ev.Input:
        run = self.status.worker.run
        if deed.startswith("old "):
            run, deed = run - 1, deed[4:]
        what, _, how = deed.partition(" ")
        return _DEEDS[what](run, how, self)

    def _observe(self, effect: ev.Effect) -> None:
        match effect:
            case ev.StartWorker():
                self.overlapped |= bool(self.living)
                self.living.add(effect.run)
                self.board = self.board_before = (effect.seq, effect.number)
            case ev.Show():
                self.board_before, self.board = self.board, (effect.seq, effect.number)
            case ev.Arm():
                self.armed[effect.timer] = self.now + effect.after_s
            case ev.Disarm():
                self.armed.pop(effect.timer, None)
            case _:
                pass


_DEEDS: dict[str, Callable[[int, str, Story], ev.Input]] = {
    "ready": lambda run, _, __: ev.WorkerReady(run),
    "sees": lambda run, _, story: ev.WorkerAcknowledged(run, *story.board),
    "saw": lambda run, _, story: ev.WorkerAcknowledged(run, *story.board_before),
    "asks": lambda run, trigger, _: ev.WorkerTriggered(run, trigger, "its own idea"),
    "exits": lambda run, code, _: ev.WorkerExited(run, int(code), f"exit code {code}"),
    "returns": lambda run, _, __: ev.WorkerExited(run, 0, "exit code 0", returned=True),
    "dies": lambda run, last, _: ev.WorkerExited(run, 1, "exit code 1", ("warning", last)),
    "hangs": lambda run, _, __: ev.WorkerHung(run, 12.3),
    "has": lambda run, gib, _: ev.WorkerGrown(run, round(float(gib) * 2**30)),
    "unreached": lambda run, by, _: ev.WorkerUnreached(run, ev.Force(by), SUDO, EPERM),
    "gone": lambda run, _, __: ev.WorkerGone(run),
    "not": lambda run, _, __: ev.WorkerNotStarted(run, "no such file"),
}


def only(effects: list[ev.Effect], *kinds: type[_Kind]) -> list[_Kind]:
    """Return the effects of these ``kinds``, in order."""
    return [effect for effect in effects if isinstance(effect, kinds)]


def events(effects: list[ev.Effect]) -> list[Mapping[str, Any]]:
    """Return the fields of each event."""
    return [effect.fields for effect in only(effects, ev.Event)]


def steps(effects: list[ev.Effect]) -> list[str]:
    """Return the transitions, in words: ``READY start RUNNING``."""
    return [f"{event['old']} {event['trigger']} {event['new']}" for event in events(effects)]


def answers(effects: list[ev.Effect]) -> list[dict[str, Any]]:
    """Return the fields of each verdict."""
    return [dict(effect.verdict.fields) for effect in only(effects, ev.Say)]


def said(effects: list[ev.Effect]) -> list[str]:
    """Return the verdicts, in words: ``start accepted``."""
    return [
        f"{answer['command']} {answer['verdict']}{' again' if answer.get('repeat') else ''}"
        for answer in answers(effects)
    ]


def number(state: str) -> int:
    """Return what stands for ``state`` of the built-in lifecycle on the board."""
    return list(BUILT_IN.states.__members__).index(state)
