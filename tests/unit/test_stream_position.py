"""Tests of `statusd.unit.stream_position`: where to read on, and what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.core.bounds import Unreadable
from statusd.unit.stream_position import (
    NOWHERE,
    REMEMBERED,
    START,
    StreamInfo,
    StreamPosition,
    higher,
    judge,
    number,
    settled,
)


def test_who_never_looked_begins_with_what_comes_next() -> None:
    """At the stream's last id, with its count."""
    assert judge(NOWHERE, StreamInfo("50-2", 7, 3)).place == StreamPosition("50-2", 7)
    assert judge(NOWHERE, StreamInfo()).place == StreamPosition(START, 0)


def test_a_stream_that_goes_on_is_read_on() -> None:
    """From where we were, with nothing to complain of."""
    place = StreamPosition("50-2", 7, ("50-2",))

    assert judge(place, StreamInfo("60-0", 9, 9)) == (place, "")


def test_an_older_copy_of_the_stream_is_not_obeyed_again() -> None:
    """A failover or a backup: it holds an entry that we have read."""
    place = StreamPosition("50-2", 7, ("50-0", "50-1", "50-2"))

    found = judge(place, StreamInfo("50-1", 6, 6), ["50-1", "50-0"])

    assert (found.place.id, found.place.added) == ("50-1", 6)
    assert found.reset == "the stream of commands went back from 50-2 to 50-1"


@pytest.mark.fault("X19")
def test_what_was_added_to_an_older_copy_is_read() -> None:
    """It was begun anew, or somebody was faster than we: nobody has obeyed that."""
    place = StreamPosition("90-0", 7, ("50-0", "50-1", "90-0"))

    found = judge(place, StreamInfo("60-1", 9, 9), ["60-1", "60-0", "50-1", "50-0"])

    assert found.place == StreamPosition("50-1", None, ("50-0", "50-1", "90-0"))
    assert "went back" in found.reset


@pytest.mark.fault("X18")
@pytest.mark.parametrize(
    "content",
    [
        *({"id": "1e999-0"}, {"id": ["1-1"]}, {"id": {"a": 1}}, {"id": "1-1", "added": 1e999}),
        *({"id": "1-1", "added": -1}, {"id": "1-1", "added": 10**30}, {"id": "1-1", "added": True}),
        *({"id": f"{10**30}-0"}, {"id": f"{2**64}-0"}, {"id": "9" * 5000}, {"id": "1-1-1"}),
        *({"id": "1-1", "recent": "1-1"}, {"id": "1-1", "recent": [["1-1"]]}, {"id": "-1-1"}),
        {"id": "1-1", "recent": ["1-1"] * 33},
    ],
)
def test_a_place_out_of_bounds_is_none(content: dict[str, object]) -> None:
    """Numbers that are none, or that no stream can have; and it is told apart from no place."""
    assert StreamPosition.parse(content) == NOWHERE
    with pytest.raises(Unreadable):
        StreamPosition.read(content)


@pytest.mark.fault("X20")
@pytest.mark.parametrize(
    "reply",
    [
        *({}, {b"length": 1}, {b"last-generated-id": b"x", b"length": 1}, {None: None}),
        *({b"last-generated-id": b"1-1", b"length": n} for n in (None, -1, True, 2**70, [1], b"1")),
        {b"last-generated-id": b"1-1", b"length": 1, b"entries-added": b"many"},
        {b"last-generated-id": [b"1-1"], b"length": 1},
    ],
)
def test_facts_out_of_bounds_are_none(reply: dict[bytes, object]) -> None:
    """Whatever stands in the reply to XINFO STREAM."""
    with pytest.raises(Unreadable):
        StreamInfo.parse(reply)


def test_a_stream_is_exhausted_by_the_highest_id_alone() -> None:
    """One below it there is room for one more."""
    assert StreamInfo(f"{2**64 - 1}-{2**64 - 1}").is_exhausted
    assert not StreamInfo(f"{2**64 - 1}-{2**64 - 2}").is_exhausted


def test_another_stream_with_lower_ids_is_read_from_its_beginning() -> None:
    """None of its entries is one that we have read."""
    found = judge(StreamPosition("50-2", 7, ("50-2",)), StreamInfo("5-1", 1, 1), ["5-1"])

    assert found.place == StreamPosition(START, 0)
    assert "it is another one" in found.reset


def test_who_remembers_nothing_skips_what_may_have_been_obeyed() -> None:
    """Twice would be worse than not at all, and the gap is told."""
    found = judge(StreamPosition("50-2", 7), StreamInfo("5-1", 1, 1), ["5-1"])

    assert found.place.id == "5-1"
    assert found.reset


def test_a_stream_that_is_gone_is_begun_from_zero() -> None:
    """Whatever comes next is new."""
    assert judge(StreamPosition("50-2", 7, ("50-2",)), StreamInfo()) == (
        StreamPosition(START, 0),
        "the stream of commands is gone",
    )


def test_a_stream_that_was_begun_anew_with_higher_ids_is_noticed_by_its_count() -> None:
    """The ids alone would hide it; the place is right, the count isn't known any more."""
    found = judge(StreamPosition("50-2", 7, ("50-2",)), StreamInfo("60-0", 1, 1))

    assert found.place == StreamPosition("50-2", None, ("50-2",))
    assert found.reset == "the stream of commands was begun anew"


def test_what_was_cut_off_unread_is_counted() -> None:
    """Ten were added, three of them can be read."""
    place = StreamPosition("50-0", 5).after(["58-0", "59-0", "60-0"])

    assert settled(place, StreamInfo("60-0", 15, 3)) == (
        StreamPosition("60-0", 15, ("58-0", "59-0", "60-0")),
        7,
    )


@pytest.mark.parametrize("place", [StreamPosition("50-0", None), StreamPosition("50-0", 5)])
def test_without_a_count_nothing_is_known_to_be_lost(place: StreamPosition) -> None:
    """A broker before Redis 7 doesn't count."""
    added = None if place.added is not None else 9

    assert settled(place, StreamInfo("50-0", added, 1)) == (StreamPosition("50-0", added), 0)


def test_the_higher_place_wins() -> None:
    """By number, not by text; nowhere is before everything."""
    assert higher(StreamPosition("9-0"), StreamPosition("10-0")).id == "10-0"
    assert higher(StreamPosition("10-0"), StreamPosition("9-9")).id == "10-0"
    assert higher(NOWHERE, StreamPosition(START)).id == START
    assert higher(StreamPosition(START), NOWHERE).id == START


@given(st.lists(st.integers(1, 2**63), unique=True, max_size=100).map(sorted))
def test_a_place_remembers_only_the_last_entries(ids: list[int]) -> None:
    """And counts all of them, and survives being written down."""
    names = [f"{number_}-0" for number_ in ids]
    place = StreamPosition(START, 0).after(names)

    assert place.id == (names[-1] if names else START)
    assert place.added == len(names)
    assert place.recent == tuple(names[-REMEMBERED:])
    assert StreamPosition.parse({**place.fields, "recent": list(place.recent)}) == place


@pytest.mark.parametrize("content", [None, 7, [], {}, {"id": 5}, {"id": "x"}, {"id": "1-x"}])
def test_what_is_no_place_is_nowhere(content: object) -> None:
    """Whatever stands in the file or the key."""
    assert StreamPosition.parse(content) == NOWHERE


def test_ids_are_compared_as_numbers() -> None:
    """Both halves; the second may be missing."""
    assert number("10") == (10, 0)
    assert number("10-2") < number("10-11")
