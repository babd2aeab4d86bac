"""Tests of `statusd.daemon.stream_reader`: one reading for many units, each entry once for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hiredis import ReplyError

from statusd.core import events as ev
from statusd.daemon.stream_reader import StreamReader
from statusd.unit.cursor import Cursor, Delivery
from statusd.unit.stream_position import StreamPosition
from statusd.wire.names import Names
from statusd.wire.outbox import RedisCommand


class Reading:
    """A reader with the cursors of some units, and a stream that the test plays.

    Args:
        places: unit -> where its last daemon stopped.
        entries: number -> word, as they are in the stream; ids are ``<number>-0``.
    """

    def __init__(self, places: dict[str, int], entries: dict[int, str]) -> None:
        self.entries = entries
        self.asked: list[RedisCommand] = []
        self.delivered: dict[str, list[str]] = {name: [] for name in places}
        self.places: dict[str, str] = {}
        self.caught_up = 0
        self.noticed: list[str] = []
        self.cursors = {name: self._cursor(name, at) for name, at in places.items()}
        names = {cursor: name for name, cursor in self.cursors.items()}

        def caught_up() -> None:
            self.caught_up += 1

        self.reader = StreamReader(
            Names("statusd"),
            tuple(self.cursors.values()),
            ask=lambda *lines: self.asked.extend(lines),
            caught_up=caught_up,
            noticed=lambda cursor: self.noticed.append(names[cursor]),
            complain=lambda event, reason: None,
            told_time=lambda reply: None,
        )

    def _cursor(self, name: str, at: int) -> Cursor:
        def deliver(delivery: Delivery) -> None:
            self.places[name] = delivery.place.id
            for message in delivery.messages:
                assert isinstance(message, ev.Commanded)
                self.delivered[name].append(message.command.word)

        return Cursor(
            Names("statusd", name),
            StreamPosition(f"{at}-0", at),
            fresh=False,
            lasting_s=1e9,
            deliver=deliver,
            broker_time=lambda: 0.0,
            complain=lambda event, reason: None,
            write_anew=lambda: None,
        )

    def play(self, most: int = 50) -> None:
        """Answer what is asked, until only a read that may wait is left."""
        for _ in range(most):
            if not self.asked or (self.asked[0][0] == "XREAD" and "BLOCK" in self.asked[0]):
                return
            line = self.asked.pop(0)
            self.reader.replied(line, self._answer(line))
        raise AssertionError("it asks for ever")

    def add(self, number: int, word: str) -> None:
        """Let an entry come while the reader waits for one."""
        self.entries[number] = word
        line = self.asked.pop(0)
        assert "BLOCK" in line
        self.reader.replied(line, self._answer(line))

    def _answer(self, line: RedisCommand) -> Any:
        last = max(self.entries, default=0)
        match line[0]:
            case "GETRANGE":
                return b""
            case "TIME":
                return [b"0", b"0"]
            case "XINFO":
                return {
                    b"last-generated-id": b"%d-0" % last,
                    b"entries-added": last,
                    b"length": len(self.entries),
                }
            case "XREAD":
                after = int(str(line[-1]).partition("-")[0])
                found = [
                    [b"%d-0" % number, [b"command", word.encode()]]
                    for number, word in sorted(self.entries.items())
                    if number > after
                ]
                return {b"statusd:commands": found[: int(line[2])]} if found else None
            case _:
                return ReplyError("ERR unexpected")


def live(test: Callable[[], None]) -> None:
    """Run a test on a loop: a reader has a clock."""

    async def run() -> None:
        test()

    asyncio.run(run())


def test_it_is_read_from_where_the_last_unit_is() -> None:
    """Each unit gets what is new to it, in order, and once."""

    def story() -> None:
        reading = Reading({"a": 1, "b": 3, "c": 5}, {n: f"w{n}" for n in range(1, 6)})

        reading.reader.confirmed()
        reading.play()

        assert reading.delivered == {"a": ["w2", "w3", "w4", "w5"], "b": ["w4", "w5"], "c": []}
        assert reading.caught_up == 1
        assert {cursor.place.id for cursor in reading.cursors.values()} == {"5-0"}
        assert reading.places == {"a": "5-0", "b": "5-0"}

    live(story)


def test_what_comes_is_for_all() -> None:
    """From then on they are at the same place."""

    def story() -> None:
        reading = Reading({"a": 1, "b": 2}, {1: "w1", 2: "w2"})
        reading.reader.confirmed()
        reading.play()

        reading.add(3, "pause")
        reading.play()
        reading.add(4, "resume")

        assert reading.delivered == {"a": ["w2", "pause", "resume"], "b": ["pause", "resume"]}

    live(story)


def test_what_one_has_missed_is_lost_to_that_one_alone() -> None:
    """Entries were cut off that the others had read."""

    def story() -> None:
        reading = Reading({"a": 1, "b": 4}, {5: "w5"})

        reading.reader.confirmed()
        reading.play()

        assert reading.cursors["a"].report() == (
            "3 commands were cut off before they could be read",
            1,
            3,
        )
        assert reading.cursors["b"].report() == ("", 1, 0)

    live(story)


def test_a_broker_that_says_the_same_again_tells_nobody_anything() -> None:
    """An entry that was read is no news, and such a broker isn't asked without a pause."""

    def story() -> None:
        reading = Reading({"a": 5, "b": 5}, {5: "w5"})
        reading.reader.confirmed()
        reading.play()
        line = reading.asked.pop(0)

        reading.reader.replied(line, {b"statusd:commands": [[b"4-0", [b"command", b"end"]]]})

        assert reading.delivered == {"a": [], "b": []}
        assert {cursor.place.id for cursor in reading.cursors.values()} == {"5-0"}

    live(story)
