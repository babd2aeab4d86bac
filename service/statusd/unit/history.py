"""The history in Redis, of which no event is lost while the broker refuses it.

An entry's id is its event's: a boot, which is a time, and a number. Rules of this file: only what
was sent before is refused in peace; whatever else is refused waits, in order, and is told; the
history is put aside only while the name is known to be ours, for what stands in our way may be
the work of another daemon that has taken it.
"""

from __future__ import annotations

from collections.abc import Callable

import hiredis

from statusd.core.text import shown
from statusd.wire.names import Names
from statusd.wire.outbox import Outbox, RedisCommand

MOST_HELD = 1000
"""So many events wait for a broker that refuses them; then the oldest is lost, and counted."""

TOO_LOW = ("equal or smaller", "exhausted")
"""What the broker says of an id when there is one as high as that, or as can be."""


class History:
    """Adds events to the history of one unit.

    Args:
        outbox: of the sending link.
        names: of the unit.
        complain: told what is wrong: the name for the log, and words.
        mended: called when events are kept again.
        kept: gets each line that was awaited, once the history has it.
    """

    def __init__(
        self,
        outbox: Outbox,
        names: Names,
        complain: Callable[[str, str], None],
        mended: Callable[[], None],
        kept: Callable[[RedisCommand], None],
    ) -> None:
        self._outbox = outbox
        self._key = names.history
        self._aside: RedisCommand = ("RENAME", names.history, names.put_aside)
        self._complain = complain
        self._mended = mended
        self._kept = kept
        self.trouble = ""
        """Why events can't be kept now, in words; empty if they can."""
        self._refused = 0
        """So many of those that wait were sent already; they come first."""
        self._is_in_the_way = False
        self._cure = ""
        self._asked: RedisCommand = ()

    def put(self, line: RedisCommand, *, awaited: bool = False) -> None:
        """Add an event, or let it wait for those before it."""
        if self.trouble:
            self._hold(len(self._outbox.beside), line)
        elif awaited:
            self._outbox.put(line, self.replied)
        else:
            self._outbox.put_watched(line, self.replied)

    def replied(self, line: RedisCommand, reply: object) -> bool:
        """Take note of the reply to an event of ours; tell whether that is all there is to do."""
        if line[:2] != ("XADD", self._key):
            return False
        is_asked = line is self._asked
        self._asked = () if is_asked else self._asked
        if isinstance(reply, hiredis.ReplyError) and not self._is_resend(line, str(reply)):
            self._refuse(line, str(reply), at=0 if is_asked else self._refused)
            return True
        if is_asked:
            self._go_on()
        self._kept(line)
        return True

    def confirmed(self) -> None:
        """The name is ours: try again what was refused, and first put aside what is in the way."""
        if not self.trouble or self._asked:
            return
        if self._is_in_the_way:
            self._asked = self._aside
            self._outbox.put(self._aside, self._put_aside)
        else:
            self._try()

    def _is_resend(self, line: RedisCommand, reason: str) -> bool:
        """Tell whether the broker has had ``line`` before, and the reply was lost."""
        return any(words in reason for words in TOO_LOW) and self._outbox.is_resent(line)

    def _refuse(self, line: RedisCommand, reason: str, *, at: int) -> None:
        self.trouble = shown(reason) + self._cure
        self._is_in_the_way = reason.startswith("WRONGTYPE") or any(w in reason for w in TOO_LOW)
        self._refused += 1
        self._hold(at, line)
        self._complain("history.refused", self.trouble)

    def _hold(self, at: int, line: RedisCommand) -> None:
        waiting = self._outbox.beside
        waiting.insert(at, line)
        if len(waiting) > MOST_HELD:
            waiting.popleft()
            self._refused = max(0, self._refused - 1)
            self._outbox.drop("XADD")

    def _put_aside(self, _: RedisCommand, reply: object) -> bool:
        if not isinstance(reply, hiredis.ReplyError):
            self._cure = ""
            self._complain("history.put_aside", f"{self.trouble}; it is {self._aside[2]!s} now")
        elif "no such key" not in str(reply):
            self._cure = f"; it can't be renamed ({shown(reply)}): DEL {self._key}"
        self._try()
        return True

    def _try(self) -> None:
        """Send the oldest event that waits, alone."""
        self._asked = self._outbox.beside.popleft()
        self._refused = max(0, self._refused - 1)
        self._outbox.put(self._asked, self.replied)

    def _go_on(self) -> None:
        """The oldest one was taken: so are the others."""
        self.trouble, self._cure, self._refused = "", "", 0
        waiting = self._outbox.beside
        while waiting:
            self._outbox.put(waiting.popleft(), self.replied)
        self._mended()
