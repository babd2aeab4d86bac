"""Tests of `statusd.daemon.watchdog`: who has turned, and who may wait."""

from __future__ import annotations

import pytest

from statusd.daemon.watchdog import Tick, Watchdog


def test_the_first_look_is_a_beat() -> None:
    """Nobody could have turned before."""
    assert Watchdog().stuck({"link": Tick(0), "inbox": Tick(0)}) == []


@pytest.mark.fault("G09")
@pytest.mark.parametrize("part", ["link", "inbox", "supervisor"])
def test_one_part_that_stands_still_is_enough(part: str) -> None:
    """However the others turn, for as long as it stands; then it beats again."""
    watchdog = Watchdog()
    parts = ("link", "inbox", "supervisor")
    watchdog.stuck(dict.fromkeys(parts, Tick(0)))

    for number in range(1, 4):
        turns = {name: Tick(0 if name == part else number) for name in parts}
        assert watchdog.stuck(turns) == [part]

    assert watchdog.stuck(dict.fromkeys(parts, Tick(4))) == []


@pytest.mark.fault("G11")
def test_who_has_nothing_to_do_is_not_stuck() -> None:
    """An empty inbox, a link that stands, a broker that takes its time."""
    watchdog = Watchdog()

    assert [watchdog.stuck({"link": Tick(1, may_wait=True)}) for _ in range(9)] == [[]] * 9
    assert watchdog.stuck({"link": Tick(1)}) == ["link"]


def test_a_turn_counts_since_the_last_beat() -> None:
    """Not since the last look: who was late once is not late for ever."""
    watchdog = Watchdog()
    watchdog.stuck({"a": Tick(0), "b": Tick(0)})
    assert watchdog.stuck({"a": Tick(1), "b": Tick(0)}) == ["b"]

    assert watchdog.stuck({"a": Tick(1), "b": Tick(1)}) == []


@pytest.mark.fault("G09")
def test_a_unit_that_begins_anew_is_judged_by_its_own_turns() -> None:
    """Its parts count from the start, and may have come just as far as those of its last life."""
    watchdog = Watchdog()
    watchdog.stuck({"supervisor of a": Tick(3, boot=1)})

    assert watchdog.stuck({"supervisor of a": Tick(3, boot=2)}) == []
    assert watchdog.stuck({"supervisor of a": Tick(3, boot=2)}) == ["supervisor of a"]
