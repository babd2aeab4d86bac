"""Tests of `statusd.cli.zones`: times as they are read, and as they are typed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from statusd.cli import zones
from statusd.cli.history import words

AT = "2026-11-23T12:13:20.123Z"
NOW = datetime(2026, 11, 23, 12, 13, 20, tzinfo=UTC)


@pytest.fixture
def india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the zone of a place that is five and a half hours ahead."""
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("india")
def test_people_read_local_times() -> None:
    """With the offset, so that nobody takes them for anything else; UTC if it is asked for."""
    event = {"event": "5-1", "at": AT, "name": "a"}

    assert words(event)[0] == zones.local(AT) == "2026-11-23T17:43:20.123+05:30"
    assert words(event, zones.as_it_is)[0] == AT
    assert zones.since(zones.local(AT), NOW) == AT


@pytest.mark.parametrize("at", ["?", "", "0001-01-01T00:00:00Z", "99999", "\x1b"])
def test_what_is_no_time_stays_as_it_is(at: str) -> None:
    """Somebody else has written it."""
    assert zones.local(at)[:4] == at[:4]


@pytest.mark.usefixtures("india")
@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("5m", "2026-11-23T12:08:20.000Z"),
        ("90s", "2026-11-23T12:11:50.000Z"),
        ("2h", "2026-11-23T10:13:20.000Z"),
        ("3d", "2026-11-20T12:13:20.000Z"),
        ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000Z"),
        ("2026-11-23T12:00+01:00", "2026-11-23T11:00:00.000Z"),
        ("2026-11-23T17:30", "2026-11-23T12:00:00.000Z"),
        ("2026-11-24", "2026-11-23T18:30:00.000Z"),
        ("yesterday", ""),
        ("5", ""),
        ("m", ""),
        ("9999999999d", ""),
        ("-5m", ""),
    ],
)
def test_since_takes_spans_and_times(text: str, time: str) -> None:
    """A span back from now, a day or a time of the reader's zone, or one with its own offset."""
    assert zones.since(text, NOW) == time
