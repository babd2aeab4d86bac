"""From a message on a channel to an input: the hot path of a daemon.

A plain word that changes nothing never reaches the status: it is counted here, a look-up each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from statusd.core import events as ev
from statusd.core.errors import BadMessage
from statusd.core.messages import Command, Verdict, parse
from statusd.core.status import Status
from statusd.core.tally import MOST_SPELLINGS, Tally
from statusd.wire.names import Names

HELD_BACK_S = 0.25
"""How soon answers that were held back are looked at again, in seconds."""


class Hearing:
    """Sorts messages into what must be decided and what need only be counted.

    Args:
        status: knows which words change nothing now.
        names: the namespace's own channels, which are never obeyed but for its control channel.
        take: gets every command that may change something.
        broker_time: the broker's wall clock, in seconds, for ``expires``.
        look_again: called when answers held back may be due.
        is_behind: tells whether something that came earlier has yet to be decided.
        echoed: gets what is heard on the unit's own canary channel.
        heard_at: returns when the messages arrived that are being told (loop's time).
    """

    def __init__(
        self,
        status: Status,
        names: Names,
        *,
        take: Callable[[ev.Input], None],
        broker_time: Callable[[], float],
        look_again: Callable[[], None],
        is_behind: Callable[[], bool],
        echoed: Callable[[bytes], None],
        heard_at: Callable[[], float],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._status = status
        self._prefix = f"{names.namespace}:".encode()
        self._control = names.control.encode()
        self._take = take
        self._broker_time = broker_time
        self._look_again = look_again
        self._is_behind = is_behind
        self._canary = names.canary.encode()
        self._echoed = echoed
        self._heard_at = heard_at
        self._tally = Tally()
        self._slots = self._tally.slots
        self._known: dict[bytes, tuple[str, str]] = {}
        self._held_back: asyncio.TimerHandle | None = None
        self._decided = 0

    @property
    def commands(self) -> int:
        """How many commands were heard on the channels, whatever became of them."""
        return self._decided + self._tally.counted

    @property
    def junk(self) -> int:
        """How many messages were heard that are no command."""
        return self._tally.junk

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take one message."""
        slot = self._slots.get(channel + payload)
        if slot is not None:
            slot.count += 1
        elif channel == self._control or not channel.startswith(self._prefix):
            self._sort(channel, payload)
        elif channel == self._canary:
            self._echoed(payload)
        # else it is one of the namespace's own channels: never answer an answer

    def forget(self) -> None:
        """The status may have changed: what changes nothing must be found out anew."""
        if self._slots:
            self._tally.forget(self._heard_at())

    def answers(self) -> list[Verdict]:
        """Return the answers that are due, and see that the rest is not forgotten."""
        told = self._tally.tell(self._loop.time(), self._heard_at())
        if self._tally.holds_back and self._held_back is None:
            self._held_back = self._loop.call_later(HELD_BACK_S, self._due)
        return told

    def last_answers(self) -> list[Verdict]:
        """Return every answer that was held back: nothing is heard any more."""
        return self._tally.tell_all(self._loop.time(), self._heard_at())

    def _due(self) -> None:
        self._held_back = None
        self._look_again()

    def _sort(self, channel: bytes, payload: bytes) -> None:
        known = self._known.get(channel + payload)
        if known is not None and self._status.obeys(known[0]):
            self._decided += 1
            self._take(ev.Commanded(Command(*known, self._loop.time())))
            return
        source = f"redis:{channel.decode('ascii', 'backslashreplace')}"
        try:
            command = parse(payload, source, self._loop.time())
        except BadMessage as error:
            self._take_bad(error, source)
            return
        if command is None:
            return
        if not command.is_plain:
            self._decided += 1
            self._take(ev.Commanded(command, self.has_expired(command)))
            return
        quiet = None if self._is_behind() else self._status.quiet(command)
        if quiet is not None:
            self._tally.count(channel + payload, quiet, command.received)
        elif self._status.is_unknown(command):
            self._tally.count_junk(lambda: self._status.unknown(command), command.received)
        else:
            self._decided += 1
            if not command.by and len(self._known) < MOST_SPELLINGS:
                # It is read once, however often it comes; what it means is found out anew.
                self._known[channel + payload] = command.word, command.source
            self._take(ev.Commanded(command))

    def _take_bad(self, error: BadMessage, source: str) -> None:
        now = self._loop.time()
        if error.fields.get("id"):
            self._tally.junk += 1
            self._take(ev.Misspoken(error, source, now))
        else:
            self._tally.count_junk(lambda: self._status.invalid(error, source, now), now)

    def has_expired(self, command: Command) -> bool:
        """Tell whether ``command`` must not be obeyed any more, by the broker's clock."""
        if not command.expires:
            return False
        return datetime.fromisoformat(command.expires).timestamp() <= self._broker_time()
