"""Readers judge record by record, and believe no server: events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statusd import Fleet
from statusd.core.errors import ConfigError
from tests.faults.attacks_cli_readers.readers import DEEP, OTHER_TYPES, next_of, run
from tests.faults.test_attacks_cli import BOOT, event, put
from tests.tools import Broker

BAD_EVENTS: dict[str, dict[Any, Any]] = {
    "no event": {"x": "y"},
    "no JSON": {"event": "{"},
    "no object": {"event": "[]"},
    "deep": {"event": DEEP},
    "without an id": {"event": "{}"},
    "with another id": {"event": json.dumps({"event": "1-1"})},
    "an id that is none": {"event": json.dumps({"event": [1]})},
    "bytes": {"event": b"\xff", b"\xff": b"\xff"},
    "a boot that is a text": {"event": json.dumps({"event": f"{BOOT}-2", "boot": "x"})},
    "a previous that is none": {"event": json.dumps({"event": f"{BOOT}-2", "previous": "x"})},
    "a huge number": {"event": f'{{"event": "{BOOT}-2", "seq": 1e999}}'},
}


@pytest.mark.fault("X21")
@pytest.mark.parametrize("what", BAD_EVENTS)
def test_one_bad_event_is_shown_by_its_id(
    what: str, broker: Broker, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its place between the others; by `history` and `watch`, in words and as JSON."""
    client = broker.client()
    key = "statusd:history:{good}"
    first, fields = event("good", 1)
    client.xadd(key, fields, id=first)
    client.xadd(key, BAD_EVENTS[what], id=f"{BOOT}-2")
    last, fields = event("good", 3)
    client.xadd(key, fields, id=last)

    code, said, _ = run(capsys, broker, "history", "good")
    rows = said.splitlines()
    assert (code, len(rows)) == (0, 3)
    assert rows[1].startswith(f"good: can't be read: {key} {BOOT}-2: ")
    found = json.loads(run(capsys, broker, "history", "good", "--json")[1].splitlines()[1])
    assert (found["unreadable"], found["id"]) == ("good", f"{BOOT}-2")
    with fleet.watch(since={"good": "0-0"}) as watcher:
        told = [watcher.poll() for _ in range(3)]
    assert [one and (one.get("event") or one.get("id")) for one in told] == [
        *(first, f"{BOOT}-2", last)
    ]


@pytest.mark.fault("X21")
@pytest.mark.parametrize("kind", [kind for kind in OTHER_TYPES if kind != "stream"])
def test_watch_goes_on_beside_a_history_that_is_none(
    kind: str, broker: Broker, fleet: Fleet
) -> None:
    """It tells so once, follows the others, and comes back when it is one again."""
    client = broker.client()
    bad = "statusd:history:{bad}"
    OTHER_TYPES[kind](client, bad)
    with fleet.watch() as watcher:
        assert next_of(watcher, "unreadable", "bad")["key"] == bad
        for seq in (1, 2):
            event_id, fields = event("good", seq)
            client.xadd("statusd:history:{good}", fields, id=event_id)
            assert next_of(watcher, "event", event_id)["name"] == "good"
        client.delete(bad)
        event_id, fields = event("bad", 1)
        client.xadd(bad, fields, id=event_id)
        assert next_of(watcher, "event", event_id)["name"] == "bad"
        OTHER_TYPES[kind](client, "x")


@pytest.mark.fault("X21")
def test_watch_goes_on_beside_a_roster_that_is_none(broker: Broker, fleet: Fleet) -> None:
    """Of the units that it knows; new ones are found when it is one again."""
    client = broker.client()
    with fleet.watch() as watcher:
        assert watcher.poll() is None
        client.delete("statusd:roster")
        client.set("statusd:roster", "x")
        assert next_of(watcher, "key", "statusd:roster")["unreadable"] == ""
        event_id, fields = event("good", 1)
        client.xadd("statusd:history:{good}", fields, id=event_id)
        assert next_of(watcher, "event", event_id)
        client.delete("statusd:roster")
        put(broker, "new")
        event_id, fields = event("new", 1)
        client.xadd("statusd:history:{new}", fields, id=event_id)
        assert next_of(watcher, "event", event_id)["name"] == "new"


@pytest.mark.fault("X21")
def test_watch_does_not_wait_behind_an_entry_of_the_future(broker: Broker, fleet: Fleet) -> None:
    """Somebody's entry with the largest id is gone, the history was put back: nothing is lost."""
    client = broker.client()
    key = "statusd:history:{good}"
    event_id, fields = event("good", 1)
    client.xadd(key, fields, id=event_id)
    far = f"{2**63}-0"
    with fleet.watch(since={"good": "0-0"}) as watcher:
        assert next_of(watcher, "event", event_id)
        client.xadd(key, {"event": "x"}, id=far)
        assert next_of(watcher, "id", far)
        client.delete(key)  # XSETID goes back no further than the largest id there ever was
        for seq in (1, 2, 3):
            event_id, fields = event("good", seq)
            client.xadd(key, fields, id=event_id)
        assert next_of(watcher, "event", f"{BOOT}-2")
        assert next_of(watcher, "event", f"{BOOT}-3")


@pytest.mark.parametrize("place", ["x", "", "-", "1-", "1-x", f"{2**64}-0", f"1-{2**64}", "$"])
def test_watch_says_at_once_that_a_place_is_none(place: str, fleet: Fleet) -> None:
    """Instead of asking the broker again and again for what it will never have."""
    with pytest.raises(ConfigError, match="an event's id is wanted"):
        fleet.watch(since={"good": place})
