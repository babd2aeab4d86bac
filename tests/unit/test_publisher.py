"""Tests of `statusd.unit.publisher`: what is made by templates."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from statusd.core.events import (
    Event,
    EventHead,
)
from statusd.core.messages import to_json
from statusd.unit.publisher import event_text


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
