"""Durable commands: the stream of the namespace, read in order on the hearing link.

First what was missed, then whatever comes, by a blocking read that is asked again every three
seconds. It is read once for all units, from where the last of them is. Every few seconds the broker
is asked about the stream itself: is it still the one that we read, and was something taken out?

Length: one conversation with the broker, each answer beside its question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import hiredis

from statusd.core import events as ev
from statusd.core.bounds import Unreadable
from statusd.core.errors import BadMessage
from statusd.core.messages import Command, parse
from statusd.core.text import shown
from statusd.daemon.entries import streams, texts
from statusd.unit.cursor import Cursor, Entry
from statusd.unit.stream_position import StreamInfo, number
from statusd.wire.durable import LENGTH
from statusd.wire.names import Names
from statusd.wire.outbox import RedisCommand

BLOCK_MS = 3000
"""How long the broker holds a read back that finds nothing, in ms; well below `link.REPLY_S`."""
LOOK_EVERY = 3
"""The stream itself is looked at with every so many-th read."""
AT_ONCE = 100
"""So many entries are read at once."""
AGAIN_S = 5.0
"""A stream that we may not read is asked for again after this time."""
MOST_LOSSES = 3
"""So many links are lost over entries that are read one by one; then we listen without them."""
PAUSE_S = 30.0
"""They are tried again after this time."""
MOST_AT_ONCE_EMPTY = 100
"""So many blocking reads in a row may end at once with nothing; then it is no broker."""


class StreamReader:
    """Follows the stream of durable commands.

    Args:
        names: of the namespace; the unit in them doesn't matter.
        cursors: of the units.
        ask: sends a question on the hearing link.
        caught_up: called when all that was missed is read.
        noticed: called for each unit of which the stream has lost something while we listen.
        complain: told what is wrong with the stream: the name for the log, and words.
        told_time: gets the reply to TIME.
    """

    def __init__(
        self,
        names: Names,
        cursors: Sequence[Cursor],
        *,
        ask: Callable[..., None],
        caught_up: Callable[[], None],
        noticed: Callable[[Cursor], None],
        complain: Callable[[str, str], None],
        told_time: Callable[[object], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._key, self._aside = names.commands, names.commands_put_aside
        self._cursors = {cursor.key: cursor for cursor in cursors}
        self._ask = ask
        self._say_caught_up = caught_up
        self._noticed = noticed
        self._say_complaint = complain
        self._told_time = told_time
        self.trouble = ""
        """What is wrong with the stream now, in words; empty for nothing."""
        self._at_once = AT_ONCE
        self._losses = 0
        self._lost_at = ""
        self._info: StreamInfo | None = None
        self._is_behind = True
        self._reads = self._epoch = self._empty = 0
        self._reading: RedisCommand = ()
        self._read_at = 0.0

    def add(self, cursor: Cursor) -> None:
        """Read for another one, too, or for the same one in its next life."""
        was_idle = not self._cursors
        self._cursors[cursor.key] = cursor
        if cursor.asks:
            self._reading = ()  # what comes of it is nothing to one that has no place yet
            self._ask(cursor.question())
        elif was_idle or not cursor.place.id:
            self._look()

    def forget(self, cursor: Cursor) -> None:
        """Read for the others only; without any, nothing is read."""
        del self._cursors[cursor.key]

    @property
    def _place(self) -> str:
        """The last entry that all units have read; empty if one never looked, or there is none."""
        return min((one.place.id for one in self._cursors.values()), key=_order, default="")

    # ---- what the link tells -------------------------------------------------------------------

    def confirmed(self) -> None:
        """A new connection hears its channels: find the place, and read what was missed."""
        self._is_behind = True
        self._epoch += 1
        if self._losses > MOST_LOSSES:
            self._losses = 0
            self._give_up("what stands in it can't be read in one piece", PAUSE_S)
            return
        asking = [cursor.question() for cursor in self._cursors.values() if cursor.asks]
        if asking:
            self._ask(*asking)
        else:
            self._look()

    def lost(self) -> None:
        """The connection is lost; what was too much for it is asked for in smaller pieces."""
        if not self._is_behind:
            return
        is_stuck = self._at_once == 1 and self._place == self._lost_at
        self._losses = self._losses + 1 if is_stuck else 0
        self._at_once = max(1, self._at_once // 10)
        self._lost_at = self._place

    def replied(self, line: RedisCommand, reply: object) -> None:
        """Take in the reply to a question of ours; an error is a `hiredis.ReplyError` value.

        Raises:
            Unreadable: it is no answer to that question.
        """
        match line[0]:
            case "GET" | "GETRANGE":
                self._take_cursor(str(line[1]), reply)
            case "TIME":
                self._told_time(reply)
            case "XINFO":
                self._take_info(reply)
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
        self._ask(("TIME",), ("XINFO", "STREAM", self._key))

    def _take_cursor(self, key: str, reply: object) -> None:
        cursor = self._cursors.get(key)  # none: its unit has ended
        if cursor is not None and not cursor.answered(reply):
            self._ask(cursor.question())
        elif not any(other.asks for other in self._cursors.values()):
            self._look()

    def _take_info(self, reply: object) -> None:
        if isinstance(reply, dict):
            info = StreamInfo.parse(reply)
        elif not isinstance(reply, hiredis.ReplyError):
            raise Unreadable("the reply to XINFO STREAM is none")
        elif str(reply).startswith("ERR no such key"):
            info = StreamInfo()
        else:
            if str(reply).startswith("WRONGTYPE"):
                for cursor in self._cursors.values():
                    cursor.begin()
            self._give_up(str(reply))
            return
        self._info = info
        self.trouble = ""
        has_read_all = number(self._place or info.last) >= number(info.last)
        if info.is_exhausted and has_read_all:
            self._renew()
        elif info.length > 2 * LENGTH and has_read_all:  # somebody doesn't bound what he adds
            self._ask(("XTRIM", self._key, "MAXLEN", "~", LENGTH))
        if any(cursor.has_gone_back(info) for cursor in self._cursors.values()):
            self._ask(("XREVRANGE", self._key, "+", "-", "COUNT", self._at_once))
        else:
            self._read_from(info, ())

    def _renew(self) -> None:
        """Let the stream be begun anew: nobody can add to it, for its ids are used up."""
        reason = "no command can be added any more: an entry has the highest id that there can be"
        self._complain(reason, "commands.exhausted")
        self._ask(("RENAMENX", self._key, self._aside))

    def _take_renewal(self, reply: object) -> None:
        aside = self._aside
        if reply == 1:
            self._say_complaint("commands.renewed", f"its ids were used up; it is {aside} now")
        elif not str(reply).startswith("ERR no such key"):  # else another unit has done it
            why = reply if isinstance(reply, hiredis.ReplyError) else f"{aside} is in the way"
            reason = f"no command can be added any more, nor can it be renamed ({why}): DEL it"
            self._complain(reason, "commands.exhausted")

    def _take_tail(self, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._give_up(str(reply))
        elif self._info is not None:
            self._read_from(self._info, [entry_id for entry_id, _ in texts(reply)])

    def _read_from(self, info: StreamInfo, tail: Sequence[str]) -> None:
        for cursor in self._cursors.values():
            cursor.resume(info, tail)
        self._go_on()

    def _go_on(self) -> None:
        """Settle the count if all that the stream had is read; ask for more."""
        info, cursors = self._info, self._cursors.values()
        if info is not None and number(self._place or info.last) >= number(info.last):
            for cursor in cursors:
                cursor.catch_up(info)
            self._info = None
        for cursor in cursors:
            cursor.deliver_place()
        if self._is_behind and self._info is None:
            self._is_behind, self._at_once, self._losses = False, AT_ONCE, 0
            self._say_caught_up()
        elif self._info is None:
            for cursor in cursors:
                if cursor.has_news:
                    self._noticed(cursor)
        self._reads += 1
        if not self._is_behind and self._reads % LOOK_EVERY == 0:
            self._look()
        else:
            self._read()

    def _read(self) -> None:
        if not self._cursors:
            return
        line: RedisCommand = ("XREAD", "COUNT", self._at_once)
        if not self._is_behind:
            line += ("BLOCK", BLOCK_MS)
        self._reading = (*line, "STREAMS", self._key, self._place)
        self._read_at = self._loop.time()
        self._ask(self._reading)

    def _give_up(self, reason: str, again_s: float = AGAIN_S) -> None:
        """Listen without the stream, and try again later."""
        self._complain(reason)
        self._info = None
        if self._is_behind:
            self._is_behind = False
            self._say_caught_up()
        self._loop.call_later(again_s, self._look_if_still, self._epoch)

    def _look_if_still(self, epoch: int) -> None:
        if epoch == self._epoch:
            self._look()

    # ---- the entries ---------------------------------------------------------------------------

    def _take_entries(self, line: RedisCommand, reply: object) -> None:
        if line is not self._reading:
            return
        if isinstance(reply, hiredis.ReplyError):
            self._give_up(str(reply))
            return
        found = [entry for stream in streams(reply) for entry in texts(stream)]
        if self._spread([Entry(entry_id, self._said(entry_id, what)) for entry_id, what in found]):
            self._empty = 0
        else:
            self._take_nothing()
        self._go_on()

    def _spread(self, entries: Sequence[Entry]) -> bool:
        """Let each unit have what is new to it; tell whether anything was, to any of them."""
        info, is_behind = self._info, self._is_behind
        cursors = self._cursors.values()
        news = [cursor.read(entries, info, is_behind=is_behind) for cursor in cursors]
        if info is not None and any(news) and number(entries[-1].id) > number(info.last):
            self._info = None  # what the broker counted holds up to its last
        return any(news)

    def _take_nothing(self) -> None:
        is_early = not self._is_behind and self._loop.time() - self._read_at < BLOCK_MS / 10_000
        self._empty = self._empty + 1 if is_early else 0
        if self._empty > MOST_AT_ONCE_EMPTY:
            raise Unreadable("a read that should wait for something doesn't")
        if self._info is not None:  # nothing left to read: what is missing is gone
            for cursor in self._cursors.values():
                cursor.skip_to(self._info.last)

    def _said(self, entry_id: str, said: dict[bytes, bytes]) -> Command | ev.InvalidMessage | None:
        """Return what an entry says; None if nobody is to obey it."""
        source, now = f"stream:{entry_id}", self._loop.time()
        payload = said.get(b"command")
        try:
            if payload is None:
                raise BadMessage('an entry needs the field "command"', b"")
            return parse(payload, source, now)
        except BadMessage as error:
            named = {"id": entry_id, **error.fields}
            return ev.InvalidMessage(BadMessage(error.reason, error.raw, named), source, now)


def _order(entry_id: str) -> tuple[int, int]:
    """Return where an entry stands among others; before all if it was never looked for any."""
    return number(entry_id) if entry_id else (-1, 0)
