"""What the roster of a namespace says of the units of one daemon: written together, and seldom.

One command for all of them, as often as the roster needs it for whoever is lost: what lives says so
in its own document. Rule of this file: what an end says is never followed by what was before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import chain
from typing import Any

import hiredis

from statusd.core.messages import to_json
from statusd.core.text import shown
from statusd.wire.names import Names
from statusd.wire.outbox import Outbox, RedisCommand

ROSTER_S = 10.0
"""So long, at most, a unit has been seen without the roster's saying so, in seconds."""
_EARLY_S = 0.5
"""Whoever asks once a second needn't ask to the millisecond."""


class Roster:
    """Keeps the entries of those that share an outbox, and one namespace.

    Args:
        outbox: of the daemon itself.
        log: where it tells that the roster was none.
    """

    def __init__(self, outbox: Outbox, log: Any) -> None:
        self._outbox = outbox
        self._log = log
        self._due: dict[str, dict[str, Any]] = {}
        """The entries that the broker hasn't taken yet, by name."""
        self._written_at = 0.0
        self._key = self._aside = ""
        self._is_told = False

    def seen(self, names: Names, boot: int, at: str, *, now: bool = False) -> None:
        """The unit holds its name and was seen ``at`` that time; ``now`` to say so at once."""
        self._put(names, {"boot": boot, "left": False, "seen": at}, now=now)

    def left(self, names: Names, boot: int, at: str) -> None:
        """The unit has left, and said so."""
        self._put(names, {"boot": boot, "left": True, "seen": at}, now=True)

    def forget(self, name: str) -> None:
        """The name is another's: say nothing more of it."""
        self._due.pop(name, None)

    def lost(self) -> None:
        """The link is lost: whose the names are has to be seen anew; who has left, has left."""
        self._due = {name: entry for name, entry in self._due.items() if entry["left"]}

    def beat(self, now: float) -> None:
        """Write what there is to be said, if it is time for that (loop's time); asked each second.

        Only for a link that is up: else names are vouched for that may be another's by then.
        """
        if self._due and now - self._written_at >= ROSTER_S - _EARLY_S:
            self._written_at = now
            self._write()

    def _put(self, names: Names, entry: dict[str, Any], *, now: bool) -> None:
        self._key, self._aside = names.roster, names.roster_put_aside
        self._due[names.name] = entry
        if now:
            self._write()

    def _write(self) -> None:
        said = dict(self._due)
        entries = chain.from_iterable((name, to_json(entry)) for name, entry in said.items())
        line: RedisCommand = ("HSET", self._key, *entries)
        self._outbox.put_latest("roster", line, partial(self._replied, said))

    def _replied(self, said: Mapping[str, object], _: RedisCommand, reply: object) -> bool:
        if not isinstance(reply, hiredis.ReplyError):
            due = self._due.items()
            self._due = {name: entry for name, entry in due if entry is not said.get(name)}
            return True
        if not str(reply).startswith("WRONGTYPE"):
            return False  # it stays due
        if not self._is_told:
            self._is_told = True
            reason, then = shown(str(reply)), "it is written anew"
            self._log.warning("key.unreadable", key=self._key, reason=reason, then=then)
        self._outbox.put(("RENAME", self._key, self._aside))
        self._write()
        return True
