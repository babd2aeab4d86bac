"""Tests of `statusd.fleet.history`: what is an id, what is missing, what can't be read."""

from __future__ import annotations

import pytest

from statusd.fleet.history import event_of, is_gap, is_id, place


@pytest.mark.parametrize("text", ["0", "0-0", "1795400000000-42", f"{2**64 - 1}-{2**64 - 1}"])
def test_an_id_is_a_boot_and_a_number(text: str) -> None:
    """As far as the broker counts; the number may be left out."""
    assert is_id(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "1-", "a-1", "1-2-3", f"{2**64}-0", f"0-{2**64}", "٣-1", "9" * 5000]
)
def test_anything_else_is_none(text: str) -> None:
    """Also what int() would take, or would take long for."""
    assert not is_id(text)


def test_ids_are_sorted_by_their_numbers() -> None:
    """Not as texts: 9 comes before 10."""
    assert sorted(["10-2", "9-11", "9-2", "10"], key=place) == ["9-2", "9-11", "10", "10-2"]


@pytest.mark.parametrize(
    ("known", "event", "expected"),
    [
        ("7-1", {"boot": 7, "seq": 2}, False),
        ("7-1", {"boot": 7, "seq": 3}, True),
        ("7-1", {"boot": 8, "seq": 1, "previous": "7-1"}, False),
        ("7-1", {"boot": 8, "seq": 1, "previous": "7-4"}, True),
        ("0-0", {"boot": 7, "seq": 9}, False),
    ],
)
def test_what_is_missing_is_seen_by_the_number_before(
    known: str, event: dict[str, object], expected: bool
) -> None:
    """Of the same boot the last number, of a new one what it says came before; at first nothing."""
    assert is_gap(known, event) is expected


def test_in_place_of_what_cant_be_read_stands_why() -> None:
    """And where, so that somebody can look."""
    event = event_of("gpu", "statusd:gpu:history", "7-1", {b"event": b"{"})

    assert event == {
        "unreadable": "gpu",
        "key": "statusd:gpu:history",
        "id": "7-1",
        "reason": "it is not valid JSON",
    }
