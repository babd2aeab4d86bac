"""Tests of `statusd.fleet.log_follower`: what is made of the answers, and what is asked next."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statusd.core.errors import ConfigError, Unavailable
from statusd.fleet.log_follower import LOST, LogFollower, LogItem, Wanted, wanted
from statusd.fleet.response_collector import UnitInfo


def told(
    name: str = "a", *texts: str, at: int = 0, boot: int = 7, seq: int = 0, **more: Any
) -> str:
    """Return a message of a unit: its lines, one a second from ``at`` on, all of run 1."""
    lines = [
        {"at": f"2026-11-28T00:00:{at + n:02d}Z", "run": 1, "stream": "stdout", "line": text}
        for n, text in enumerate(texts)
    ]
    head = {"logs": name, "boot": boot, "seq": seq, "next": [len(texts) + seq, 0]}
    return json.dumps({**head, "lines": lines, **more})


def following(*names: str, follow: bool = True, **more: Any) -> LogFollower:
    """Return what follows these units."""
    follower = LogFollower(Wanted(follow=follow, **more))
    follower.begin(names)
    return follower


def taken(follower: LogFollower, *messages: str) -> list[str]:
    """Let it take messages, and return what it gives out, in words."""
    for message in messages:
        follower.take(message)
    return [in_words(item) for item in follower.given()]


def in_words(item: LogItem) -> str:
    """Return ``a: text`` for a line, ``a left_out 3`` for something else."""
    if "line" in item:
        return f"{item['name']}: {item['line']}"
    (key,) = item.keys() - {"name"}
    return f"{item['name']} {key} {item[key]}"


def test_the_last_lines_of_several_come_in_the_order_of_their_times() -> None:
    """When all have told theirs; then each line as it comes."""
    follower = following("a", "b")

    assert taken(follower, told("a", "a0", "a5", answer=True, more=True)) == []
    assert taken(follower, told("a", "a6", at=6, answer=True)) == []
    assert taken(follower, told("b", "b1", "b2", at=1, answer=True)) == [
        *("a: a0", "a: a5", "b: b1", "b: b2", "a: a6")
    ]
    assert taken(follower, told("b", "b3", seq=1), told("a", "a7", seq=1)) == ["b: b3", "a: a7"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (told(seq=1, left_out=12), ["a left_out 12"]),
        (told("a", "x", seq=4), ["a lost messages 1 to 3 of it were lost on the way", "a: x"]),
        (told("a", "x", seq=4, answer=True), ["a: x"]),
        (told(seq=1, standing={"run": 1, "stream": "stdout", "line": "9%", "at": ""}), ["a: 9%"]),
        (told(seq=1, standing=None), ["a standing None"]),
        (told("a", "x", seq=1, ended="it has ended"), ["a: x", "a ended it has ended"]),
        (told(refused="too often"), ["a silent too often"]),
        (told("b", "x", seq=1), []),
        (told("a", "x", boot=6), []),
        (told("a", "x", boot=8, seq=0, answer=True), ["a: x"]),
        ("pause", []),
        ('{"logs": "a", "boot": 7, "seq": 1, "lines": [{"line": "x"}]}', []),
        (told(seq=-1), []),
        (told(boot=2**80), []),
        ("[" * 100_000, []),
    ],
)
def test_what_comes_is_given_out(message: str, expected: list[str]) -> None:
    """In words of its kind; what is nothing of the kind, or of an older daemon, is nothing."""
    follower = following("a")
    taken(follower, told(answer=True))

    found = [word.replace("a standing {", "a: {") for word in taken(follower, message)]

    if "9%" in message:
        assert "'line': '9%'" in found[0]
    else:
        assert found == expected


def test_what_is_asked_next_is_what_comes_after() -> None:
    """The first time so many lines; then what he hasn't had, whoever has forgotten him."""
    follower = following("a", lines=5, stream="stderr", since="2026-11-28T00:00:00Z")
    first = json.loads(follower.question("a", "statusd:reply:logs:1"))
    taken(follower, told("a", "x", "y", answer=True))
    second = json.loads(follower.question("a"))

    assert first == {
        **{"ask": "logs", "lines": 5, "follow_s": 15.0, "reply_to": "statusd:reply:logs:1"},
        **{"since": "2026-11-28T00:00:00Z", "stream": "stderr"},
    }
    assert second == {
        **{"ask": "logs", "lines": 0, "follow_s": 15.0, "stream": "stderr"},
        **{"boot": 7, "after": [2, 0]},
    }


def test_what_is_too_long_to_be_asked_is_told_as_that() -> None:
    """Every refusal has its words."""
    with pytest.raises(ConfigError, match="logs: it is too long"):
        wanted("a", 1, "9" * 5000, "", 1.0, follow=False)


def test_it_is_over_when_all_have_told_or_ended() -> None:
    """Whoever follows waits for one that is lost; whoever doesn't, has been told."""
    once, on = following("a", "b", follow=False), following("a", "b")
    for follower in (once, on):
        taken(follower, told("a", "x", answer=True))
        assert not follower.look()
        follower.away("b", LOST)
        follower.away("b", LOST)
        assert [in_words(item) for item in follower.given()] == ["a: x", f"b silent {LOST}"]

    assert (once.look(), on.look(), on.names) == (True, False, ["a", "b"])
    on.over("a", "it has ended")
    on.over("b", "it has ended")
    assert on.look()


def test_who_says_nothing_is_named_in_the_end() -> None:
    """And holds nobody's lines back any longer."""
    follower = following("a", "b", follow=False, timeout_s=0.0)

    assert taken(follower, told("a", "x", answer=True)) == []
    assert follower.look()
    assert [in_words(item) for item in follower.given()] == [
        *("a: x", "b silent it doesn't answer in 0 s")
    ]


@pytest.mark.parametrize(
    ("follower", "error", "waits"),
    [
        (following("a"), "connection closed", True),
        (following("a"), "NOPERM this user has no permissions", False),
        (following("a", follow=False), "connection closed", False),
        (LogFollower(Wanted(follow=True)), "connection refused", False),  # it was never there
    ],
)
def test_a_broker_that_goes_away_is_waited_for(
    follower: LogFollower, error: str, *, waits: bool
) -> None:
    """By whoever follows, once it was there; time mends no right."""
    step = follower.failed(Unavailable(error))
    if waits:
        next(step)
        assert follower.ready[0] == {"name": "", "silent": f"{error}; waiting for it"}
    else:
        with pytest.raises(Unavailable):
            next(step)


@pytest.mark.parametrize(
    "more", [{"lines": -1}, {"lines": 2001}, {"since": "5m"}, {"stream": "stdin"}]
)
def test_what_cant_be_asked_is_refused_at_once(more: dict[str, Any]) -> None:
    """Before anybody is asked."""
    given: dict[str, Any] = {"lines": 1, "since": "", "stream": "", "timeout_s": 1.0} | more
    with pytest.raises(ConfigError, match="logs: "):
        wanted("a", follow=False, **given)


@pytest.mark.parametrize(
    ("asked", "there", "missing"),
    [
        (["a", "b"], ["a"], ["b"]),
        (["a*"], ["ab"], []),
        (["a*", "c*"], ["ab"], ["c*"]),
        (None, ["a"], []),
        (None, [], ["*"]),
    ],
)
def test_who_isnt_there_is_told_at_once(
    asked: list[str] | None, there: list[str], missing: list[str]
) -> None:
    """And if nobody is, it is over."""
    follower = LogFollower(Wanted(asked, follow=True))
    follower.begin(there)

    assert [item["name"] for item in follower.given() if "nobody" in item] == missing
    assert follower.look() is (len(missing) == len(asked or "*"))


def test_a_refusal_is_final_unless_it_has_told_before() -> None:
    """Who is asked too often by others just now is asked again."""
    first, later = following("a"), following("a")
    taken(later, told("a", "x", answer=True))

    assert taken(first, told(refused="no")) == ["a refused no"]
    assert taken(later, told(refused="too often"), told("a", "y", seq=1)) == [
        *("a silent too often", "a: y")
    ]
    assert (first.look(), later.look()) == (True, False)


@pytest.mark.parametrize(
    ("boot", "follow", "again"), [(8, True, True), (7, True, False), (8, False, False)]
)
def test_one_that_has_ended_is_read_again_when_it_begins_anew(
    boot: int, *, follow: bool, again: bool
) -> None:
    """With a later boot, by whoever follows; the same life that has ended stays so."""
    follower = following("a", follow=follow)
    taken(follower, told("a", "x", answer=True, ended="it has ended"))
    assert follower.names == []

    follower.lives(UnitInfo("a", boot, left=False, seen=""))

    assert follower.names == (["a"] if again else [])
