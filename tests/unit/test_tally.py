"""Tests of `statusd.core.tally`: answers in sum, whose counts add up."""

from __future__ import annotations

import random

import pytest

from statusd.core.answers import Verdict
from statusd.core.tally import MOST_SPELLINGS, PER_SECOND, Tally

NOW = 1000.0


def noop(state: str = "RUNNING", word: str = "start") -> Verdict:
    """Return the verdict on a word that changes nothing."""
    fields = {"verdict": "noop", "command": word, "state": state, "reason": f"already {state}"}
    return Verdict({**fields, "ms": 0.0}, "")


def invalid() -> Verdict:
    """Return the verdict on junk."""
    fields = {"verdict": "invalid", "command": "xyzzy", "reason": "xyzzy is no word", "ms": 0.0}
    return Verdict(fields, "")


def hear(tally: Tally, payload: bytes, verdict: Verdict, now: float = NOW) -> None:
    """Do as the hot path does."""
    slot = tally.slots.get(payload)
    if slot is not None:
        slot.count += 1
    else:
        tally.count(payload, verdict, now)


def total(told: list[Verdict]) -> int:
    """Return how many messages ``told`` answers."""
    return sum(int(verdict.fields.get("count", 1)) for verdict in told)


def drain(tally: Tally, now: float) -> list[Verdict]:
    """Ask every quarter of a second until nothing is held back."""
    told = []
    while tally.holds_back:
        now += 0.25
        told += tally.tell(now, now)
    return told


def test_a_few_words_are_answered_one_by_one() -> None:
    """At once, and as they are."""
    tally = Tally()
    hear(tally, b"start", noop())
    hear(tally, b"RUNNING", noop(word="RUNNING"))

    told = tally.tell(1000.0, 1000.0)

    assert told == [noop(), noop(word="RUNNING")]
    assert not tally.holds_back


def test_the_same_word_many_times_is_one_answer_with_a_count() -> None:
    """What came between two looks is summed up."""
    tally = Tally()
    for _ in range(413):
        hear(tally, b"start", noop())

    told = tally.tell(1000.0, 1000.0)

    assert told == [Verdict({**noop().fields, "count": 413}, "")]


def test_what_was_told_is_not_told_again() -> None:
    """A slot stays for the next word like it, and counts from nothing."""
    tally = Tally()
    hear(tally, b"start", noop())
    tally.tell(1000.0, 1000.0)

    silence = tally.tell(1001.0, 1001.0)
    hear(tally, b"start", noop())

    assert silence == []
    assert tally.tell(1002.0, 1002.0) == [noop()]


def test_nothing_counted_is_nothing_told() -> None:
    """An empty tally holds nothing back."""
    tally = Tally()

    assert tally.tell(0.0, 0.0) == []
    assert not tally.holds_back


def test_so_many_answers_a_second_and_no_more() -> None:
    """Beyond that they wait; a second later as many more may leave, however long the silence."""
    tally = Tally()
    tally.tell(0.0, 0.0)
    for n in range(50):
        hear(tally, b"%d" % n, noop(word=str(n)))

    numbers = [len(tally.tell(now, now)) for now in (3600.0, 3600.0, 3600.5, 3601.5, 3602.5)]

    assert numbers == [PER_SECOND, 0, PER_SECOND // 2, PER_SECOND, 0]


def test_a_flood_is_answered_in_sum_and_the_sum_is_right() -> None:
    """A hundred thousand words in ten seconds: some two hundred answers, and none forgotten."""
    tally, told, now = Tally(), [], 1000.0
    words = [(b"%d" % n, noop(word=str(n))) for n in range(7)]

    for n in range(100_000):
        hear(tally, *words[n % 7])
        if n % 100 == 99:
            now += 0.01
            told += tally.tell(now, now)
    told += drain(tally, now)

    assert total(told) == 100_000
    assert len(told) <= 12 * PER_SECOND
    by_word = [
        total([verdict for verdict in told if verdict.fields["command"] == str(n)])
        for n in range(7)
    ]
    assert by_word == [100_000 // 7 + (1 if n < 100_000 % 7 else 0) for n in range(7)]


def test_a_flood_across_changes_of_state_still_adds_up() -> None:
    """Every forgetting takes a picture; each answer speaks of the state it was heard in."""
    tally, told, now = Tally(), [], 1000.0
    chance = random.Random(1)
    heard: dict[str, int] = {"RUNNING": 0, "PAUSED": 0}

    for n in range(20_000):
        state = "RUNNING" if n // 500 % 2 == 0 else "PAUSED"
        if n % 500 == 0:
            tally.forget(NOW)
        hear(tally, b"%d" % chance.randrange(300), noop(state))
        heard[state] += 1
        if n % 100 == 99:
            now += 0.01
            told += tally.tell(now, now)
    told += drain(tally, now)

    counted = {
        state: total([verdict for verdict in told if verdict.fields["state"] == state])
        for state in heard
    }
    assert counted == heard


def test_what_was_counted_before_a_change_is_told_as_it_was() -> None:
    """And what comes after it is looked up anew."""
    tally = Tally()
    hear(tally, b"start", noop("RUNNING"))
    hear(tally, b"start", noop("RUNNING"))

    tally.forget(NOW)
    hear(tally, b"start", noop("PAUSED"))

    assert tally.tell(1000.0, 1000.0) == [
        Verdict({**noop("RUNNING").fields, "count": 2}, ""),
        noop("PAUSED"),
    ]


def test_a_forgotten_slot_that_was_told_is_gone() -> None:
    """Forgetting tells nothing twice."""
    tally = Tally()
    hear(tally, b"start", noop())
    tally.tell(1000.0, 1000.0)

    tally.forget(NOW)

    assert tally.slots == {}
    assert not tally.holds_back


def test_the_slots_stay_the_same_object() -> None:
    """The hot path holds it."""
    tally = Tally()
    slots = tally.slots
    hear(tally, b"start", noop())

    tally.forget(NOW)
    hear(tally, b"start", noop())

    assert slots is tally.slots
    assert list(slots) == [b"start"]


@pytest.mark.fault("M15")
def test_endless_spellings_do_not_fill_the_memory() -> None:
    """Only so many are kept, the rest is counted together; the sum is right all the same."""
    tally, told = Tally(), []
    verdict = noop()
    for n in range(20_000):
        hear(tally, b"%d" % n, verdict)
        if n % 1000 == 0:
            told += tally.tell(1000.0, 1000.0)

    told += tally.tell(1000.0, 1000.0)
    rest = drain(tally, 1000.0)

    assert len(tally.slots) == MOST_SPELLINGS
    assert len(told) + len(rest) <= MOST_SPELLINGS + 2 * PER_SECOND
    assert total(told + rest) == 20_000


def test_what_is_held_back_is_due_within_the_second() -> None:
    """Nobody waits longer than that for the first answer to a word, if there are few of them."""
    tally = Tally()
    for n in range(PER_SECOND):
        hear(tally, b"%d" % n, noop(word=str(n)))
    tally.tell(1000.0, 1000.0)
    hear(tally, b"0", noop(word="0"))
    held_back = tally.tell(1000.0, 1000.0)

    due = tally.tell(1001.0, 1001.0)

    assert held_back == []
    assert due == [noop(word="0").timed(1000.0)]


def test_the_first_junk_is_answered_at_once() -> None:
    """Whoever mistypes a word sees it."""
    tally = Tally()
    tally.count_junk(invalid, NOW)

    assert tally.tell(1000.0, 1000.0) == [invalid()]


def test_junk_is_answered_once_a_second_in_sum() -> None:
    """With what came first, and how much more there was."""
    tally = Tally()
    tally.count_junk(invalid, NOW)
    tally.tell(1000.0, 1000.0)
    for _ in range(413):
        tally.count_junk(invalid, NOW)

    early = tally.tell(1000.9, 1000.9)
    due = tally.tell(1001.0, 1001.0)

    assert early == []
    assert [verdict.fields for verdict in due] == [
        {
            "verdict": "invalid",
            "command": "xyzzy",
            "reason": "xyzzy is no word (and 412 more)",
            "ms": 1000.0,
            "count": 413,
        }
    ]


def test_junk_costs_one_verdict_a_second() -> None:
    """It is made for the first message only: a flood of junk must cost next to nothing."""
    tally = Tally()
    made = []

    def make() -> Verdict:
        """Return the verdict, and keep count of it."""
        made.append(1)
        return invalid()

    for _ in range(1000):
        tally.count_junk(make, NOW)
    tally.tell(1000.0, 1000.0)
    for _ in range(1000):
        tally.count_junk(make, NOW)

    assert len(made) == 2
    assert tally.junk == 2000


@pytest.mark.fault("M15")
def test_a_flood_of_junk_adds_up() -> None:
    """A hundred thousand in ten seconds: eleven answers."""
    tally, told, now = Tally(), [], 1000.0

    for n in range(100_000):
        tally.count_junk(invalid, NOW)
        if n % 1000 == 999:
            now += 0.1
            told += tally.tell(now, now)
    told += drain(tally, now)

    assert total(told) == tally.junk == 100_000
    assert len(told) <= 11


def test_at_the_end_nothing_is_held_back() -> None:
    """More words than may be told in a second, and junk: told at once, and the sum is right."""
    tally = Tally()
    for n in range(PER_SECOND * 3):
        hear(tally, b"%d" % n, noop(word=str(n)))
    tally.count_junk(invalid, NOW)
    told = tally.tell(1000.0, 1000.0)
    for _ in range(5):
        tally.count_junk(invalid, NOW)
    hear(tally, b"0", noop(word="0"))

    told += tally.tell_all(NOW, NOW)

    assert total(told) == PER_SECOND * 3 + 7
    assert not tally.holds_back
    assert tally.tell_all(NOW, NOW) == []


def test_junk_takes_no_turn_from_words() -> None:
    """Each has its own measure."""
    tally = Tally()
    tally.count_junk(invalid, NOW)
    for n in range(PER_SECOND):
        hear(tally, b"%d" % n, noop(word=str(n)))

    told = tally.tell(1000.0, 1000.0)

    assert len(told) == PER_SECOND + 1


def test_an_answer_keeps_its_reply_channel_when_summed() -> None:
    """A count changes nothing else."""
    tally = Tally()
    verdict = Verdict(noop().fields, "statusd:reply:1")
    hear(tally, b"start", verdict)
    hear(tally, b"start", verdict)

    (told,) = tally.tell(1000.0, 1000.0)

    assert told.reply_to == "statusd:reply:1"
    assert "count" not in verdict.fields


@pytest.mark.fault("J09")
def test_an_answer_is_timed_from_the_first_word_that_it_answers() -> None:
    """Also of a slot that was made for words of long ago, and was told since."""
    tally = Tally()
    hear(tally, b"start", noop(), 1000.0)
    tally.tell(1000.0, 1000.0)
    hear(tally, b"start", noop(), 2000.0)
    hear(tally, b"start", noop(), 2000.0)

    told = tally.tell(2000.25, 2000.0)

    assert [(v.fields["ms"], v.count) for v in told] == [(250.0, 2)]


@pytest.mark.fault("J09")
def test_what_waits_is_timed_from_when_it_was_first_looked_at() -> None:
    """Whatever else is heard meanwhile, across changes of state and to the last answers."""
    tally = Tally()
    for n in range(PER_SECOND):
        hear(tally, b"%d" % n, noop(word=str(n)))
    tally.tell(1000.0, 1000.0)
    hear(tally, b"0", noop(word="0"))
    hear(tally, b"1", noop(word="1"))
    tally.tell(1000.0, 1000.0)
    hear(tally, b"0", noop(word="0"))
    tally.forget(1000.02)
    hear(tally, b"0", noop(word="0"), 1000.03)

    (told,) = tally.tell_all(1000.04, 1000.04)

    assert (told.fields["ms"], told.count) == (40.0, 4)


@pytest.mark.fault("J09")
def test_slots_that_become_one_are_timed_from_the_oldest() -> None:
    """They stand in the order in which they were made, not in that of what they wait for."""
    tally = Tally()
    for n in range(PER_SECOND):
        hear(tally, b"%d" % n, noop(word=str(n)))
    tally.tell(1000.0, 1000.0)
    hear(tally, b"1", noop(word="1"))
    tally.tell(1000.01, 1000.01)
    hear(tally, b"0", noop(word="0"))
    tally.tell(1000.02, 1000.02)

    (told,) = tally.tell_all(1000.03, 1000.03)

    assert (told.fields["ms"], told.count) == (20.0, 2)
