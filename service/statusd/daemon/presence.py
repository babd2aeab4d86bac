"""The unit's name in its namespace: taken before anything starts, kept by beats, given up at END.

The owner key says who holds the name; the roster remembers every unit there was, so that a reader
can name those that are missing. Rules of this file: a holder that renews its key is alive, whatever
else is believed; nothing is written into the roster by a daemon that doesn't hold the name.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog

from statusd.core.messages import to_json
from statusd.core.outbox import Line, Outbox
from statusd.core.unit import Identity
from statusd.daemon.document import rfc3339
from statusd.wire.names import Names

OWNER_TTL_S = 10
"""A name whose holder doesn't renew it for so long is free."""
ANSWER_S = 1.0
"""So long the start waits for the broker to say whether the name is free."""
LOOK_S = 0.25
"""How often a taken name is looked at again."""
REPLACE_S = 30.0
"""So long ``--replace`` waits for the older daemon to end."""

_HOST = socket.gethostname()

log = structlog.get_logger()


class Holder(NamedTuple):
    """Who holds a name."""

    boot: int
    host: str
    pid: int

    @classmethod
    def parse(cls, value: object) -> Holder | None:
        """Return the holder that an owner key names; None if it names none."""
        if not isinstance(value, bytes):
            return None
        try:
            content = json.loads(value)
            return cls(int(content["boot"]), str(content["host"]), int(content["pid"]))
        except (ValueError, KeyError, TypeError):
            return None

    def text(self) -> str:
        """Return it for a human."""
        return f"on {self.host} (pid {self.pid}, boot {self.boot})"


class Presence:
    """Takes and keeps the name of one unit.

    Args:
        outbox: of the sending link.
        names: of the unit.
        identity: returns who it is now.
        last_boot: of the last daemon with our state file; that one is dead, for we hold its lock.
        wall: the wall clock in seconds.
        ousted: called when somebody else turns out to hold the name.
    """

    def __init__(
        self,
        outbox: Outbox,
        names: Names,
        identity: Callable[[], Identity],
        *,
        last_boot: int,
        wall: Callable[[], float],
        ousted: Callable[[Holder], None],
    ) -> None:
        self._outbox = outbox
        self._names = names
        self._identity = identity
        self._last_boot = last_boot
        self._wall = wall
        self._ousted = ousted
        self._asked: dict[int, tuple[Line, asyncio.Future[Any]]] = {}
        self._looking: Line | None = None
        self._gone = asyncio.Event()

    # ---- the start -----------------------------------------------------------------------------

    async def take_name(self, flush: Callable[[], None], *, replace: bool) -> int | Holder:
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
            if holder is None or self._is_dead(holder):
                return last
            if 0 <= ttl_ms < left_ms:  # it was renewed while we watched
                late = asyncio.get_running_loop().time() > deadline
                if not replace or late:
                    return holder
                if not asked_to_end:
                    asked_to_end = True
                    self._ask_to_end(holder)
            if ttl_ms < 0:
                log.info("name.held", by=holder.text(), then="is it alive?")
            ttl_ms = left_ms
            await asyncio.sleep(LOOK_S)

    async def _look(self, flush: Callable[[], None]) -> tuple[Holder | None, int, int] | None:
        """Return holder, last boot and time left of the key in ms; None without an answer."""
        names = self._names
        lines: list[Line] = [
            ("GET", names.owner),
            ("HGET", names.roster, names.name),
            ("PTTL", names.owner),
        ]
        futures = [self._ask(line) for line in lines]
        flush()
        gone = asyncio.ensure_future(self._gone.wait())
        last = futures[-1]  # replies come in order
        await asyncio.wait({last, gone}, timeout=ANSWER_S, return_when="FIRST_COMPLETED")
        gone.cancel()
        if not last.done():
            return None
        owner, entry, left_ms = (future.result() for future in futures)
        return Holder.parse(owner), _boot_of(entry), left_ms if isinstance(left_ms, int) else -1

    def _ask(self, line: Line) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[id(line)] = line, future
        self._outbox.put(line, awaited=True)
        return future

    def unreachable(self) -> None:
        """An attempt to reach the broker has failed: the start needn't wait for it."""
        self._gone.set()

    def _is_dead(self, holder: Holder) -> bool:
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

    def _ask_to_end(self, holder: Holder) -> None:
        log.warning("name.replacing", holder=holder.text())
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

    def beat(self) -> None:
        """Claim the name if it is free, and look who holds it."""
        self._outbox.put_latest(
            "claim", ("SET", self._names.owner, self._mine(), "NX", "EX", OWNER_TTL_S)
        )
        self._looking = ("GET", self._names.owner)
        self._outbox.put_latest("owner", self._looking)

    def replied(self, line: Line, reply: object) -> None:
        """Take note of the reply to ``line``, if it is one of ours."""
        if id(line) in self._asked:
            _, future = self._asked.pop(id(line))
            if not future.done():
                future.set_result(reply)
        elif line is self._looking:
            self._looking = None
            holder = Holder.parse(reply)
            if holder is not None and holder.boot != self._identity().boot:
                self._ousted(holder)
            elif holder is not None:
                self._outbox.put_latest(
                    "claim", ("SET", self._names.owner, self._mine(), "XX", "EX", OWNER_TTL_S)
                )
                self._register()

    def leave(self) -> None:
        """Give the name up, and say so in the roster."""
        self._looking = None
        self._outbox.put_latest("claim", ("DEL", self._names.owner))
        self._register(left=True)

    def _register(self, *, left: bool = False) -> None:
        entry = {"boot": self._identity().boot, "left": left, "seen": rfc3339(self._wall())}
        self._outbox.put_latest(
            "roster", ("HSET", self._names.roster, self._names.name, to_json(entry))
        )

    def _mine(self) -> str:
        return to_json(Holder(self._identity().boot, _HOST, os.getpid())._asdict())


def _boot_of(entry: object) -> int:
    """Return the boot of an entry in the roster; 0 for none."""
    if not isinstance(entry, bytes):
        return 0
    try:
        return int(json.loads(entry)["boot"])
    except (ValueError, KeyError, TypeError):
        return 0
