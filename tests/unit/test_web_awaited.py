"""Tests of `statusd.web.awaited`: which documents are read again, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.fleet.response_collector import UnitInfo
from statusd.web.awaited import PATIENCE_S, Awaited


class World:
    """Documents that are waited for, and the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.awaited = Awaited(lambda: self.now)

    def expect(self, seq: Any, boot: Any = 5, **more: Any) -> bool:
        """Hear of an event."""
        return self.awaited.expect({"name": "a", "boot": boot, "seq": seq, **more})

    def read(self, seq: Any, boot: int = 5) -> list[str]:
        """Read a document; return who is waited for then."""
        document = {} if seq is None else {"seq": seq}
        self.awaited.settle({"a": UnitInfo("a", boot, False, "", document)})
        return self.awaited.names


@pytest.mark.parametrize(
    ("boot", "seq", "waits"),
    [
        (5, 6, True),
        (5, 7, False),
        (5, 8, False),
        (4, 9, True),
        (6, 1, False),
        (5, None, True),
    ],
    ids=["before it", "of it", "after it", "life before", "life after", "none"],
)
def test_a_document_is_waited_for_until_it_tells_of_the_event(
    boot: int, seq: int | None, waits: bool
) -> None:
    """Or of a later one, or of another life of the unit."""
    world = World()
    assert world.expect(7)

    assert world.awaited.names == ["a"]
    assert world.read(seq, boot) == (["a"] if waits else [])


def test_the_newest_of_several_events_counts() -> None:
    """In whichever order they are heard."""
    world = World()
    for seq in (7, 9, 8):
        world.expect(seq)

    assert world.read(8) == ["a"]
    assert world.read(9) == []


def test_nobody_is_waited_for_for_ever() -> None:
    """Neither one whose documents are of another mind, nor one that isn't there when looked for."""
    world = World()
    world.expect(10**18)
    assert world.read(1) == ["a"]
    world.now += PATIENCE_S

    assert world.read(1) == []
    world.expect(1)
    assert world.awaited.names == ["a"]
    world.awaited.settle({})
    assert world.awaited.names == []


@pytest.mark.parametrize("odd", [None, "7", 1.5, [7]])
def test_whatever_an_event_says_it_is_read_once(odd: Any) -> None:
    """One that has no number is told of by any document."""
    world = World()
    assert world.expect(odd, boot=odd)
    assert world.read(0, boot=0) == []
    assert not world.expect(1, name=None, unreadable="a")
