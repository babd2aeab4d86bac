"""Durable commands: the stream of the namespace, read in order on the hearing link.

First what was missed, then whatever comes, by a blocking read that is asked again every two.
Every few seconds the broker is asked about the stream itself: whether it is still the one that we
read, and whether something was taken out of it before we could read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import hiredis

from statusd.core import events as ev
from statusd.core.bounds import MOST_KEPT, Unreadable, fields
from statusd.core.errors import BadMessage
from statusd.core.messages import Command, parse, to_json
from statusd.core.outbox import Line
from statusd.core.place import (
    START,
    Facts,
    Place,
    as_id,
    has_gone_back,
    higher,
    judge,
    number,
    settle,
)
from statusd.core.text import shown
from statusd.core.times import rfc3339
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
MOST_LOSSES = 3
"""So many links are lost over entries that are read one by one; then we listen without them."""
PAUSE_S = 30.0
"""They are tried again after this time."""
MOST_AT_ONCE_EMPTY = 100
"""So many blocking reads in a row may end at once with nothing; then it is no broker."""
AHEAD_S = 60.0
"""An entry whose id is so far ahead of the broker's clock says nothing of when it was added."""


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
        complain: told what is wrong with the stream: the name for the log, and words.
        broker_time: the broker's wall clock, in seconds.
        told_time: gets the reply to TIME.
        write_anew: called when what stands in Redis as our place is none.
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
        complain: Callable[[str, str], None],
        broker_time: Callable[[], float],
        told_time: Callable[[object], None],
        write_anew: Callable[[], None],
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
        self._say_complaint = complain
        self._broker_time = broker_time
        self._told_time = told_time
        self._write_anew = write_anew
        self.trouble = ""
        """What is wrong with the stream now, in words; empty for nothing."""
        self._at_once = AT_ONCE
        self._losses = 0
        self._lost_at: Place | None = None
        self._may_range = True
        self._facts: Facts | None = None
        self._is_behind = True
        self._reads = 0
        self._epoch = 0
        self._reading: Line = ()
        self._read_at = 0.0
        self._empty = 0
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
        if self._losses > MOST_LOSSES:
            self._losses = 0
            self._give_up("what stands in it can't be read in one piece", PAUSE_S)
            return
        if self._asks_cursor:
            self._ask(self._cursor_line())
        else:
            self._look()

    def lost(self) -> None:
        """The connection is lost; what was too much for it is asked for in smaller pieces."""
        if not self._is_behind:
            return
        is_stuck = self._at_once == 1 and self.place == self._lost_at
        self._losses = self._losses + 1 if is_stuck else 0
        self._at_once = max(1, self._at_once // 10)
        self._lost_at = self.place

    def replied(self, line: Line, reply: object) -> None:
        """Take in the reply to a question of ours; an error is a `hiredis.ReplyError` value.

        Raises:
            Unreadable: it is no answer to that question.
        """
        match line[0]:
            case "GET" | "GETRANGE":
                self._take_cursor(reply)
            case "TIME":
                self._told_time(reply)
            case "XINFO":
                self._take_facts(reply)
            case "XREVRANGE":
                self._take_tail(reply)
            case "XREAD":
                self._take_entries(line, reply)
            case "RENAMENX":
                self._take_renewal(reply)
            case _:
                if isinstance(reply, hiredis.ReplyError):
                    self._complain(f"it can't be cut: {reply}")

    def _complain(self, reason: str, event: str = "commands.unreadable") -> None:
        self.trouble = shown(reason)
        self._say_complaint(event, self.trouble)

    # ---- the place -----------------------------------------------------------------------------

    def _look(self) -> None:
        self._reading = ()  # what is on its way was asked before we knew
        self._ask(("TIME",), ("XINFO", "STREAM", self._names.commands))

    def _cursor_line(self) -> Line:
        """Return the question for our place; whatever stands there, it isn't read whole."""
        cursor = self._names.cursor
        return ("GETRANGE", cursor, 0, MOST_KEPT) if self._may_range else ("GET", cursor)

    def _take_cursor(self, reply: object) -> None:
        if self._may_range and str(reply).startswith("NOPERM"):  # rights of an older version
            self._may_range = False
            self._ask(self._cursor_line())
            return
        self._asks_cursor = False
        try:
            if isinstance(reply, hiredis.ReplyError):
                raise Unreadable(str(reply))
            if reply:
                content = fields(reply)
                self.place = higher(self.place, Place.read(content))
                self._obeyed = Place.parse({"id": content.get("obeyed")}).id
        except Unreadable as error:
            self._say_complaint("cursor.unreadable", shown(error))
            self._write_anew()
        self._look()

    def _take_facts(self, reply: object) -> None:
        if isinstance(reply, dict):
            facts = Facts.parse(reply)
        elif not isinstance(reply, hiredis.ReplyError):
            raise Unreadable("the reply to XINFO STREAM is none")
        elif str(reply).startswith("ERR no such key"):
            facts = Facts()
        else:
            if not self.place.id and str(reply).startswith("WRONGTYPE"):
                self.place = Place(START, 0)  # nothing was in it: whatever will be is for us
            self._give_up(str(reply))
            return
        self._facts = facts
        self.trouble = ""
        has_read_all = number(self.place.id or facts.last) >= number(facts.last)
        if facts.is_exhausted and has_read_all:
            self._renew()
        elif facts.length > 2 * LENGTH and has_read_all:  # somebody doesn't bound what he adds
            self._ask(("XTRIM", self._names.commands, "MAXLEN", "~", LENGTH))
        if self.place.id and has_gone_back(self.place, facts):
            self._ask(("XREVRANGE", self._names.commands, "+", "-", "COUNT", self._at_once))
        else:
            self._read_from(())

    def _renew(self) -> None:
        """Let the stream be begun anew: nobody can add to it, for its ids are used up."""
        reason = "no command can be added any more: an entry has the highest id that there can be"
        self._complain(reason, "commands.exhausted")
        self._ask(("RENAMENX", self._names.commands, self._names.commands_put_aside))

    def _take_renewal(self, reply: object) -> None:
        aside = self._names.commands_put_aside
        if reply == 1:
            self._say_complaint("commands.renewed", f"its ids were used up; it is {aside} now")
        elif not str(reply).startswith("ERR no such key"):  # else another unit has done it
            why = reply if isinstance(reply, hiredis.ReplyError) else f"{aside} is in the way"
            reason = f"no command can be added any more, nor can it be renamed ({why}): DEL it"
            self._complain(reason, "commands.exhausted")

    def _take_tail(self, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._give_up(str(reply))
        else:
            self._read_from([entry_id for entry_id, _ in _texts(reply)])

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
            self._is_behind, self._at_once, self._losses = False, AT_ONCE, 0
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
        line: Line = ("XREAD", "COUNT", self._at_once)
        if not self._is_behind:
            line += ("BLOCK", BLOCK_MS)
        self._reading = (*line, "STREAMS", self._names.commands, self.place.id)
        self._read_at = self._loop.time()
        self._ask(self._reading)

    def _give_up(self, reason: str, again_s: float = AGAIN_S) -> None:
        """Listen without the stream, and try again later."""
        self._complain(reason)
        self._facts = None
        if self._is_behind:
            self._is_behind = False
            self._say_caught_up()
        epoch = self._epoch
        self._loop.call_later(again_s, lambda: self._look() if epoch == self._epoch else None)

    # ---- the entries ---------------------------------------------------------------------------

    def _take_entries(self, line: Line, reply: object) -> None:
        if line is not self._reading:
            return
        if isinstance(reply, hiredis.ReplyError):
            self._give_up(str(reply))
            return
        entries = [entry for found in _streams(reply) for entry in _texts(found)]
        if entries:
            self._empty = 0
            self._advance([entry_id for entry_id, _ in entries])
            self._recovered += len(entries) if self._is_behind else 0
            self._tell(entries)
        else:
            self._take_nothing()
        self._go_on()

    def _take_nothing(self) -> None:
        is_early = not self._is_behind and self._loop.time() - self._read_at < BLOCK_MS / 10_000
        self._empty = self._empty + 1 if is_early else 0
        if self._empty > MOST_AT_ONCE_EMPTY:
            raise Unreadable("a read that should wait for something doesn't")
        if self._facts is not None:  # nothing left to read: what is missing is gone
            self.place = replace(self.place, id=self._facts.last)

    def _tell(self, entries: Iterable[tuple[str, dict[bytes, bytes]]]) -> None:
        self._delivered = self.place
        messages = (self._message(*entry) for entry in entries)
        self._deliver(ev.Delivered(tuple(m for m in messages if m is not None), self.place))

    def _message(
        self, entry_id: str, said: dict[bytes, bytes]
    ) -> ev.Commanded | ev.Misspoken | None:
        source, now = f"stream:{entry_id}", self._loop.time()
        payload = said.get(b"command")
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
            expires=command.expires or self._until(entry_id),
        )
        again = bool(self._obeyed) and number(entry_id) <= number(self._obeyed)
        return ev.Commanded(command, self._has_expired(command), again)

    def _until(self, entry_id: str) -> str:
        """Return until when (RFC 3339) an entry is good; its id says when it was added.

        Nobody knows for how long one is that comes from a clock ahead of the broker's own: empty.
        """
        added_s = number(entry_id)[0] / 1000
        if added_s > self._broker_time() + AHEAD_S:
            reason = f"the id {entry_id} is ahead of the broker's clock, so it never expires"
            self._say_complaint("commands.ahead", reason)
            return ""
        return rfc3339(min(added_s + self.lasting_s, LAST_S))

    def kept(self, place: Place, obeyed: str = "") -> Line:
        """Return the line that keeps ``place`` in Redis.

        Args:
            obeyed: the last entry beyond it that was obeyed all the same; empty for none.
        """
        more = {"obeyed": obeyed} if obeyed else {}
        return ("SET", self._names.cursor, to_json({**place.fields, **more}))


def _streams(reply: object) -> Iterator[object]:
    """Yield the entries of each stream of a reply to XREAD; there is one stream, or no reply.

    Raises:
        Unreadable: it is no reply to that.
    """
    if isinstance(reply, dict):
        yield from reply.values()
    elif reply is not None:
        raise Unreadable("the reply to XREAD is none")


def _texts(entries: object) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """Yield id and fields of each entry.

    Raises:
        Unreadable: they are no entries.
    """
    if not isinstance(entries, list):
        raise Unreadable("no list of entries")
    for entry in entries:
        if not isinstance(entry, list) or len(entry) != 2:
            raise Unreadable("no entry")
        said = entry[1] or ()  # a deleted entry has no fields (they are null)
        if not isinstance(said, list | tuple) or not all(isinstance(one, bytes) for one in said):
            raise Unreadable("no fields of an entry")
        yield as_id(entry[0]), dict(zip(said[::2], said[1::2], strict=False))
