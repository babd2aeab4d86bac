"""A unit that has ended, in a daemon that goes on without it: it waits to be launched.

Rule of this file: nothing but a launch is heard, and nothing else is answered.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from statusd.core import events as ev
from statusd.core.answers import Answer, Answers, Moment, Verdict
from statusd.core.errors import BadMessage
from statusd.core.messages import Command, parse
from statusd.core.times import has_passed, rfc3339
from statusd.core.words import DAEMONS
from statusd.unit.cursor import Cursor, Delivery
from statusd.unit.parts import Parts
from statusd.unit.ports import Broker
from statusd.unit.stream_position import StreamPosition

(LAUNCH,) = DAEMONS
END = "END"
_SIGN = LAUNCH.encode()
"""What stands in each message that is for one, in whatever case."""


class Resting:
    """Hears in the place of a unit that has ended.

    Args:
        parts: what it was made of.
        place: how far it has read the stream of durable commands.
        document: what is said of it.
        broker: for the time of what is heard.
        launch: called with it when somebody wants it to begin again.
        say: publishes a verdict of its.
        asks: Redis may know that it has read further.
    """

    def __init__(
        self,
        parts: Parts,
        place: StreamPosition,
        document: Mapping[str, Any],
        broker: Broker,
        launch: Callable[[Resting], None],
        say: Callable[[Resting, Verdict], None],
        *,
        asks: bool,
    ) -> None:
        self.names, self.name = parts.names, parts.names.name
        self.channels, self.document = parts.channels, document
        self.drawn = parts.drawn
        self.logs = None
        """Its worker prints nothing."""
        self._identity, self._own_words = parts.identity, parts.own_words
        self._broker, self._launch = broker, launch
        self._say = partial(say, self)
        self._moment = Moment(END)
        self._answers = Answers(parts.identity, self._moment)
        self._loop = asyncio.get_running_loop()
        self.commands: list[Command] = []
        """Those that want it to begin, the first one first."""
        self.cursor = Cursor(
            parts.names,
            place,
            fresh=not asks,
            lasting_s=parts.lasting_s,
            deliver=self._delivered,
            broker_time=broker.time,
            complain=lambda event, reason: None,  # its next life tells it, and writes there
            write_anew=lambda: None,
        )

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take one message."""
        if _SIGN not in payload.lower():
            return
        source = f"redis:{channel.decode('ascii', 'backslashreplace')}"
        try:
            command = parse(payload, source, self._loop.time())
        except BadMessage:  # an ended unit has nothing to say of that
            return
        if command is not None:
            self.take(command, expired=has_passed(command.expires, self._broker.time()))

    def _delivered(self, delivery: Delivery) -> None:
        for message in delivery.messages:
            if isinstance(message, ev.Commanded):
                self.take(message.command, expired=message.expired)

    def is_meant(self, command: Command) -> bool:
        """Tell whether a command is for us to begin."""
        is_ours = command.is_control or LAUNCH not in self._own_words
        is_launch = is_ours and command.word.lower() == LAUNCH
        return is_launch and command.target.is_for(self.name, self._identity.tags, END)

    def take(self, command: Command, *, expired: bool) -> None:
        """Take a command, if it is for us to begin."""
        if not self.is_meant(command):
            return
        self._moment.reach(self._loop.time())
        again = self._answers.again(command.key, command.reply_to) if command.id else None
        if again is not None:
            self._say(again)
        elif expired:
            reason = f"it was good until {command.expires}"
            self._say(self._answers.make(command, Answer.EXPIRED, reason))
        elif command.boot not in (None, self._identity.boot):
            reason = f"it is for boot {command.boot}, and the last one was {self._identity.boot}"
            self._say(self._answers.make(command, Answer.REFUSED, reason))
        else:
            self.commands.append(command)
            self._launch(self)

    def left(self, commands: Sequence[Command]) -> list[Verdict]:
        """Return the verdicts to commands that a daemon which was killed has left without one."""
        self._moment.reach(self._loop.time())
        make = self._answers.make
        return [make(command, Answer.FAILED, "the daemon was restarted") for command in commands]

    def refuse(self, reason: str) -> None:
        """It can't begin: say so to whoever wanted it."""
        self._moment.reach(self._loop.time())
        commands, self.commands = self.commands, []
        for command in commands:
            self._say(self._answers.make(command, Answer.REFUSED, reason))

    def fail(self, error: Exception) -> None:
        """A bug in it is nobody else's."""
        self.refuse(f"a bug of statusd: {type(error).__name__}")


def ended_before(parts: Parts, daemon: str) -> dict[str, Any]:
    """Return what is said of a unit that an earlier daemon has ended, of what that has kept."""
    kept, identity = parts.kept, parts.identity
    ended = kept.ended
    return {
        "name": identity.name,
        "tags": sorted(identity.tags),
        "boot": parts.last_boot,
        "seq": 0,
        "run": kept.memory.run,
        "state": END,
        "since": rfc3339(ended.at if ended is not None else 0.0),
        "goal": kept.memory.goal,
        "allowed": [],
        "text": "",
        "args": kept.memory.args,
        "ended": {"source": ended.source, "by": ended.by} if ended is not None else None,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "channels": list(parts.channels),
        "daemon": daemon,
    }
