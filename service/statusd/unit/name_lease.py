"""The unit's name in its namespace: taken before anything starts, kept by beats, given up at END.

The owner key says who holds the name; the roster remembers every unit there was, so that a reader
can name those that are missing. Rules of this file: a holder that renews its key is alive, whatever
else is believed; nothing is written into the roster by a daemon that doesn't hold the name.

A claim is the same text for as long as its daemon lives, so that one command renews it exactly if
it is ours (SET with IFEQ). A server that doesn't know that, or a reply that doesn't say that it was
ours, leads to the look that any server understands.

Length: how a name is taken and how it is kept is one argument, about one key.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from statusd.core.bounds import MOST_KEPT, Unreadable
from statusd.core.messages import to_json
from statusd.core.text import shown
from statusd.core.times import rfc3339
from statusd.core.unit import Identity
from statusd.unit.lease_holder import LeaseHolder, boot_of, is_error, is_nothing, is_of_another_type
from statusd.unit.publisher import BEAT_S, TOUCH_S
from statusd.wire.names import Names
from statusd.wire.outbox import Outbox, RedisCommand
from statusd.wire.roster import Roster

OWNER_TTL_S = 10
"""A name whose holder doesn't renew it for so long is free."""
GONE = -2
"""What PTTL says of a key that isn't there."""
ANSWER_S = 1.0
"""So long the start waits for the broker to say whether the name is free."""
LOOK_S = 0.25
"""How often a taken name is looked at again."""
REPLACE_S = 30.0
"""So long ``--replace`` waits for the older daemon to end."""

_HOST = socket.gethostname()
_OLDER = ("ERR", "NOPERM")
"""So begins what a server says that can't compare, or whose rights are older: that is no fault."""


class NameLease:
    """Takes and keeps the name of one unit.

    Args:
        outbox: of the sending link.
        roster: of the namespace.
        names: of the unit.
        identity: returns who it is now.
        last_boot: of the last daemon with our state file; that one is dead, for we hold its lock.
        wall: the wall clock in seconds.
        lost: called when somebody else turns out to hold the name.
        confirmed: called whenever the broker says that it is ours.
        log: where it tells of what it finds.
    """

    def __init__(
        self,
        outbox: Outbox,
        roster: Roster,
        names: Names,
        identity: Callable[[], Identity],
        *,
        last_boot: int,
        wall: Callable[[], float],
        lost: Callable[[LeaseHolder], None],
        confirmed: Callable[[], None],
        log: Any,
    ) -> None:
        self._outbox = outbox
        self._roster = roster
        self._names = names
        self._identity = identity
        self._last_boot = last_boot
        self._wall = wall
        self._lease_lost = lost
        self._confirmed = confirmed
        self._log = log
        self._may_range = self._may_compare = True
        self._told: set[str] = set()
        self._asked: RedisCommand | None = None
        """The question that counts: whatever is replied to an older one says nothing."""
        self._asked_at = self._due = 0.0
        self._is_registered = False
        self._claimed = -1, ""
        self.holder: LeaseHolder | None = None
        """Who else turned out to hold the name; None as long as it is ours."""
        self._gone = asyncio.Event()

    # ---- the start -----------------------------------------------------------------------------

    async def take_name(self, flush: Callable[[], None], *, replace: bool) -> int | LeaseHolder:
        """Wait until the name is ours, and return the highest boot that it was ever held with.

        A broker that doesn't answer is not waited for: the beats will tell.

        Returns:
            0 if that isn't known; the holder, if another daemon holds the name and renews it.
        """
        deadline = asyncio.get_running_loop().time() + REPLACE_S
        ttl_ms, asked_to_end = -1, False
        while True:
            found = await self._look(flush)
            if found is None:
                return 0
            holder, last, left_ms = found
            if holder is None or self._is_dead(holder) or self._is_unkept(left_ms):
                return last
            late = asyncio.get_running_loop().time() > deadline
            if 0 <= ttl_ms < left_ms or late:  # it was renewed while we watched
                if not replace or late:
                    return holder
                if not asked_to_end:
                    asked_to_end = True
                    self._ask_to_end(holder)
            if ttl_ms < 0:
                self._log.info("name.held", by=holder.text(), then="is it alive?")
            ttl_ms = left_ms
            await asyncio.sleep(LOOK_S)

    async def _look(self, flush: Callable[[], None]) -> tuple[LeaseHolder | None, int, int] | None:
        """Return holder, last boot and time left of the key in ms; None without an answer."""
        names = self._names
        size = ("HSTRLEN", names.roster, names.name)
        found = await self._call(flush, self._owner_line(), ("PTTL", names.owner), size)
        if found is None:
            return None
        owner, left_ms, length = found
        if self._learn_right(owner):
            return await self._look(flush)
        last = 0
        if is_error(length) or (isinstance(length, int) and length <= MOST_KEPT):
            entries = await self._call(flush, ("HGET", names.roster, names.name))
            last = self._last_boot_of(entries[0]) if entries is not None else 0
        else:
            self._unreadable(names.roster, f"longer than {MOST_KEPT} bytes")
        return self._holder_of(owner), last, left_ms if isinstance(left_ms, int) else 0

    async def _call(self, flush: Callable[[], None], *lines: RedisCommand) -> list[Any] | None:
        """Return the replies to ``lines``; None if the broker doesn't answer in time."""
        futures = [self._ask(line) for line in lines]
        flush()
        gone = asyncio.ensure_future(self._gone.wait())
        last = futures[-1]  # replies come in order
        await asyncio.wait({last, gone}, timeout=ANSWER_S, return_when="FIRST_COMPLETED")
        gone.cancel()
        return [future.result() for future in futures] if last.done() else None

    def _owner_line(self) -> RedisCommand:
        """Return the question who holds the name; whatever stands there, it isn't read whole."""
        owner = self._names.owner
        return ("GETRANGE", owner, 0, MOST_KEPT) if self._may_range else ("GET", owner)

    def _learn_right(self, reply: object) -> bool:
        """Tell whether to ask anew: the rights of an older version lack GETRANGE."""
        is_refused = self._may_range and is_error(reply) and str(reply).startswith("NOPERM")
        self._may_range = self._may_range and not is_refused
        return is_refused

    def _holder_of(self, owner: object) -> LeaseHolder | None:
        """Return who holds the name; None for nobody, also if what stands there can't be read."""
        if is_nothing(owner):
            return None
        try:
            return LeaseHolder.read(owner)
        except Unreadable as error:
            self._unreadable(self._names.owner, str(owner) if is_error(owner) else str(error))
            return None

    def _last_boot_of(self, entry: object) -> int:
        if entry is None:
            return 0
        try:
            return boot_of(entry)
        except Unreadable as error:
            reason = str(entry) if is_error(entry) else str(error)
            self._unreadable(self._names.roster, reason)
            return 0

    def _is_unkept(self, left_ms: int) -> bool:
        """Tell whether no daemon keeps the key: each renews it, and for ten seconds only."""
        if 0 <= left_ms <= OWNER_TTL_S * 1000:
            return False
        if left_ms != GONE:
            self._unreadable(self._names.owner, "it doesn't run out in time")
        return True

    def _unreadable(self, key: str, reason: str) -> None:
        """Tell once that a key of ours holds what none of us has written."""
        if key not in self._told:
            self._told.add(key)
            self._log.warning(
                "key.unreadable", key=key, reason=shown(reason), then="it is written anew"
            )

    def _ask(self, line: RedisCommand) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(_: RedisCommand, reply: object) -> None:
            if not future.done():
                future.set_result(reply)

        self._outbox.put(line, answered)
        return future

    def unreachable(self) -> None:
        """An attempt to reach the broker has failed: the start needn't wait for it."""
        self._gone.set()

    def _is_dead(self, holder: LeaseHolder) -> bool:
        if holder.boot == self._last_boot:
            return True
        if holder.host != _HOST:
            return False
        try:
            os.kill(holder.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    def _ask_to_end(self, holder: LeaseHolder) -> None:
        self._log.warning("name.replacing", holder=holder.text())
        command = {
            "command": "end",
            "id": os.urandom(16).hex(),
            "by": f"the next {self._names.name} on {_HOST}"[:128],
            "target": {"name": self._names.name},
            "boot": holder.boot,
        }
        self._outbox.put(("PUBLISH", self._names.control, to_json(command)))

    # ---- the life ------------------------------------------------------------------------------

    def take(self) -> None:
        """Write our claim over that of a dead one."""
        self._outbox.put(("SET", self._names.owner, self._mine(), "EX", OWNER_TTL_S))
        self._register()

    def doubt(self) -> None:
        """The link is another: see with the next beat whose the name is, and what can be asked."""
        self._due = 0.0
        self._may_compare, self._is_registered = True, False

    def beat(self, now: float, *, in_doubt: bool = False) -> None:
        """Renew the name if it is time for that (loop's time); not any more if it is another's.

        Args:
            in_doubt: something says that it may be, so that it is always time.
        """
        if self.holder is not None or (now < self._due and not in_doubt):
            return
        self._asked_at = now
        if self._may_compare:
            mine = self._mine()
            self._asked = ("SET", self._names.owner, mine, "IFEQ", mine, "EX", OWNER_TTL_S)
            self._outbox.put_latest("claim", self._asked, self._renewed)
        else:
            self._ask_whose()

    def _renewed(self, line: RedisCommand, reply: object) -> bool:
        if line is not self._asked:
            return True
        if reply == b"OK":
            self._confirm()
            return True
        if is_error(reply) and str(reply).startswith(_OLDER):
            self._may_compare = False
        self._is_registered &= is_error(reply)
        self._ask_whose()
        return True

    def _ask_whose(self) -> None:
        """Claim the name if it is free, and look who holds it."""
        self._claim("NX")
        self._asked = self._owner_line()
        self._outbox.put_latest("owner", self._asked, self._looked)

    def _looked(self, line: RedisCommand, reply: object) -> None:
        if line is self._asked:
            self._asked = None
            if not self._learn_right(reply):
                self._found(reply)

    def _found(self, owner: object) -> None:
        """Take note of who holds the name."""
        holder = self._holder_of(owner)
        if holder is not None and holder.boot != self._identity().boot:
            self._roster.forget(self._names.name)
            self._lease_lost(holder)
        elif holder is not None:
            self._claim("XX")
            self._confirm()
        elif not is_nothing(owner) and (not is_error(owner) or is_of_another_type(owner)):
            self._claim()  # it names nobody: that is nobody's claim

    def _confirm(self) -> None:
        """It is ours: that is enough until the beat after the next one."""
        self._due = self._asked_at + TOUCH_S - BEAT_S / 2
        self._register()
        self._confirmed()

    def _claim(self, *condition: str) -> None:
        line: RedisCommand = ("SET", self._names.owner, self._mine(), *condition, "EX", OWNER_TTL_S)
        self._outbox.put_latest("claim", line)

    def leave(self) -> None:
        """Give the name up, and say so in the roster, unless it is another's."""
        if self.holder is not None:
            return
        self._asked = None
        self._outbox.put_latest("claim", ("DEL", self._names.owner))
        self._roster.left(self._names, self._identity().boot, rfc3339(self._wall()))

    def _register(self) -> None:
        now, self._is_registered = not self._is_registered, True
        self._roster.seen(self._names, self._identity().boot, rfc3339(self._wall()), now=now)

    def _mine(self) -> str:
        """Return our claim, byte for byte the same until we end."""
        boot = self._identity().boot
        if boot != self._claimed[0]:
            self._claimed = boot, to_json(LeaseHolder(boot, _HOST, os.getpid())._asdict())
        return self._claimed[1]
