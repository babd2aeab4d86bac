"""Tests of `statusd.core.coalescer`: answers in sum, whose counts add up."""

from __future__ import annotations

import random

import pytest

from statusd.core.answers import Verdict
from statusd.core.coalescer import MOST_SPELLINGS, PER_SECOND, Coalescer

NOW = 1000.0


def noop(state: str = "RUNNING", word: str = "start") -> Verdict:
    """Return the verdict on a word that changes nothing."""
    fields = {"verdict": "noop", "command": word, "state": state, "reason": f"already {state}"}
    return Verdict({**fields, "ms": 0.0}, "")


def invalid() -> Verdict:
    """Return the verdict on junk."""
    fields = {"verdict": "invalid", "command": "xyzzy", "reason": "xyzzy is no word", "ms": 0.0}
    return Verdict(fields, "")


def hear(coalescer: Coalescer, payload: bytes, verdict: Verdict, now: float = NOW) -> None:
    """Do as the hot path does."""
    slot = coalescer.slots.get(payload)
    if slot is not None:
        slot.count += 1
    else:
        coalescer.count(payload, verdict, now)


def total(told: list[Verdict]) -> int:
    """Return how many messages ``told`` answers."""
    return sum(int(verdict.fields.get("count", 1)) for verdict in told)


def drain(coalescer: Coalescer, now: float) -> list[Verdict]:
    """Ask every quarter of a second until nothing is held back."""
    told = []
    while coalescer.holds_back:
        now += 0.25
        told += coalescer.due(now, now)
    return told


def test_a_few_words_are_answered_one_by_one() -> None:
    """At once, and as they are."""
    coalescer = Coalescer()
    hear(coalescer, b"start", noop())
    hear(coalescer, b"RUNNING", noop(word="RUNNING"))

    told = coalescer.due(1000.0, 1000.0)

    assert told == [noop(), noop(word="RUNNING")]
    assert not coalescer.holds_back


def test_the_same_word_many_times_is_one_answer_with_a_count() -> None:
    """What came between two looks is summed up."""
    coalescer = Coalescer()
    for _ in range(413):
        hear(coalescer, b"start", noop())

    told = coalescer.due(1000.0, 1000.0)

    assert told == [Verdict({**noop().fields, "count": 413}, "")]


def test_what_was_told_is_not_told_again() -> None:
    """A slot stays for the next word like it, and counts from nothing."""
    coalescer = Coalescer()
    hear(coalescer, b"start", noop())
    coalescer.due(1000.0, 1000.0)

    silence = coalescer.due(1001.0, 1001.0)
    hear(coalescer, b"start", noop())

    assert silence == []
    assert coalescer.due(1002.0, 1002.0) == [noop()]


def test_nothing_counted_is_nothing_told() -> None:
    """An empty coalescer holds nothing back."""
    coalescer = Coalescer()

    assert coalescer.due(0.0, 0.0) == []
    assert not coalescer.holds_back


def test_so_many_answers_a_second_and_no_more() -> None:
    """Beyond that they wait; a second later as many more may leave, however long the silence."""
    coalescer = Coalescer()
    coalescer.due(0.0, 0.0)
    for n in range(50):
        hear(coalescer, b"%d" % n, noop(word=str(n)))

    numbers = [len(coalescer.due(now, now)) for now in (3600.0, 3600.0, 3600.5, 3601.5, 3602.5)]

    assert numbers == [PER_SECOND, 0, PER_SECOND // 2, PER_SECOND, 0]


def test_a_flood_is_answered_in_sum_and_the_sum_is_right() -> None:
    """A hundred thousand words in ten seconds: some two hundred answers, and none forgotten."""
    coalescer, told, now = Coalescer(), [], 1000.0
    words = [(b"%d" % n, noop(word=str(n))) for n in range(7)]

    for n in range(100_000):
        hear(coalescer, *words[n % 7])
        if n % 100 == 99:
            now += 0.01
            told += coalescer.due(now, now)
    told += drain(coalescer, now)

    assert total(told) == 100_000
    assert len(told) <= 12 * PER_SECOND
    by_word = [
        total([verdict for verdict in told if verdict.fields["command"] == str(n)])
        for n in range(7)
    ]
    assert by_word == [100_000 // 7 + (1 if n < 100_000 % 7 else 0) for n in range(7)]


def test_a_flood_across_changes_of_state_still_adds_up() -> None:
    """Every forgetting takes a picture; each answer speaks of the state it was heard in."""
    coalescer, told, now = Coalescer(), [], 1000.0
    chance = random.Random(1)
    heard: dict[str, int] = {"RUNNING": 0, "PAUSED": 0}

    for n in range(20_000):
        state = "RUNNING" if n // 500 % 2 == 0 else "PAUSED"
        if n % 500 == 0:
            coalescer.forget(NOW)
        hear(coalescer, b"%d" % chance.randrange(300), noop(state))
        heard[state] += 1
        if n % 100 == 99:
            now += 0.01
            told += coalescer.due(now, now)
    told += drain(coalescer, now)

    counted = {
        state: total([verdict for verdict in told if verdict.fields["state"] == state])
        for state in heard
    }
    assert counted == heard


def test_what_was_counted_before_a_change_is_told_as_it_was() -> None:
    """And what comes after it is looked up anew."""
    coalescer = Coalescer()
    hear(coalescer, b"start", noop("RUNNING"))
    hear(coalescer, b"start", noop("RUNNING"))

    coalescer.forget(NOW)
    hear(coalescer, b"start", noop("PAUSED"))

    assert coalescer.due(1000.0, 1000.0) == [
        Verdict({**noop("RUNNING").fields, "count": 2}, ""),
        noop("PAUSED"),
    ]


def test_a_forgotten_slot_that_was_told_is_gone() -> None:
    """Forgetting tells nothing twice."""
    coalescer = Coalescer()
    hear(coalescer, b"start", noop())
    coalescer.due(1000.0, 1000.0)

    coalescer.forget(NOW)

    assert coalescer.slots == {}
    assert not coalescer.holds_back


def test_the_slots_stay_the_same_object() -> None:
    """The hot path holds it."""
    coalescer = Coalescer()
    slots = coalescer.slots
    hear(coalescer, b"start", noop())

    coalescer.forget(NOW)
    hear(coalescer, b"start", noop())

    assert slots is coalescer.slots
    assert list(slots) == [b"start"]


@pytest.mark.fault("M15")
def test_endless_spellings_do_not_fill_the_memory() -> None:
    """Only so many are kept, the rest is counted together; the sum is right all the same."""
    coalescer, told = Coalescer(), []
    verdict = noop()
    for n in range(20_000):
        hear(coalescer, b"%d" % n, verdict)
        if n % 1000 == 0:
            told += coalescer.due(1000.0, 1000.0)

    told += coalescer.due(1000.0, 1000.0)
    rest = drain(coalescer, 1000.0)

    assert len(coalescer.slots) == MOST_SPELLINGS
    assert len(told) + len(rest) <= MOST_SPELLINGS + 2 * PER_SECOND
    assert total(told + rest) == 20_000


def test_what_is_held_back_is_due_within_the_second() -> None:
    """Nobody waits longer than that for the first answer to a word, if there are few of them."""
    coalescer = Coalescer()
    for n in range(PER_SECOND):
        hear(coalescer, b"%d" % n, noop(word=str(n)))
    coalescer.due(1000.0, 1000.0)
    hear(coalescer, b"0", noop(word="0"))
    held_back = coalescer.due(1000.0, 1000.0)

    due = coalescer.due(1001.0, 1001.0)

    assert held_back == []
    assert due == [noop(word="0").timed(1000.0)]


def test_the_first_junk_is_answered_at_once() -> None:
    """Whoever mistypes a word sees it."""
    coalescer = Coalescer()
    coalescer.count_invalid(invalid, NOW)

    assert coalescer.due(1000.0, 1000.0) == [invalid()]


def test_junk_is_answered_once_a_second_in_sum() -> None:
    """With what came first, and how much more there was."""
    coalescer = Coalescer()
    coalescer.count_invalid(invalid, NOW)
    coalescer.due(1000.0, 1000.0)
    for _ in range(413):
        coalescer.count_invalid(invalid, NOW)

    early = coalescer.due(1000.9, 1000.9)
    due = coalescer.due(1001.0, 1001.0)

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
    coalescer = Coalescer()
    made = []

    def make() -> Verdict:
        """Return the verdict, and keep count of it."""
        made.append(1)
        return invalid()

    for _ in range(1000):
        coalescer.count_invalid(make, NOW)
    coalescer.due(1000.0, 1000.0)
    for _ in range(1000):
        coalescer.count_invalid(make, NOW)

    assert len(made) == 2
    assert coalescer.invalid == 2000


@pytest.mark.fault("M15")
def test_a_flood_of_junk_adds_up() -> None:
    """A hundred thousand in ten seconds: eleven answers."""
    coalescer, told, now = Coalescer(), [], 1000.0

    for n in range(100_000):
        coalescer.count_invalid(invalid, NOW)
        if n % 1000 == 999:
            now += 0.1
            told += coalescer.due(now, now)
    told += drain(coalescer, now)

    assert total(told) == coalescer.invalid == 100_000
    assert len(told) <= 11


def test_at_the_end_nothing_is_held_back() -> None:
    """More words than may be told in a second, and junk: told at once, and the sum is right."""
    coalescer = Coalescer()
    for n in range(PER_SECOND * 3):
        hear(coalescer, b"%d" % n, noop(word=str(n)))
    coalescer.count_invalid(invalid, NOW)
    told = coalescer.due(1000.0, 1000.0)
    for _ in range(5):
        coalescer.count_invalid(invalid, NOW)
    hear(coalescer, b"0", noop(word="0"))

    told += coalescer.drain(NOW, NOW)

    assert total(told) == PER_SECOND * 3 + 7
    assert not coalescer.holds_back
    assert coalescer.drain(NOW, NOW) == []


def test_junk_takes_no_turn_from_words() -> None:
    """Each has its own measure."""
    coalescer = Coalescer()
    coalescer.count_invalid(invalid, NOW)
    for n in range(PER_SECOND):
        hear(coalescer, b"%d" % n, noop(word=str(n)))

    told = coalescer.due(1000.0, 1000.0)

    assert len(told) == PER_SECOND + 1


def test_an_answer_keeps_its_reply_channel_when_summed() -> None:
    """A count changes nothing else."""
    coalescer = Coalescer()
    verdict = Verdict(noop().fields, "statusd:reply:1")
    hear(coalescer, b"start", verdict)
    hear(coalescer, b"start", verdict)

    (told,) = coalescer.due(1000.0, 1000.0)

    assert told.reply_to == "statusd:reply:1"
    assert "count" not in verdict.fields


@pytest.mark.fault("J09")
def test_an_answer_is_timed_from_the_first_word_that_it_answers() -> None:
    """Also of a slot that was made for words of long ago, and was told since."""
    coalescer = Coalescer()
    hear(coalescer, b"start", noop(), 1000.0)
    coalescer.due(1000.0, 1000.0)
    hear(coalescer, b"start", noop(), 2000.0)
    hear(coalescer, b"start", noop(), 2000.0)

    told = coalescer.due(2000.25, 2000.0)

    assert [(v.fields["ms"], v.count) for v in told] == [(250.0, 2)]


@pytest.mark.fault("J09")
def test_what_waits_is_timed_from_when_it_was_first_looked_at() -> None:
    """Whatever else is heard meanwhile, across changes of state and to the last answers."""
    coalescer = Coalescer()
    for n in range(PER_SECOND):
        hear(coalescer, b"%d" % n, noop(word=str(n)))
    coalescer.due(1000.0, 1000.0)
    hear(coalescer, b"0", noop(word="0"))
    hear(coalescer, b"1", noop(word="1"))
    coalescer.due(1000.0, 1000.0)
    hear(coalescer, b"0", noop(word="0"))
    coalescer.forget(1000.02)
    hear(coalescer, b"0", noop(word="0"), 1000.03)

    (told,) = coalescer.drain(1000.04, 1000.04)

    assert (told.fields["ms"], told.count) == (40.0, 4)


@pytest.mark.fault("J09")
def test_slots_that_become_one_are_timed_from_the_oldest() -> None:
    """They stand in the order in which they were made, not in that of what they wait for."""
    coalescer = Coalescer()
    for n in range(PER_SECOND):
        hear(coalescer, b"%d" % n, noop(word=str(n)))
    coalescer.due(1000.0, 1000.0)
    hear(coalescer, b"1", noop(word="1"))
    coalescer.due(1000.01, 1000.01)
    hear(coalescer, b"0", noop(word="0"))
    coalescer.due(1000.02, 1000.02)

    (told,) = coalescer.drain(1000.03, 1000.03)

    assert (told.fields["ms"], told.count) == (20.0, 2)
