"""Tests of `statusd.unit.log_readers`: who reads is sent it, while he asks, and no flood."""

from __future__ import annotations

import json
from typing import Any

import hiredis
import pytest

from statusd.supervision.ring import Ring
from statusd.unit.log_messages import BYTES_A_SECOND, LINES_A_SECOND
from statusd.unit.log_readers import (
    LINES_ASKED,
    MOST_ASKED,
    MOST_LEASES,
    MOST_WAITING,
    TOO_MANY,
)
from tests.unit.worlds import World

REPLY = "statusd:reply:logs:"


class Reader:
    """Asks one unit on a channel of his own, and reads what is sent there."""

    def __init__(self, world: World, name: str = "a") -> None:
        self._world, self._channel = world, f"{REPLY}{name}"

    def ask(self, **more: Any) -> Reader:
        """Ask."""
        question = {"ask": "logs", "reply_to": self._channel, **more}
        self._world.unit.logs.hear(b"statusd:logs:{unit}", json.dumps(question).encode())
        return self

    def told(self) -> list[dict[str, Any]]:
        """Return all messages so far."""
        line = ("PUBLISH", self._channel)
        sent = self._world.broker.sent
        return [json.loads(str(one[2])) for one in sent if one[:2] == line]

    def lines(self) -> list[str]:
        """Return the lines so far."""
        return [line["line"] for message in self.told() for line in message["lines"]]

    def left_out(self) -> int:
        """Return how many lines he was told of that he wasn't sent."""
        return sum(message.get("left_out", 0) for message in self.told())


@pytest.fixture
def world() -> World:
    """A unit whose worker has printed three lines."""
    ring = Ring(wall=lambda: 1_700_000_000.0)
    ring.take(1, 0, b"one\ntwo\n")
    ring.take(1, 1, b"oops\n")
    made = World("boot [ready]", ring=ring)
    made.broker.replies["PUBLISH"] = 1
    return made


def prints(world: World, text: bytes, stream: int = 0, run: int = 1) -> None:
    """Let the worker print."""
    ring = world.unit.logs._ring
    assert ring is not None
    ring.take(run, stream, text)


def test_the_last_lines_are_told(world: World) -> None:
    """Oldest first, with when, which run and which stream; and nothing after that."""
    reader = Reader(world).ask(lines=2)
    prints(world, b"three\n")
    world.play("+5")

    (message,) = reader.told()
    assert message["lines"] == [
        {"at": "2023-11-14T22:13:20.000Z", "run": 1, "stream": "stdout", "line": "two"},
        {"at": "2023-11-14T22:13:20.000Z", "run": 1, "stream": "stderr", "line": "oops"},
    ]
    assert (message["logs"], message["next"], message["answer"]) == ("unit", [2, 1], True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["one", "two", "oops"]),
        ({"lines": 0}, []),
        ({"stream": "stderr"}, ["oops"]),
        ({"since": "2023-11-14T22:13:20Z"}, ["one", "two", "oops"]),
        ({"since": "2023-11-14T22:13:21Z"}, []),
        ({"boot": 7, "after": [1, 0]}, ["two", "oops"]),
        ({"boot": 6, "after": [1, 0]}, ["one", "two", "oops"]),
        ({"boot": 7, "after": [50, 50]}, []),
    ],
)
def test_only_what_is_asked_for(world: World, asked: dict[str, Any], expected: list[str]) -> None:
    """So many, of a stream, since a time, or after what somebody has had of this daemon's life."""
    assert Reader(world).ask(**asked).lines() == expected


def test_what_comes_is_sent_while_the_lease_runs(world: World) -> None:
    """And no longer, unless he asks again: then he misses nothing, and is told nothing twice."""
    reader = Reader(world).ask(lines=0, follow_s=10)
    prints(world, b"three\n")
    world.play("+1")
    prints(world, b"four\n", run=2)
    world.play("+10")
    prints(world, b"five\n")
    world.play("+1")
    assert reader.lines() == ["three", "four"]
    assert [message["seq"] for message in reader.told()] == [0, 1, 2]

    last = reader.told()[-1]
    reader.ask(follow_s=10, boot=last["boot"], after=last["next"])
    reader.ask(follow_s=10, boot=last["boot"], after=last["next"])
    prints(world, b"six\n")
    world.play("+1")

    assert reader.lines() == ["three", "four", "five", "six"]


def test_nobody_asking_costs_nothing(world: World) -> None:
    """No call a line, no timer, no outbox; the same again when the last reader has gone."""
    logs = world.unit.logs
    boxes = len(world.broker.link._boxes)

    def is_at_rest() -> bool:
        ring: Any = logs._ring
        return not (ring.heard or logs._tick) and logs._outbox is None

    assert is_at_rest()
    Reader(world).ask(follow_s=2)
    prints(world, b"three\n")
    assert not is_at_rest()
    world.play("+3")
    prints(world, b"four\n")
    world.play("+1")

    assert is_at_rest()
    assert len(world.broker.link._boxes) == boxes


def test_it_is_no_command(world: World) -> None:
    """Nothing is decided, counted, written to the disk, or said to anybody else."""
    counts = world.unit.reporter.counts
    world.play("+1")
    before = (counts.handled, dict(counts.verdicts), len(world.disk.saves), len(world.events()))

    Reader(world).ask(follow_s=5)
    prints(world, b"three\n")
    world.play("+1")

    after = (counts.handled, dict(counts.verdicts), len(world.disk.saves), len(world.events()))
    assert before == after


def test_what_comes_is_encoded_once_for_all(world: World) -> None:
    """Each gets the same text, on his own channel."""
    readers = [Reader(world, str(number)).ask(lines=0, follow_s=10) for number in range(3)]
    prints(world, b"three\n")
    world.play("+1")

    texts = [line[2] for line in world.broker.sent if str(line[1]).startswith(REPLY)][-3:]
    assert len({id(text) for text in texts}) == 1
    assert all(reader.lines() == ["three"] for reader in readers)


def test_a_flood_is_capped_and_counted(world: World) -> None:
    """Whoever reads gets the newest, at most so many a second, and learns what he doesn't get."""
    readers = [Reader(world, str(number)).ask(lines=0, follow_s=60) for number in range(2)]
    for _ in range(50):
        prints(world, b"".join(b"line %d\n" % number for number in range(1000)))
        world.play("+0.1")
    world.play("+3")

    for reader in readers:
        got = len(reader.lines())
        assert 5 * LINES_A_SECOND <= got <= 7 * LINES_A_SECOND
        assert got + reader.left_out() == 50_000
        assert reader.lines()[-1] == "line 999"


def test_a_flood_of_one_stream_doesnt_cost_the_other(world: World) -> None:
    """Somebody follows both, and is sent all that may be: who follows the other one misses none."""
    Reader(world, "both").ask(lines=0, follow_s=60)
    errors = Reader(world, "errors").ask(lines=0, follow_s=60, stream="stderr")
    for number in range(20):
        prints(world, b"x\n" * 1000)
        prints(world, b"error %d\n" % number, stream=1)
        world.play("+0.1")
    world.play("+0.2")

    assert errors.lines() == [f"error {number}" for number in range(20)]


def test_long_lines_are_capped_by_their_bytes(world: World) -> None:
    """As they stand on the wire."""
    reader = Reader(world).ask(lines=0, follow_s=60)
    for _ in range(10):
        prints(world, (b"\x01" * 2000 + b"\n") * 20)
        world.play("+0.1")
    world.play("+5")

    texts = [line[2] for line in world.broker.sent if str(line[1]).startswith(REPLY)]
    assert max(len(str(text)) for text in texts) < BYTES_A_SECOND + 1000
    assert sum(len(str(text)) for text in texts) < 3.5 * BYTES_A_SECOND
    assert len(reader.lines()) + reader.left_out() == 200


def test_what_stands_is_sent_as_it_changes(world: World) -> None:
    """A bar; null when it has gone; a line when it got its end."""
    reader = Reader(world).ask(lines=0, follow_s=60)
    for state in (b"\r 1%", b"\r 2%", b"\r 3%"):
        prints(world, state, stream=1)
        world.play("+0.2")
    prints(world, b"\r100%\n", stream=1)
    world.play("+1")

    standing = [one["standing"] for one in reader.told() if "standing" in one]
    assert [one and one["line"] for one in standing] == [" 1%", " 2%", " 3%", None]
    assert reader.lines() == ["100%"]


def test_who_has_gone_is_sent_nothing_more(world: World) -> None:
    """The broker says how many have heard it."""
    reader = Reader(world).ask(lines=0, follow_s=60)
    world.broker.replies["PUBLISH"] = 0
    for _ in range(3):
        prints(world, b"x\n")
        world.play("+1")

    assert reader.lines() == ["x"]


def test_a_broker_that_is_away_is_sent_one_message(world: World) -> None:
    """What comes meanwhile is told or counted then; nothing of it waits in the unit's outbox."""
    reader = Reader(world).ask(lines=0, follow_s=60)
    world.play("+1")
    world.broker.is_up = False
    unit = world.unit.publisher.outbox
    for _ in range(20):
        prints(world, b"x\n" * 50)
        world.play("+0.5")

    outbox: Any = world.unit.logs._outbox
    assert outbox.waiting == 1
    assert not [line for line in unit.unsent(1000) if str(line[1]).startswith(REPLY)]
    world.broker.is_up = True
    world.unit.ports.broker.flush()
    world.play("+5")
    assert len(reader.lines()) + reader.left_out() == 1000


def test_a_refused_reader_costs_his_lease_and_is_logged(world: World) -> None:
    """An access list without that channel."""
    Reader(world).ask(lines=0, follow_s=60)
    world.play("+1")
    world.broker.replies["PUBLISH"] = hiredis.ReplyError("NOPERM no permissions")
    prints(world, b"x\n")
    world.play("+1")
    prints(world, b"y\n")
    world.play("+1")

    assert world.unit.logs._tails == {}
    told = [fields for event, fields in world.logged if event == "reply.failed"]
    assert [fields["reason"] for fields in told] == ["NOPERM no permissions"]


def test_the_oldest_of_too_many_goes(world: World) -> None:
    """He is told why; who asks again stays."""
    readers = [Reader(world, str(number)) for number in range(MOST_LEASES + 1)]
    for reader in readers:
        reader.ask(lines=0, follow_s=30)
        world.play("+0.5")
    prints(world, b"x\n")
    world.play("+1")

    assert readers[0].told()[-1]["ended"] == TOO_MANY
    assert [reader.lines() for reader in readers] == [[], *([["x"]] * MOST_LEASES)]


def test_who_asks_too_often_is_told_so_and_then_nothing(world: World) -> None:
    """What he asks for counts as well; a second later he is answered."""
    reader = Reader(world)
    for _ in range(500):
        reader.ask(lines=2000)
    told = reader.told()
    answered = [one for one in told if "refused" not in one]
    assert len(answered) == MOST_ASKED // (1 + 2000 / LINES_ASKED)
    assert len(told) <= 3 * MOST_ASKED
    assert "more than 20 times" in told[-1]["refused"]
    world.play("+2")

    assert reader.ask().told()[-1]["lines"]


def test_what_somebody_has_missed_counts_as_asked_for(world: World) -> None:
    """Though he asks for no number of lines: four times 2,000 in a second, as of who does."""
    prints(world, b"x\n" * 2000)
    reader = Reader(world)
    for _ in range(20):
        reader.ask(lines=0, boot=7, after=[0, 0])

    assert len(reader.lines()) == 4 * 2000
    assert "more than 20 times" in reader.told()[-1]["refused"]


def test_what_is_missing_in_an_answer_is_counted_once(world: World) -> None:
    """Before the first of its messages, for whoever reads on; all others know what they ask for."""
    prints(world, b"".join(b"line %d\n" % number for number in range(3000)))
    prints(world, b"last\n")
    reader = Reader(world).ask(lines=0, boot=7, after=[0, 0])

    told = reader.told()
    assert [("more" in one, "next" in one) for one in told[-2:]] == [(True, False), (False, True)]
    assert ["left_out" in one for one in told] == [True] + [False] * (len(told) - 1)
    assert len(reader.lines()) + reader.left_out() == 3004
    assert Reader(world, "b").ask(lines=1).left_out() == 0


def test_nobody_is_answered_while_too_much_waits_for_the_broker(world: World) -> None:
    """A broker that is slow gets no more to carry; when it has carried that, they are answered."""
    prints(world, b"x\n" * 2000)
    reader = Reader(world)
    world.broker.is_up = False
    for _ in range(100):
        reader.ask(lines=2000)
        world.play("+1")
    world.broker.is_up = True
    world.unit.ports.broker.flush()
    world.play("+1")

    assert MOST_WAITING < len([one for one in reader.told() if one["lines"]]) < MOST_WAITING + 10
    assert reader.ask(lines=1).told()[-1]["lines"]


def test_what_stands_is_told_to_who_comes_later(world: World) -> None:
    """He hasn't heard of it, though it hasn't changed."""
    Reader(world).ask(lines=0, follow_s=60)
    prints(world, b"\r 1%")
    world.play("+1")
    later = Reader(world, "later").ask(lines=0, follow_s=60)
    world.play("+1")

    assert [one["standing"]["line"] for one in later.told() if "standing" in one] == [" 1%"]


def test_what_doesnt_come_by_us_is_said_with_the_cure() -> None:
    """With output = "inherit", and for an attached program."""
    world = World("boot [ready]")

    (told,) = Reader(world).ask().told()

    assert 'output = "tagged"' in told["refused"]


def test_when_the_unit_ends_readers_are_told_all_of_it(world: World) -> None:
    """The last lines, and that no more come."""
    reader = Reader(world).ask(lines=0, follow_s=60)
    prints(world, b"bye\n")
    world.unit.logs.end()
    world.unit.ports.broker.flush()
    world.unit.logs.close()

    assert reader.lines() == ["bye"]
    assert reader.told()[-1]["ended"] == "it has ended"


class Peer:
    """Somebody on this host."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def write(self, text: str) -> None:
        """Be written a line."""
        self.told.append(json.loads(text))


def test_nothing_comes_after_the_end(world: World) -> None:
    """What a worker prints that is being killed then is sent to nobody, whichever way he asked."""
    reader, peer = Reader(world).ask(lines=0, follow_s=60), Peer()
    world.unit.logs.hear_local(b'{"ask": "logs", "lines": 0, "follow_s": 60}', peer)
    world.unit.logs.end()
    prints(world, b"too late\n")
    world.play("+5")

    for told in (reader.told(), peer.told):
        assert told[-1]["ended"] == "it has ended"
        assert not [one for one in told if one["lines"]]


def test_the_same_by_the_socket(world: World) -> None:
    """On the connection itself; what is a command there stays one."""
    peer, logs = Peer(), world.unit.logs

    assert not any(logs.hear_local(line, peer) for line in (b"logs", b'{"command": "pause"}'))
    assert logs.hear_local(b'{"ask": "logs", "lines": 1, "follow_s": 9}', peer)
    assert logs.hear_local(b'{"ask": "logs", "lines": "x"}', peer)
    prints(world, b"three\n")
    world.play("+1")

    assert [line["line"] for one in peer.told for line in one["lines"]] == ["oops", "three"]
    assert [one["refused"] for one in peer.told if "refused" in one] == [
        '"lines" is no number from 0 to 2000'
    ]
