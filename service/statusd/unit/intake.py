"""From a message on a channel to an input: the hot path of a daemon.

A plain word that changes nothing never reaches the status: it is counted here, a look-up each.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

from statusd.core import events as ev
from statusd.core.answers import Verdict
from statusd.core.coalescer import MOST_SPELLINGS, Coalescer
from statusd.core.errors import BadMessage
from statusd.core.messages import Command, parse
from statusd.core.status import Status
from statusd.core.times import has_passed
from statusd.core.words import DecisionKind
from statusd.scheduler import Scheduler
from statusd.unit.ports import Broker

_ANSWERS = (b'{"verdict":', b'{"event":')
"""How begins what units say: one of them too long or too deep to be read is an answer all the same,
and never answered."""
HELD_BACK_S = 0.25
"""How soon answers that were held back are looked at again, in seconds."""


class Intake:
    """Sorts messages into what must be decided and what need only be counted.

    Args:
        status: knows which words change nothing now.
        submit: gets every command that may change something.
        began: called when something is heard, once until `is_quiet` is set again.
        broker: for the time of what is heard, and of ``expires``.
        look_again: called when answers held back may be due.
        loop: whose time it is.
    """

    def __init__(
        self,
        status: Status,
        *,
        submit: Callable[[ev.Input], None],
        began: Callable[[], None],
        broker: Broker,
        look_again: Callable[[], None],
        loop: Scheduler,
    ) -> None:
        self._loop = loop
        self._status = status
        self._commands = status.commands
        self._submit = submit
        self.is_behind = False
        """Something that came earlier has yet to be done: what a word means now isn't said."""
        self._began = began
        self.is_quiet = True
        """Nothing was heard since who looks after us has looked."""
        self._broker = broker
        self._look_again = look_again
        self._coalescer = Coalescer()
        self._slots = self._coalescer.slots
        self._known: dict[bytes, tuple[str, str]] = {}
        self._held_back: asyncio.TimerHandle | None = None
        self._decided = 0
        self._revision = -1

    @property
    def commands(self) -> int:
        """How many commands were heard on the channels, whatever became of them."""
        return self._decided + self._coalescer.counted

    @property
    def invalid(self) -> int:
        """How many messages were heard that are no command."""
        return self._coalescer.invalid

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take one message that is meant for us."""
        if self.is_quiet:
            self.is_quiet = False
            self._began()
        if self._revision != self._status.revision:
            self._forget()
        slot = self._slots.get(channel + payload)
        if slot is not None:
            slot.count += 1
        else:
            self._sort(channel, payload)

    def _forget(self) -> None:
        """The status has decided on something: what changes nothing must be found out anew."""
        self._revision = self._status.revision
        if self._slots:
            self._coalescer.forget(self._broker.heard_at())

    def answers(self) -> list[Verdict]:
        """Return the answers that are due, and see that the rest is not forgotten."""
        coalescer = self._coalescer
        if not (self._slots or coalescer.untold or coalescer.invalid_slot):
            return []
        told = self._coalescer.due(self._loop.time(), self._broker.heard_at())
        if self._coalescer.holds_back and self._held_back is None:
            self._held_back = self._loop.call_later(HELD_BACK_S, self._due)
        return told

    def hear_local(self, line: bytes) -> ev.Commanded | Verdict | None:
        """Take a line that came by the local socket, and not by a channel.

        Returns:
            The command in it, with an id to answer it by; what is to be answered, if it is none;
            nothing for an answer of another unit.
        """
        now = self._loop.time()
        try:
            command = parse(line, "socket", now)
        except BadMessage as error:
            if error.raw.startswith(_ANSWERS):
                return None
            return self._commands.invalid(error, "socket", now)
        if command is None:
            return None
        if not command.id:
            command = replace(command, id=os.urandom(16).hex())
        return ev.Commanded(command, has_passed(command.expires, self._broker.time()))

    def last_answers(self) -> list[Verdict]:
        """Return every answer that was held back: nothing is heard any more."""
        return self._coalescer.drain(self._loop.time(), self._broker.heard_at())

    def _due(self) -> None:
        self._held_back = None
        self._look_again()

    def _sort(self, channel: bytes, payload: bytes) -> None:
        key = channel + payload
        known = self._known.get(key)
        if known is not None:
            command = Command(*known, self._loop.time())
        else:
            read = self._read(channel, payload)
            if read is None:
                return
            command = read
        meant = self._commands.look_up(command.word)
        if meant is None:
            self._coalescer.count_invalid(lambda: self._commands.unknown(command), command.received)
            return
        if self.is_behind:
            meant = None  # what comes first may change it
        elif meant.kind is not DecisionKind.FIRE:
            quiet = self._commands.quiet(command, meant)
            if quiet is not None:
                self._coalescer.count(key, quiet, command.received)
                return
        if known is None and not command.by and len(self._known) < MOST_SPELLINGS:
            # It is read once, however often it comes; what it means is found out anew.
            self._known[key] = command.word, command.source
        self._decided += 1
        self._submit(ev.Commanded(command, meant=meant))

    def _read(self, channel: bytes, payload: bytes) -> Command | None:
        """Return the plain word in a message; what is more, or less, is seen to here."""
        source = f"redis:{channel.decode('ascii', 'backslashreplace')}"
        try:
            command = parse(payload, source, self._loop.time())
        except BadMessage as error:
            self._take_bad(error, source)
            return None
        if command is None or command.is_plain:
            return command
        self._decided += 1
        self._submit(ev.Commanded(command, has_passed(command.expires, self._broker.time())))
        return None

    def _take_bad(self, error: BadMessage, source: str) -> None:
        if error.raw.startswith(_ANSWERS):
            return
        now = self._loop.time()
        if error.fields.get("id"):
            self._coalescer.invalid += 1
            self._submit(ev.InvalidMessage(error, source, now))
        else:
            self._coalescer.count_invalid(lambda: self._commands.invalid(error, source, now), now)
