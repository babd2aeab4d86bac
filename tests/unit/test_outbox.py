"""Tests of `statusd.wire.outbox`: what waits to be sent while the broker is away."""

from __future__ import annotations

import pytest
from hiredis import ReplyError
from hypothesis import given, settings
from hypothesis import strategies as st

from statusd.wire.outbox import Outbox, Outgoing, RedisCommand

OK = b"OK"


def heed(_: RedisCommand, __: object) -> None:
    """Wait for a reply."""


def filled(*names: str, limit: int = 10_000) -> Outbox:
    """Return an outbox with a line of each name in it."""
    outbox = Outbox(limit=limit)
    for name in names:
        outbox.put((name,))
    return outbox


def names(lines: list[RedisCommand]) -> str:
    """Return the first word of each line."""
    return " ".join(str(line[0]) for line in lines)


def test_lines_leave_in_the_order_in_which_they_came() -> None:
    """No more of them at a time than were asked for."""
    outbox = filled("a", "b", "c")

    assert names(outbox.take(2)) == "a b"
    outbox.put(("d",))
    assert names(outbox.take(10)) == "c d"
    assert outbox.take(10) == []


def test_nothing_is_taken_when_nothing_is_asked_for() -> None:
    """Zero means zero, for lines and for slots."""
    outbox = filled("a")
    outbox.put_latest("s", ("new",))

    assert outbox.take(0) == []
    assert outbox.waiting == 2


def test_of_a_slot_only_the_newest_value_is_sent() -> None:
    """After the lines, once."""
    outbox = Outbox()
    outbox.put_latest("document", ("old",))
    outbox.put(("a",))
    outbox.put_latest("other", ("other",))
    outbox.put_latest("document", ("new",))

    assert names(outbox.take(10)) == "a new other"
    assert outbox.take(10) == []


def test_a_slot_waits_until_no_line_does() -> None:
    """Lines are history, a slot is only the present."""
    outbox = filled("a", "b")
    outbox.put_latest("document", ("new",))

    assert [names(outbox.take(1)) for _ in range(3)] == ["a", "b", "new"]


def test_a_full_outbox_drops_its_oldest_line_and_counts_it() -> None:
    """What is newest is worth most when the broker is back."""
    outbox = filled("a", "b", "c", "d", "e", limit=3)

    assert (outbox.dropped, len(outbox)) == (2, 3)
    assert names(outbox.take(10)) == "c d e"


@pytest.mark.fault("X27")
def test_what_is_kept_is_dropped_after_what_is_only_said() -> None:
    """Answers that nobody waits for, then other answers, then the history; each is counted."""
    outbox = Outbox(limit=4)
    outbox.put(("XADD", 1))
    outbox.put(("PUBLISH", 2), heed)
    outbox.put(("PUBLISH", 3))
    outbox.put(("XADD", 4))

    left = []
    for number in range(5, 9):
        outbox.put(("XADD", number))
        left.append([line[1] for line in outbox.unsent(10)])

    assert left == [[1, 2, 4, 5], [1, 4, 5, 6], [4, 5, 6, 7], [5, 6, 7, 8]]
    assert (outbox.dropped, outbox.lost) == (4, 2)


@pytest.mark.fault("X27")
def test_room_is_made_for_many_at_once() -> None:
    """A flood that makes room for each line anew would look at all of them each time."""
    outbox = Outbox(limit=1000)
    for number in range(1000):
        outbox.put(("XADD" if number < 500 else "PUBLISH", number))

    outbox.put(("XADD", 1000))

    assert (outbox.dropped, outbox.lost, outbox.waiting) == (100, 0, 901)
    assert [line[1] for line in outbox.take(501)][-1] == 600


@pytest.mark.fault("X19")
def test_only_what_was_in_flight_may_have_been_carried_out() -> None:
    """By this daemon or by the last one; and still so when the next link is lost as well."""
    outbox = Outbox()
    former: tuple[RedisCommand, ...] = (("XADD", "1-1"), ("XADD", "1-2"))
    outbox.inherit(former, heed, heed)
    sent, waiting, same = ("XADD", "2-1"), ("XADD", "2-2"), ("XADD", "2-1", "x")[:2]
    outbox.put(sent)
    outbox.take(3)
    outbox.replied(OK)
    outbox.put(waiting)
    outbox.rewind()
    outbox.rewind()

    assert [outbox.is_resent(line) for line in (former[1], sent)] == [True, True]
    assert not outbox.is_resent(waiting)
    assert not outbox.is_resent(same)
    assert not outbox.is_resent(former[0])


def test_what_the_broker_refuses_is_kept_for_the_next_start() -> None:
    """It is older than whatever waits."""
    outbox = filled("c")
    outbox.beside.extend([("a",), ("b",)])

    assert names(list(outbox.unsent(10))) == "a b c"
    assert len(outbox) == 1


def test_a_slot_takes_no_room_from_the_lines() -> None:
    """It is one at most, whatever the limit."""
    outbox = filled("a", "b", limit=2)

    outbox.put_latest("document", ("new",))

    assert outbox.dropped == 0
    assert names(outbox.take(10)) == "a b new"


def test_what_is_in_flight_takes_no_room_either() -> None:
    """The limit is for what waits."""
    outbox = filled("a", "b", limit=2)
    outbox.take(2)

    outbox.put(("c",))
    outbox.put(("d",))

    assert (outbox.dropped, outbox.waiting, outbox.in_flight, len(outbox)) == (0, 2, 2, 4)


def test_replies_belong_to_the_oldest_lines_in_flight() -> None:
    """Redis answers in order."""
    outbox, told = Outbox(), list[tuple[RedisCommand, object]]()

    def tell(line: RedisCommand, reply: object) -> None:
        told.append((line, reply))

    outbox.put(("a",), tell)
    outbox.put(("b",), tell)
    outbox.put_latest("document", ("new",), tell)
    outbox.take(10)

    for number in range(3):
        outbox.replied(number)

    assert told == [(("a",), 0), (("b",), 1), (("new",), 2)]
    assert (outbox.in_flight, len(outbox)) == (0, 0)


def test_a_reply_is_told_to_who_awaits_it_and_nobody_else() -> None:
    """Who watches hears of errors alone; one that nobody takes care of is told to the owner."""
    error, told = ReplyError("NOPERM"), list[str]()
    outbox = Outbox(refused=lambda line, reason: told.append(f"owner: {line[0]!s} {reason}"))

    def as_mine(line: RedisCommand, _: object) -> bool:
        told.append(f"mine: {line[0]!s}")
        return True

    def as_seen(line: RedisCommand, _: object) -> None:
        told.append(f"seen: {line[0]!s}")

    outbox.put(("a",))
    outbox.put_watched(("b",), as_mine)
    outbox.put(("c",), as_mine)
    outbox.put(("d",), as_seen)
    outbox.put_latest("slot", ("e",))
    for reply, expected in (
        (OK, ["mine: c", "seen: d"]),
        (error, ["owner: a NOPERM", "mine: b", "mine: c", "seen: d", "owner: d NOPERM"]),
    ):
        told.clear()
        outbox.take(10)
        for _ in range(5):
            if reply is error or not outbox.passed():
                outbox.replied(reply)
        last = ["owner: e NOPERM"] if reply is error else []
        assert told == [*expected, *last]
        outbox.put(("a",))
        outbox.put_watched(("b",), as_mine)
        outbox.put(("c",), as_mine)
        outbox.put(("d",), as_seen)
        outbox.put_latest("slot", ("e",))


def test_a_lost_link_gives_back_what_had_no_reply() -> None:
    """In the old order, before all that came later; what had a reply is not sent again."""
    outbox = filled("a", "b", "c", "d")
    outbox.take(3)
    outbox.replied(OK)

    outbox.rewind()

    assert outbox.in_flight == 0
    assert names(outbox.take(10)) == "b c d"


def test_a_slot_that_comes_back_gives_way_to_a_newer_value() -> None:
    """An old document must not be sent over a new one."""
    outbox = Outbox()
    outbox.put_latest("document", ("old",))
    outbox.put_latest("other", ("same",))
    outbox.take(10)
    outbox.put_latest("document", ("new",))

    outbox.rewind()

    assert sorted(map(str, outbox.take(10))) == ["('new',)", "('same',)"]


def test_of_two_values_in_flight_the_newer_one_comes_back() -> None:
    """Only the latest matters."""
    outbox = Outbox()
    for value in ("old", "new"):
        outbox.put_latest("document", (value,))
        outbox.take(1)

    outbox.rewind()

    assert names(outbox.take(10)) == "new"


def test_a_rewind_drops_nothing() -> None:
    """What was there before comes back, beyond the limit if it must."""
    outbox = filled("a", "b", limit=2)
    outbox.take(2)
    outbox.put(("c",))
    outbox.put(("d",))

    outbox.rewind()

    assert outbox.dropped == 0
    assert names(outbox.take(10)) == "a b c d"


def test_an_empty_outbox_is_false() -> None:
    """And one with anything in it - waiting, in a slot, in flight - is true."""
    outbox = filled("a")
    assert outbox
    outbox.take(1)
    assert outbox
    outbox.replied(OK)
    assert not outbox
    outbox.put_latest("document", ("new",))
    assert outbox


def test_a_rewind_of_nothing_is_nothing() -> None:
    """A link that was lost before it could send."""
    outbox = filled("a")

    outbox.rewind()

    assert names(outbox.take(10)) == "a"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["put", "put", "slot", "take", "reply", "lose"]), max_size=60))
def test_every_line_is_replied_to_once_and_in_order(acts: list[str]) -> None:
    """Whatever happens to the links; and the last value of the slot gets through."""
    outbox, replied = Outbox(), list[RedisCommand]()
    slot: RedisCommand = ("none",)

    def tell(line: RedisCommand, _: object) -> None:
        replied.append(line)

    for count, act in enumerate([*acts, "lose"], 1):
        if act == "put":
            outbox.put(("line", count), tell)
        elif act == "slot":
            slot = ("slot", count)
            outbox.put_latest("document", slot, tell)
        elif act == "take":
            outbox.take(2)
        elif act == "reply" and outbox.in_flight:
            outbox.replied(OK)
        elif act == "lose":
            outbox.rewind()
    outbox.take(1000)
    while outbox.in_flight:
        outbox.replied(OK)

    put = [("line", n) for n, act in enumerate(acts, 1) if act == "put"]
    slots = [line for line in replied if line[0] == "slot"]
    assert [line for line in replied if line[0] == "line"] == put
    assert slots[-1:] == ([slot] if slot != ("none",) else [])
    assert slots == sorted(slots, key=lambda line: int(line[1]))
    assert outbox.dropped == 0


def test_what_was_not_confirmed_can_be_kept() -> None:
    """In flight first, then what waits, the newest of it; no slots, which the next start fills."""
    outbox = filled("a", "b", "c")
    outbox.put_latest("document", ("new",))
    outbox.take(2)
    outbox.replied(OK)

    assert names(list(outbox.unsent(10))) == "b c"
    assert names(list(outbox.unsent(1))) == "c"
    assert names(outbox.take(10)) == "c new"  # looking takes nothing away


def test_a_reply_that_nobody_waits_for_is_passed_over() -> None:
    """Those of slots, and of lines that are awaited, are somebody's."""
    outbox = filled("a")
    outbox.put(("b",), heed)
    outbox.put_latest("document", ("new",))
    outbox.take(10)

    assert outbox.passed()
    assert not outbox.passed()
    outbox.replied(OK)
    assert not outbox.passed()
    assert outbox.oldest == ("new",)
    outbox.replied(OK)
    assert not outbox.passed()


def test_a_line_stays_awaited_after_a_loss() -> None:
    """And it can be kept like any other."""
    outbox = Outbox()
    outbox.put(("a",), heed)
    outbox.take(1)

    outbox.rewind()

    assert outbox.unsent(10) == (("a",),)
    assert names(outbox.take(10)) == "a"
    assert not outbox.passed()


# ---- many outboxes on one link -------------------------------------------------------------------


def test_each_outbox_has_its_own_slots_and_its_own_unsent_lines() -> None:
    """What one unit writes anew takes the place of nothing of another's."""
    link = Outgoing()
    one, other = (link.open(lambda *_: None) for _ in range(2))
    for box, name in ((one, "one"), (other, "other")):
        box.put((name,))
        box.put_latest("document", (f"{name}'s",))

    assert names(link.take(10)) == "one one's other other's"
    assert (link.in_flight, link.waiting, len(link)) == (4, 0, 4)
    assert (one.unsent(10), other.unsent(10)) == ((("one",),), (("other",),))


def test_a_reply_finds_its_outbox() -> None:
    """An error is told to the unit whose line it was; a lost link gives each its own lines back."""
    link, told = Outgoing(), list[str]()
    boxes = [link.open(lambda line, why, n=n: told.append(f"{n}: {line[0]!s}")) for n in range(2)]  # type: ignore[misc]  # the default binds n
    for box, name in zip(boxes, "ab", strict=True):
        box.put((name,))
    link.take(10)

    assert link.oldest == ("a",)
    link.replied(ReplyError("NOPERM"))
    link.replied(ReplyError("NOPERM"))
    assert told == ["0: a", "1: b"]

    for box, name in zip(boxes, "cd", strict=True):
        box.put((name,))
    taken = link.take(10)
    link.rewind()
    assert (link.in_flight, len(link)) == (0, 2)
    assert sorted(names(taken)) == sorted(names(link.take(10)))


def test_outboxes_take_turns() -> None:
    """One that always has something to say doesn't keep the others waiting."""
    link = Outgoing()
    boxes = [link.open(lambda *_: None) for _ in range(3)]
    for name, box in zip("abc", boxes, strict=True):
        for _ in range(2):
            box.put((name,))

    assert names(link.take(2) + link.take(4) + link.take(6)) == "a a b b c c"


def test_what_did_not_fit_waits_behind_the_others() -> None:
    """It has had its turn."""
    link = Outgoing()
    boxes = [link.open(lambda *_: None) for _ in range(2)]
    for _ in range(3):
        boxes[0].put(("a",))
    boxes[1].put_latest("slot", ("b",))

    assert names(link.take(2)) == "a a"
    assert names(link.take(4)) == "b a"


def test_what_has_nothing_to_say_is_not_looked_at() -> None:
    """A flush of one of a thousand units must not cost a thousand looks."""
    link = Outgoing()
    one, idle = (link.open(lambda *_: None) for _ in range(2))
    idle.put(("idle",))
    link.take(10)
    link.replied(OK)
    idle._waiting = None  # type: ignore[assignment]  # whoever looks fails

    one.put(("a",))

    assert names(link.take(10)) == "a"
    assert (link.waiting, link.in_flight) == (0, 1)


def test_who_fills_the_link_comes_last_the_next_time() -> None:
    """However much it has: nobody waits behind more than what the link holds."""
    link = Outgoing()
    loud, *quiet = (link.open(lambda *_: None) for _ in range(3))
    for _ in range(10):
        loud.put(("l",))
    for box in quiet:
        box.put_latest("document", ("q",))

    assert names(link.take(2)) == "l l"
    assert names(link.take(5)) == "q q l"
    assert [link.waiting, loud.waiting] == [7, 7]


def test_what_is_taken_back_is_sent_again() -> None:
    """By whoever had nothing else to say."""
    link = Outgoing()
    box = link.open(lambda *_: None)
    box.put_latest("document", ("d",))
    link.take(10)
    link.rewind()

    assert names(link.take(10)) == "d"
    link.replied(b"OK")
    link.rewind()
    assert link.take(10) == []


def test_what_one_outbox_can_not_hold_is_lost_to_nobody_else() -> None:
    """The limit is each unit's own."""
    link = Outgoing()
    loud, quiet = (link.open(lambda *_: None) for _ in range(2))
    loud.limit = 2
    quiet.put(("q",))
    for _ in range(5):
        loud.put(("l",))

    assert (loud.dropped, quiet.dropped) == (3, 0)
    assert sorted(names(link.take(10)).split()) == ["l", "l", "q"]


def test_a_closed_outbox_is_sent_no_more() -> None:
    """What is in flight still gets its replies."""
    link = Outgoing()
    one, other = (link.open(lambda *_: None) for _ in range(2))
    one.put(("a",))
    link.take(10)
    one.put(("b",))

    link.close(one)
    one.put(("b",))
    other.put(("c",))

    assert names(link.take(10)) == "c"
    assert link.passed()
    assert link.passed()
