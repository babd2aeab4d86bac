"""How far one unit has read the stream of durable commands, and what it has missed of it.

The daemon reads the stream once for all its units; each takes what is new to it. Rule of this file:
an entry is delivered once, with the place behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import hiredis

from statusd.core import events as ev
from statusd.core.bounds import MOST_KEPT, Unreadable, fields
from statusd.core.messages import Command, to_json
from statusd.core.text import shown
from statusd.core.times import LAST_S, has_passed, rfc3339
from statusd.unit.stream_position import (
    START,
    StreamInfo,
    StreamPosition,
    has_gone_back,
    higher,
    judge,
    number,
    settled,
)
from statusd.wire.names import Names
from statusd.wire.outbox import RedisCommand

AHEAD_S = 60.0
"""An entry whose id is so far ahead of the broker's clock says nothing of when it was added."""


class Entry(NamedTuple):
    """One entry of the stream, as anybody may read it.

    Args:
        id: in the stream.
        said: what it says; None if nobody is to obey it.
    """

    id: str
    said: Command | ev.InvalidMessage | None


class Delivery(NamedTuple):
    """What was read, and up to where.

    Args:
        messages: of `ev.Delivered`; place: how far the stream has been read with them.
    """

    messages: tuple[ev.Commanded | ev.InvalidMessage, ...]
    place: StreamPosition


class Cursor:
    """Where one unit is in the stream.

    Args:
        names: of the unit.
        place: where the last daemon stopped reading.
        fresh: begin with what comes now, whatever was read before.
        lasting_s: so long a command without an ``expires`` of its own is obeyed.
        deliver: gets what was read.
        broker_time: the broker's wall clock, in seconds.
        complain: told what is wrong: the name for the log, and words.
        write_anew: called when what stands in Redis as our place is none.
    """

    def __init__(
        self,
        names: Names,
        place: StreamPosition,
        *,
        fresh: bool,
        lasting_s: float,
        deliver: Callable[[Delivery], None],
        broker_time: Callable[[], float],
        complain: Callable[[str, str], None],
        write_anew: Callable[[], None],
    ) -> None:
        self.key = names.cursor
        self.place = self._delivered = place
        self.asks = not fresh
        """Whether Redis has yet to be asked where we are."""
        self.lasting_s = lasting_s
        self._deliver = deliver
        self._broker_time = broker_time
        self._complain = complain
        self._write_anew = write_anew
        self._may_range = True
        self._obeyed = ""
        """Up to here the last daemon has obeyed, as far as Redis knows, whatever its disk has."""
        self._clear()

    def _clear(self) -> None:
        self._recovered, self._lost, self._trouble = 0, 0, ""
        self._is_unsure = False

    @property
    def has_news(self) -> bool:
        """Tell whether something of the stream is lost, or may be, and nobody was told yet."""
        return bool(self._trouble or self._lost)

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

    # ---- what Redis has of it ------------------------------------------------------------------

    def question(self) -> RedisCommand:
        """Return the question for our place; whatever stands there, it isn't read whole."""
        return ("GETRANGE", self.key, 0, MOST_KEPT) if self._may_range else ("GET", self.key)

    def answered(self, reply: object) -> bool:
        """Take in the answer to `question`; False if it has to be asked anew."""
        if self._may_range and str(reply).startswith("NOPERM"):  # rights of an older version
            self._may_range = False
            return False
        self.asks = False
        try:
            if isinstance(reply, hiredis.ReplyError):
                raise Unreadable(str(reply))
            if reply:
                content = fields(reply)
                self.place = higher(self.place, StreamPosition.read(content))
                self._obeyed = StreamPosition.parse({"id": content.get("obeyed")}).id
        except Unreadable as error:
            self._complain("cursor.unreadable", shown(error))
            self._write_anew()
        return True

    def kept(self, place: StreamPosition, obeyed: str = "") -> RedisCommand:
        """Return the line that keeps ``place`` in Redis.

        Args:
            obeyed: the last entry beyond it that was obeyed all the same; empty for none.
        """
        more = {"obeyed": obeyed} if obeyed else {}
        return ("SET", self.key, to_json({**place.fields, **more}))

    # ---- what the stream is --------------------------------------------------------------------

    def begin(self) -> None:
        """Nothing is in the stream that could be read: whatever will be is for us."""
        if not self.place.id:
            self.place = StreamPosition(START, 0)

    def has_gone_back(self, info: StreamInfo) -> bool:
        """Tell whether the stream has less than we have read of it."""
        return bool(self.place.id) and has_gone_back(self.place, info)

    def resume(self, info: StreamInfo, tail: Sequence[str]) -> None:
        """Find out where to read on.

        Args:
            tail: the ids of the last entries, if it has gone back.
        """
        self.place, reset = judge(self.place, info, tail if self.has_gone_back(info) else ())
        if reset:
            self._trouble, self._is_unsure = reset, True

    def catch_up(self, info: StreamInfo) -> None:
        """All that the stream had is read: count what is missing."""
        self.place, lost = settled(self.place, info)
        self._lost += lost

    def skip_to(self, last: str) -> None:
        """Nothing is left to read up to ``last``: what is missing there is gone."""
        if number(self.place.id) < number(last):
            self.place = replace(self.place, id=last)

    # ---- the entries ---------------------------------------------------------------------------

    def read(self, entries: Iterable[Entry], info: StreamInfo | None, *, is_behind: bool) -> bool:
        """Take the entries that are new to us, in order; tell whether any is.

        Args:
            info: of the stream, if they were not settled yet; what the broker counted doesn't
                hold beyond its last entry.
            is_behind: they were missed.
        """
        here = number(self.place.id)
        new = [entry for entry in entries if number(entry.id) > here]
        if not new:
            return False
        ids = [entry.id for entry in new]
        if info is not None:
            known = [entry_id for entry_id in ids if number(entry_id) <= number(info.last)]
            self.place = self.place.after(known)
            if len(known) < len(ids):
                self.catch_up(info)
            ids = ids[len(known) :]
        self.place = self.place.after(ids)
        self._recovered += len(new) if is_behind else 0
        self._hand_on(new)
        return True

    def deliver_place(self) -> None:
        """See that the place is kept, if it is another one than was told."""
        if self.place != self._delivered:
            self._hand_on(())

    def _hand_on(self, entries: Iterable[Entry]) -> None:
        self._delivered = self.place
        messages = (self._message(entry) for entry in entries)
        self._deliver(Delivery(tuple(m for m in messages if m is not None), self.place))

    def _message(self, entry: Entry) -> ev.Commanded | ev.InvalidMessage | None:
        if not isinstance(entry.said, Command):
            return entry.said
        command = replace(
            entry.said,
            id=entry.said.id or entry.id,
            expires=entry.said.expires or self._until(entry.id),
        )
        again = bool(self._obeyed) and number(entry.id) <= number(self._obeyed)
        return ev.Commanded(command, has_passed(command.expires, self._broker_time()), again)

    def _until(self, entry_id: str) -> str:
        """Return until when (RFC 3339) an entry is good; its id says when it was added.

        Nobody knows for how long one is that comes from a clock ahead of the broker's own: empty.
        """
        added_s = number(entry_id)[0] / 1000
        if added_s > self._broker_time() + AHEAD_S:
            reason = f"the id {entry_id} is ahead of the broker's clock, so it never expires"
            self._complain("commands.ahead", reason)
            return ""
        return rfc3339(min(added_s + self.lasting_s, LAST_S))
