"""Tests of `statusd.web.broadcast`: numbered, kept for a while, never waited for."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.web import broadcast as rules
from statusd.web.broadcast import Broadcast


def said(count: int, size: int = 2) -> Broadcast:
    """Return one that has said so many messages."""
    broadcast = Broadcast("ab12")
    for number in range(count):
        broadcast.say("unit", str(number).rjust(size, "0"))
    return broadcast


def numbers(broadcast: Broadcast, number: int) -> list[int]:
    """Return which messages follow that number, read to the end."""
    found = []
    while (more := broadcast.after(number)) is not None and more[0]:
        text, number = more
        found += [int(line[6:]) for line in text.decode().splitlines() if line[:6] == "data: "]
    return found


def test_a_message_is_an_event_of_the_format() -> None:
    """With its kind and its id, and an empty line behind it."""
    broadcast = Broadcast("ab12")
    broadcast.say("unit", '{"name":"a"}')

    assert broadcast.after(0) == (b'event: unit\nid: ab12-1\ndata: {"name":"a"}\n\n', 1)
    assert broadcast.after(1) == (b"", 1)
    assert broadcast.position == "ab12-1"


@given(st.integers(0, 30), st.integers(0, 30))
def test_whoever_comes_back_reads_on_where_he_was(all_: int, known: int) -> None:
    """Every message once, none left out; what was never said is no place."""
    broadcast = said(all_)
    number = broadcast.place(f"ab12-{known}")

    assert number == (known if known <= all_ else None)
    if number is not None:
        assert numbers(broadcast, number) == list(range(known, all_))


@pytest.mark.parametrize(
    "position",
    [
        *(
            "",
            "ab12",
            "ab12-",
            "-1",
            "ab12--1",
            "ab12-x",
            "AB12-1",
            "ab12-1 ",
            " ab12-1",
            "ab12-01x",
        ),
        *("cd34-1", "ab12-01x", "ab12-" + "9" * 16, "ab12-\u0661", "ab12-1\n"),
    ],
)
def test_another_server_s_position_is_no_place(position: str) -> None:
    """Nor is what nobody has ever told."""
    assert said(3).place(position) is None


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and by size; whoever is further behind is told so."""
    monkeypatch.setattr(rules, "MOST_KEPT", 5)
    few = said(8)
    assert few.after(2) is None
    assert few.place("ab12-2") is None
    assert numbers(few, 3) == [3, 4, 5, 6, 7]

    monkeypatch.setattr(rules, "MOST_KEPT", 100)
    monkeypatch.setattr(rules, "MOST_KEPT_BYTES", 1000)
    large = said(20, size=200)
    assert large.after(15) is None
    assert numbers(large, 16) == [16, 17, 18, 19]

    large.say("unit", "x" * 2000)  # more than all that is kept
    assert large.after(20) is None
    assert large.after(21) == (b"", 21)
    assert large.place(large.position) == 21


def test_a_reader_is_handed_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whatever is longer than a part by itself."""
    monkeypatch.setattr(rules, "MOST_AT_ONCE", 500)
    broadcast = said(4, size=200)
    broadcast.say("unit", "9" * 1000)

    parts = []
    number = 0
    while (more := broadcast.after(number)) is not None and more[0]:
        parts.append(more[1] - number)
        number = more[1]
    assert parts == [2, 2, 1]


def test_who_waits_is_woken() -> None:
    """All of them, at once; and who is behind doesn't wait."""

    async def scenario() -> list[int]:
        broadcast = said(1)
        await broadcast.beyond(0)
        woken: list[int] = []

        async def wait(number: int) -> None:
            await broadcast.beyond(1)
            woken.append(number)

        tasks = [asyncio.create_task(wait(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert woken == []
        broadcast.say("unit", "1")
        await asyncio.gather(*tasks)
        return woken

    assert asyncio.run(scenario()) == [0, 1, 2]
