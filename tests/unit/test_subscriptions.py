"""Tests of `statusd.wire.subscriptions`: what is asked, and what is heard then, in histories."""

from __future__ import annotations

from collections import deque

import pytest

from statusd.core.text import shown
from statusd.wire.outbox import RedisCommand
from statusd.wire.patterns import MOST_BYTES
from statusd.wire.subscriptions import MOST_ROUTES, Subscriptions

SHORT: dict[object, str] = {
    "SUBSCRIBE": "S",
    "PSUBSCRIBE": "P",
    "UNSUBSCRIBE": "US",
    "PUNSUBSCRIBE": "UP",
}


def play(history: str) -> tuple[str, list[str], list[str]]:
    """Return what was asked, what is heard and what is refused in the end.

    ``a,b`` is wanted from then on, ``+`` confirms the oldest question and ``-`` refuses it, ``!``
    asks again, ``new`` is a new connection.
    """
    book, asked, waiting = Subscriptions(()), list[str](), deque[RedisCommand]()
    for word in history.split():
        lines: list[RedisCommand] = []
        if word in ("+", "-"):
            book.answered(waiting.popleft(), "" if word == "+" else "NOPERM")
        elif word == "new":
            waiting.clear()
            lines = book.begin()
        elif word == "!":
            lines = book.changes()
        else:
            book.want(word.split(","))
            lines = book.changes()
        waiting.extend(lines)
        asked += [f"{SHORT[command]} {shown(channel)}" for command, channel in lines]
    return " ".join(asked), book.heard, list(book.refused)


HISTORIES: dict[str, tuple[str, list[str], list[str]]] = {
    "a,b": ("S a S b", [], []),
    "a,b + +": ("S a S b", ["a", "b"], []),
    "a,b + -": ("S a S b", ["a"], ["b"]),
    "a,b + - ! +": ("S a S b S b", ["a", "b"], []),
    "a,b + - ! -": ("S a S b S b", ["a"], ["b"]),
    "a,b + - a": ("S a S b", ["a"], []),
    "a,l.* + + b,m.* + + + +": ("S a P l.* S b P m.* US a UP l.*", ["b", "m.*"], []),
    "a b + +": ("S a S b US a", ["b"], []),
    "a b a + + + +": ("S a S b US a S a US b", ["a"], []),
    "a b - +": ("S a S b US a", ["b"], []),
    "a,b + + new": ("S a S b S a S b", [], []),
    "a,b + - new + +": ("S a S b S a S b", ["a", "b"], []),
    "a,b + - new +": ("S a S b S a S b", ["a"], ["b"]),
}
"""History -> what was asked, what is heard, what is refused."""


@pytest.mark.parametrize("history", HISTORIES)
def test_what_is_wanted_is_asked_for_and_heard_when_confirmed(history: str) -> None:
    """Whatever the broker answers meanwhile, its answers are to the oldest questions."""
    assert play(history) == HISTORIES[history]


ENOUGH = {
    "v,a + +": "",
    "v,a,b + + -": "",
    "v +": "",
    "v,a + -": "a: NOPERM",
    "v,a - +": "v: NOPERM",
    "v,a - -": "v: NOPERM",
}
"""What is wanted and answered -> why that isn't enough."""


@pytest.mark.parametrize(("history", "objection"), ENOUGH.items())
def test_what_is_heard_has_to_be_enough(history: str, objection: str) -> None:
    """With `v` as the vital one: that, and one of the others."""
    wanted, *answers = history.split()
    book = Subscriptions(wanted.split(","))
    book.vital = "v"
    for line, answer in zip(book.begin(), answers, strict=True):
        book.answered(line, "" if answer == "+" else "NOPERM")

    assert book.objection() == objection


@pytest.mark.parametrize(
    ("pattern", "channel", "counts"),
    [
        (b"l.*", b"l.1", True),
        (b"l.?", b"l.1", False),
        (b"l.*", b"l.a", False),
        (b"l.*", b"l.*", True),
        (b"l.*", b"l." + b"x" * MOST_BYTES, False),
    ],
)
def test_a_message_counts_once(pattern: bytes, channel: bytes, counts: bool) -> None:
    """By its name, else by the first pattern that fits; with too long a name not at all."""
    book = Subscriptions(("l.a", "l.*", "l.?"))

    assert [book.counts(pattern, channel) for _ in range(2)] == [counts, counts]
    assert book.ignored == (2 if len(channel) > MOST_BYTES else 0)


def test_no_number_of_channels_is_remembered_for_ever() -> None:
    """Anybody may publish on as many as he likes; each is judged all the same."""
    book = Subscriptions(("l.*",))

    assert all(book.counts(b"l.*", b"l.%d" % number) for number in range(3 * MOST_ROUTES))
    assert len(book._routes) <= MOST_ROUTES


def test_other_channels_are_judged_anew() -> None:
    """What came by its name comes by a pattern when the name isn't wanted any more."""
    book = Subscriptions(("l.a", "l.*"))
    assert not book.counts(b"l.*", b"l.a")

    book.want(("l.*",))

    assert book.counts(b"l.*", b"l.a")
