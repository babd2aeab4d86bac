"""Tests of `tests.tools.history`: what the checker must find, and must not."""

import time
from typing import Any

import pytest

from tests.tools import Heard, Journal, Said, Sent, check

pytestmark = pytest.mark.nightly  # it tests what tests are made with

TABLE = {("READY", "start", "RUNNING"), ("RUNNING", "end", "ENDING"), ("ENDING", "exited", "END")}
SENT = [Sent(1, "p-1", "start", 100.0, 1), Sent(2, "p-2", "end", 100.0, 1)]


def verdict(answer: str, command_id: str = "p-1", **fields: Any) -> Said:
    """Return a verdict of the unit ``a``."""
    return {"verdict": answer, "id": command_id, "name": "a", "boot": 7} | fields


def event(seq: int, old: str, trigger: str, new: str, **fields: Any) -> Said:
    """Return an event of the unit ``a`` in boot 7."""
    step = {"old": old, "trigger": trigger, "new": new}
    return {"event": f"7-{seq}", "name": "a", "boot": 7, "seq": seq} | step | fields


START = event(1, "READY", "start", "RUNNING")
STOP = event(2, "RUNNING", "end", "ENDING")
GONE = event(3, "ENDING", "exited", "END")


class Told(Journal):
    """A journal that is told what it heard, a second apart from 101.0 on; it never listens."""

    def __init__(self, *said: Said) -> None:
        self.losses: list[float] = []
        self.garbled: list[bytes] = []
        self._all = [
            Heard(101.0 + n, "event" if "event" in one else "verdict", one)
            for n, one in enumerate(said)
        ]

    def heard(self) -> list[Heard]:
        """Return what it was told."""
        return list(self._all)


def wrong(*said: Said, **options: Any) -> list[str]:
    """Return what the checker finds wrong with a history of ``said``."""
    return check(SENT, Told(*said), **{"units": ["a"], "table": TABLE} | options)


def test_a_whole_life_is_right() -> None:
    """Accepted then done, events in a row, a repeated verdict, a plain word's: nothing wrong."""
    history = [
        START,
        verdict("accepted", command="start"),
        verdict("done", command="start"),
        STOP,
        verdict("done", repeat=True),
        verdict("noop", ""),
        verdict("noop", ""),
        verdict("accepted", "p-2", command="end"),
        GONE,
        verdict("done", "p-2", command="end"),
    ]

    assert wrong(*history, must_answer=["p-1", "p-2"]) == []


def test_each_unit_and_boot_has_a_history_of_its_own() -> None:
    """Two units may answer the same id, and a new boot counts from one again."""
    other = {"name": "b"}
    again = event(1, "READY", "start", "RUNNING", boot=8, event="8-1")

    assert wrong(START, verdict("done"), verdict("done") | other, again, units=["a", "b"]) == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([verdict("done"), verdict("noop")], "a on p-1: 2 final verdicts: done, noop"),
        ([verdict("done"), verdict("accepted")], "a on p-1: accepted came after the final done"),
        ([verdict("done", command="pause")], "a on p-1: start was sent, pause was answered"),
        ([verdict("done", name="c")], "c spoke, but is no unit of this test"),
        ([START, GONE], "a in boot 7: event 1 was followed by event 3"),
        ([STOP, START], "a in boot 7: event 2 was followed by event 1"),
        ([START, START], "a in boot 7: event 1 was followed by event 1"),
        (
            [START, event(2, "ENDING", "exited", "END")],
            "a in boot 7: event 1 led to RUNNING, but event 2 begins in ENDING",
        ),
        ([START | {"event": "7-9"}], "a in boot 7: event 7-9 should have the id 7-1"),
        (
            [event(1, "READY", "end", "ENDING")],
            "a in boot 7: event 7-1 is no transition of the lifecycle: READY --end--> ENDING",
        ),
    ],
)
def test_what_may_never_be_is_found(said: list[Said], sentence: str) -> None:
    """One thing is wrong, and one sentence says it."""
    assert wrong(*said) == [sentence]


def test_nothing_leaves_end() -> None:
    """Not even if the table allowed it."""
    history = [GONE, event(4, "END", "reset", "INIT")]

    assert wrong(*history, table=None) == ["a in boot 7: event 7-4 leaves END: END --reset--> INIT"]


def test_a_missing_answer_is_found_for_each_unit() -> None:
    """Accepted is no final answer."""
    history = [verdict("accepted"), verdict("done") | {"name": "b"}]

    assert wrong(*history, units=["a", "b"], must_answer=["p-1"]) == [
        "a gave no final verdict on p-1"
    ]


def test_an_answer_before_the_question_is_found() -> None:
    """Times are compared on one clock."""
    late = [Sent(1, "p-1", "start", 101.5, 1)]

    assert check(late, Told(verdict("done")), units=["a"]) == [
        "a on p-1: answered 0.500 s before it was sent"
    ]


def test_what_the_journal_missed_is_not_the_units_fault() -> None:
    """A gap is forgiven where the journal's link was lost, an event out of order isn't."""
    told = Told(START, GONE, STOP)
    told.losses = [101.5, 102.5]

    assert check(SENT, told, units=["a"]) == ["a in boot 7: event 3 was followed by event 2"]


def test_an_exact_copy_can_be_allowed() -> None:
    """A resend after a lost link is the same to the letter; anything else stays a doubling."""
    copies = [START, START, verdict("done", ms=1), verdict("done", ms=1)]

    assert len(wrong(*copies)) == 2
    assert wrong(*copies, allow_resent=True) == []
    assert wrong(*copies, verdict("done", ms=2), allow_resent=True) == [
        "a on p-1: 2 final verdicts: done, done"
    ]


def test_garbage_is_found() -> None:
    """What is no JSON object has no place in a unit's channels."""
    told = Told()
    told.garbled.append(b"END")

    assert check([], told, units=[]) == ["something garbled was said: b'END'"]


def test_a_long_history_is_checked_quickly() -> None:
    """Twenty thousand events and as many verdicts take well under five seconds."""
    table = {("READY", "start", "RUNNING"), ("RUNNING", "stop", "READY")}
    steps = [("READY", "start", "RUNNING"), ("RUNNING", "stop", "READY")]
    events = [event(n, *steps[(n + 1) % 2]) for n in range(1, 20_001)]
    verdicts = [verdict("done", f"p-{n}") for n in range(20_000)]
    sent = [Sent(n, f"p-{n}", "start", 0.0, 1) for n in range(20_000)]
    began = time.monotonic()

    found = check(
        sent,
        Told(*events, *verdicts),
        units=["a"],
        table=table,
        must_answer=[one.id for one in sent],
    )

    assert found == []
    assert time.monotonic() - began < 5.0
