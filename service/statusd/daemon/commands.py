"""Durable commands: the stream of the namespace, read in order on the hearing link.

First what was missed, then whatever comes, by a blocking read that is asked again every two.
Every few seconds the broker is asked about the stream itself: whether it is still the one that we
read, and whether something was taken out of it before we could read it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import hiredis

from statusd.core import events as ev
from statusd.core.errors import BadMessage
from statusd.core.messages import Command, parse, to_json
from statusd.core.outbox import Line
from statusd.core.place import Facts, Place, has_gone_back, higher, judge, number, settle
from statusd.daemon.document import rfc3339
from statusd.wire.durable import LENGTH
from statusd.wire.names import Names

BLOCK_MS = 2000
"""How long the broker holds a read back that finds nothing, in ms; well below `link.REPLY_S`."""
LOOK_EVERY = 3
"""The stream itself is looked at with every so many-th read."""
AT_ONCE = 100
"""So many entries are read at once."""
LAST_S = 253402300799.0
"""The last second that RFC 3339 can write; an id that somebody chose may be anything."""
AGAIN_S = 5.0
"""A stream that we may not read is asked for again after this time."""


class CommandStream:
    """Follows the stream of durable commands.

    Args:
        names: of the unit.
        place: where the last daemon stopped reading.
        fresh: begin with what comes now, whatever was read before.
        lasting_s: so long a command without an ``expires`` of its own is obeyed.
        ask: sends a question on the hearing link.
        has_expired: tells of a command whether it must not be obeyed any more.
        deliver: gets what was read.
        caught_up: called when all that was missed is read.
        noticed: called when the stream turns out to have lost something while we listen.
        complain: told why the stream can't be read.
    """

    def __init__(
        self,
        names: Names,
        place: Place,
        *,
        fresh: bool,
        lasting_s: float,
        ask: Callable[..., None],
        has_expired: Callable[[Command], bool],
        deliver: Callable[[ev.Delivered], None],
        caught_up: Callable[[], None],
        noticed: Callable[[], None],
        complain: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._names = names
        self.place = self._delivered = place
        self._asks_cursor = not fresh
        self.lasting_s = lasting_s
        self._ask = ask
        self._has_expired = has_expired
        self._deliver = deliver
        self._say_caught_up = caught_up
        self._noticed = noticed
        self._complain = complain
        self._facts: Facts | None = None
        self._is_behind = True
        self._reads = 0
        self._epoch = 0
        self._reading: Line = ()
        self._obeyed = ""
        """Up to here the last daemon has obeyed, as far as Redis knows, whatever its disk has."""
        self._clear()

    def _clear(self) -> None:
        self._recovered, self._lost, self._trouble = 0, 0, ""
        self._is_unsure = False

    def report(self) -> tuple[str, int, int | None]:
        """Return what became of the stream since the last report: words, entries read, and lost.

        The words are empty if nothing is wrong; entries lost are None if nobody can know how many.
        """
        lost = None if self._is_unsure else self._lost
        words = self._trouble
        if self._lost:
            were = "1 command was" if self._lost == 1 else f"{self._lost} commands were"
            words = "; ".join(filter(None, (words, f"{were} cut off before they could be read")))
        found = (words, self._recovered, lost)
        self._clear()
        return found

    # ---- what the link tells -------------------------------------------------------------------

    def confirmed(self) -> None:
        """A new connection hears its channels: find the place, and read what was missed."""
        self._is_behind = True
        self._epoch += 1
        if self._asks_cursor:
            self._ask(("GET", self._names.cursor))
        self._look()

    def replied(self, line: Line, reply: object) -> None:
        """Take in the reply to a question of ours."""
        match line[0]:
            case "GET":
                self._take_cursor(reply)
            case "XINFO":
                self._take_facts(reply)
            case "XREVRANGE":
                self._take_tail(reply)
            case "XREAD":
                self._take_entries(line, reply)
            case _:
                if isinstance(reply, hiredis.ReplyError):
                    self._complain(f"it can't be cut: {reply}")

    # ---- the place -----------------------------------------------------------------------------

    def _look(self) -> None:
        self._reading = ()  # what is on its way was asked before we knew
        self._ask(("XINFO", "STREAM", self._names.commands))

    def _take_cursor(self, reply: object) -> None:
        self._asks_cursor = False
        if isinstance(reply, bytes):
            try:
                content = json.loads(reply)
                self.place = higher(self.place, Place.parse(content))
                if isinstance(content, dict):
                    self._obeyed = Place.parse({"id": content.get("obeyed")}).id
            except ValueError:
                self._complain("the cursor in Redis is not valid")

    def _take_facts(self, reply: object) -> None:
        if isinstance(reply, dict):
            facts = Facts.parse(reply)
        elif str(reply).startswith("ERR no such key"):
            facts = Facts()
        else:
            self._give_up(str(reply))
            return
        self._facts = facts
        has_read_all = number(self.place.id or facts.last) >= number(facts.last)
        if facts.length > 2 * LENGTH and has_read_all:  # somebody adds to it and doesn't bound it
            self._ask(("XTRIM", self._names.commands, "MAXLEN", "~", LENGTH))
        if self.place.id and has_gone_back(self.place, facts):
            self._ask(("XREVRANGE", self._names.commands, "+", "-", "COUNT", AT_ONCE))
        else:
            self._read_from(())

    def _take_tail(self, reply: object) -> None:
        if isinstance(reply, list):
            self._read_from(entry_id for entry_id, _ in _texts(reply))
        else:
            self._give_up(str(reply))

    def _read_from(self, tail: Iterable[str]) -> None:
        assert self._facts is not None
        place, reset = judge(self.place, self._facts, tail)
        if reset:
            self._trouble, self._is_unsure = reset, True
        self.place = place
        self._go_on()

    def _go_on(self) -> None:
        """Settle the count if all that the stream had is read; ask for more."""
        facts = self._facts
        if facts is not None and number(self.place.id) >= number(facts.last):
            self._settle(facts)
        if self.place != self._delivered:
            self._tell(())
        if self._is_behind and self._facts is None:
            self._is_behind = False
            self._say_caught_up()
        elif self._facts is None and (self._trouble or self._lost):
            self._noticed()
        self._reads += 1
        if not self._is_behind and self._reads % LOOK_EVERY == 0:
            self._look()
        else:
            self._read()

    def _settle(self, facts: Facts) -> None:
        self._facts = None
        self.place, lost = settle(self.place, facts)
        self._lost += lost

    def _advance(self, ids: list[str]) -> None:
        """Step over the entries ``ids``; what the broker counted doesn't hold beyond its last."""
        facts = self._facts
        if facts is not None:
            known = [entry_id for entry_id in ids if number(entry_id) <= number(facts.last)]
            self.place = self.place.after(known)
            if len(known) < len(ids):
                self._settle(facts)
            ids = ids[len(known) :]
        self.place = self.place.after(ids)

    def _read(self) -> None:
        line: Line = ("XREAD", "COUNT", AT_ONCE)
        if not self._is_behind:
            line += ("BLOCK", BLOCK_MS)
        self._reading = (*line, "STREAMS", self._names.commands, self.place.id)
        self._ask(self._reading)

    def _give_up(self, reason: str) -> None:
        """Listen without the stream, and try again later."""
        self._complain(reason)
        self._facts = None
        if self._is_behind:
            self._is_behind = False
            self._say_caught_up()
        epoch = self._epoch
        self._loop.call_later(AGAIN_S, lambda: self._look() if epoch == self._epoch else None)

    # ---- the entries ---------------------------------------------------------------------------

    def _take_entries(self, line: Line, reply: object) -> None:
        if line is not self._reading:
            return
        if isinstance(reply, hiredis.ReplyError):
            self._give_up(str(reply))
            return
        entries = [entry for found in _streams(reply) for entry in _texts(found)]
        if entries:
            self._advance([entry_id for entry_id, _ in entries])
            self._recovered += len(entries) if self._is_behind else 0
            self._tell(entries)
        elif self._facts is not None:  # nothing left to read: what is missing is gone
            self.place = replace(self.place, id=self._facts.last)
        self._go_on()

    def _tell(self, entries: Iterable[tuple[str, dict[bytes, bytes]]]) -> None:
        self._delivered = self.place
        messages = (self._message(*entry) for entry in entries)
        self._deliver(ev.Delivered(tuple(m for m in messages if m is not None), self.place))

    def _message(
        self, entry_id: str, fields: dict[bytes, bytes]
    ) -> ev.Commanded | ev.Misspoken | None:
        source, now = f"stream:{entry_id}", self._loop.time()
        payload = fields.get(b"command")
        try:
            if payload is None:
                raise BadMessage('an entry needs the field "command"', b"")
            command = parse(payload, source, now)
        except BadMessage as error:
            named = {"id": entry_id, **error.fields}
            return ev.Misspoken(BadMessage(error.reason, error.raw, named), source, now)
        if command is None:
            return None
        command = replace(
            command,
            id=command.id or entry_id,
            expires=command.expires or _later(entry_id, self.lasting_s),
        )
        again = bool(self._obeyed) and number(entry_id) <= number(self._obeyed)
        return ev.Commanded(command, self._has_expired(command), again)

    def kept(self, place: Place, obeyed: str = "") -> Line:
        """Return the line that keeps ``place`` in Redis.

        Args:
            obeyed: the last entry beyond it that was obeyed all the same; empty for none.
        """
        more = {"obeyed": obeyed} if obeyed else {}
        return ("SET", self._names.cursor, to_json({**place.fields, **more}))


def _later(entry_id: str, seconds: float) -> str:
    """Return the time (RFC 3339) so long after an entry was added; its id says when that was."""
    return rfc3339(min(number(entry_id)[0] / 1000 + seconds, LAST_S))


def _streams(reply: Any) -> Iterator[list[Any]]:
    """Yield the entries of each stream of a reply to XREAD; there is one stream, or no reply."""
    if isinstance(reply, dict):
        yield from reply.values()


def _texts(entries: Iterable[Any]) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    for entry_id, fields in entries:
        # A deleted entry has no fields (they are null).
        yield entry_id.decode(), dict(zip((fields or ())[::2], (fields or ())[1::2], strict=True))
