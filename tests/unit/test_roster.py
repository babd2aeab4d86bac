"""Tests of `statusd.wire.roster`: the entries of many units, in few commands."""

from __future__ import annotations

import json

from hiredis import ReplyError

from statusd import logs
from statusd.wire.names import Names
from statusd.wire.outbox import Outbox, RedisCommand
from statusd.wire.roster import Roster

AT = "2026-01-01T00:00:00.000Z"
LATER = "2026-01-01T00:00:06.000Z"


class Written:
    """A roster, and what it sends."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.outbox = Outbox(lambda line, reason: self.refused.append(reason))
        self.roster = Roster(self.outbox, logs.get())

    def seen(self, *names: str, at: str = AT, now: bool = False) -> None:
        """Each of these holds its name."""
        for name in names:
            self.roster.seen(Names("statusd", name), 7, at, now=now)

    def left(self, name: str) -> None:
        """It has left."""
        self.roster.left(Names("statusd", name), 7, LATER)

    def sent(self, reply: object = 0) -> dict[str, bool]:
        """Send it with that reply, and return who has left of those that were written."""
        (line,) = self.outbox.take(10)
        assert line[:2] == ("HSET", "statusd:roster")
        self.outbox.replied(reply)
        return entries(line)


def entries(line: RedisCommand) -> dict[str, bool]:
    """Return the names in a line, and who of them has left."""
    pairs = zip(line[2::2], line[3::2], strict=True)
    return {str(name): json.loads(str(entry))["left"] for name, entry in pairs}


def test_all_that_were_seen_are_one_command_every_ten_seconds() -> None:
    """With the latest time of each; nothing where nobody was seen."""
    written = Written()
    written.seen("a", "b", at=AT)
    written.seen("b", at=LATER)
    written.roster.beat(100.0)

    (line,) = written.outbox.take(10)
    assert line[2::2] == ("a", "b")
    assert json.loads(str(line[5])) == {"boot": 7, "left": False, "seen": LATER}
    written.outbox.replied(0)

    written.seen("a", at=LATER)
    written.roster.beat(109.0)
    assert written.outbox.waiting == 0
    written.roster.beat(110.0)
    assert written.sent() == {"a": False}
    written.roster.beat(120.0)
    assert written.outbox.waiting == 0


def test_who_comes_or_goes_is_written_at_once() -> None:
    """With what is due anyway."""
    written = Written()
    written.seen("a")
    written.seen("b", now=True)
    assert written.sent() == {"a": False, "b": False}

    written.left("a")
    assert written.sent() == {"a": True}


def test_nothing_follows_what_an_end_says() -> None:
    """It takes the place of what was due, or waits to be sent."""
    written = Written()
    written.seen("a", "b", now=True)
    written.left("a")

    assert written.sent() == {"a": True, "b": False}
    written.roster.beat(200.0)
    assert written.outbox.waiting == 0


def test_what_was_seen_while_a_line_is_on_its_way_is_still_due() -> None:
    """A reply is to what was sent."""
    written = Written()
    written.seen("a", "b", now=True)
    written.outbox.take(10)
    written.seen("b", at=LATER)
    written.outbox.replied(2)
    written.roster.beat(200.0)

    assert written.sent() == {"b": False}


def test_a_lost_link_leaves_what_is_known_for_sure() -> None:
    """Whose the names are then, nobody knows; who has left, has."""
    written = Written()
    written.seen("a", "b")
    written.left("c")
    written.roster.lost()
    written.roster.forget("c")
    written.left("d")

    assert written.sent() == {"d": True}


def test_a_name_that_is_another_s_is_not_mentioned_any_more() -> None:
    """Its holder says what there is to be said."""
    written = Written()
    written.seen("a", "b")
    written.roster.forget("a")
    written.roster.beat(100.0)

    assert written.sent() == {"b": False}


def test_what_is_refused_stays_due() -> None:
    """Told as any refusal is."""
    written = Written()
    written.seen("a", now=True)
    written.sent(ReplyError("OOM command not allowed"))
    written.roster.beat(100.0)

    assert written.sent() == {"a": False}
    assert written.refused == ["OOM command not allowed"]


def test_what_is_no_roster_is_put_aside() -> None:
    """And the entries are written anew."""
    written = Written()
    written.seen("a", now=True)
    written.outbox.take(10)
    written.outbox.replied(ReplyError("WRONGTYPE Operation against a key"))

    aside, line = written.outbox.take(10)
    assert aside == ("RENAME", "statusd:roster", "statusd:unreadable:{statusd:roster}")
    assert entries(line) == {"a": False}
    assert written.refused == []
