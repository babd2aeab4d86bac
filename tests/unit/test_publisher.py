"""Tests of `statusd.unit.publisher`: what is made by templates, and what is written when."""

from __future__ import annotations

from hiredis import ReplyError
from hypothesis import given, settings
from hypothesis import strategies as st

from statusd.core.events import (
    Event,
    EventHead,
)
from statusd.core.lifecycle import BUILT_IN
from statusd.core.messages import to_json
from statusd.lifecycles.drawing import as_json
from statusd.unit.publisher import event_text
from tests.unit.worlds import World


@settings(deadline=None)
@given(*5 * [st.text(max_size=8)], st.integers(0, 2**40))
def test_an_events_text_is_that_of_its_fields(
    name: str, source: str, by: str, reason: str, trigger: str, seq: int
) -> None:
    """Made by a template, it is what `json` would have made, whatever stands in it."""
    change = EventHead(name, 7, 1, "A%sB", "C", trigger, source)
    at = "2026-11-23T12:00:00.000Z"

    for more in ({}, {"by": by, "args": {"n": 1.5}, "reason": reason}):
        event = Event(change, seq, more)
        assert event_text(event, at) == to_json({**event.fields, "at": at})


def drawn(world: World) -> list[str]:
    """Return the lifecycles that were written, after the last look."""
    lines, world.broker.sent = world.broker.sent, []
    return [str(line[2]) for line in lines if line[:2] == ("SET", KEY)]


KEY = "statusd:lifecycle:{unit}"
DRAWN = as_json(BUILT_IN)


def test_the_lifecycle_is_written_when_the_unit_has_begun() -> None:
    """No start waits for its drawing; a worker that takes long to be ready doesn't keep it back."""
    world = World("boot +0.1")
    assert drawn(world) == []

    world.play("[ready] +0.1")
    assert drawn(world) == [DRAWN]

    slow = World("boot +2.9")
    assert drawn(slow) == []
    slow.play("+0.2 disk")
    for _ in range(3):
        slow.unit.beat()
        slow.broker.flush()
        slow.play("+3.1")
    assert drawn(slow) == [DRAWN]


def test_the_lifecycle_is_written_anew_before_it_runs_out() -> None:
    """With a new link, every six hours, and at the end; not with each beat."""
    world = World("boot [ready] start [sees] +0.1")
    assert drawn(world) == [DRAWN]

    for _ in range(20):
        world.play("+3.0")
        world.unit.beat()
        world.broker.flush()
    assert drawn(world) == []

    world.play(f"+{6 * 3600}")
    world.unit.beat()
    world.broker.flush()
    assert drawn(world) == [DRAWN]

    world.unit.link_changed()
    world.play("+0.1")
    assert drawn(world) == [DRAWN]

    world.play("end#a [sees] [exits 0] [gone] +0.1")
    assert drawn(world) == [DRAWN]


def test_a_lifecycle_that_is_refused_is_written_again_soon() -> None:
    """An access list that lacks the right may be loaded anew while the unit runs."""
    world = World("boot +0.1")
    world.broker.replies["SET"] = ReplyError("NOPERM no permissions to access a key")
    world.play("[ready] +0.1")
    assert drawn(world) == [DRAWN]

    def written_within(beats: int) -> list[str]:
        for _ in range(beats):
            world.play("+3.0")
            world.unit.beat()
            world.broker.flush()
        return drawn(world)

    assert written_within(15) == []
    world.broker.replies.clear()
    assert written_within(10) == [DRAWN]
    assert written_within(40) == []
