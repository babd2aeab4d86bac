"""Records that others have left: each fits, or says why it doesn't, and nothing else is raised."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd import contract
from statusd.core.bounds import Unreadable
from statusd.fleet import records

WHOLE: dict[str, dict[str, Any]] = {
    "document": {
        **{"name": "a", "tags": ["gpu"], "boot": 5, "seq": 1, "run": 1, "state": "RUNNING"},
        **{
            "part": "works",
            "kind": "working",
            "since": "2026-11-27T09:00:00.000Z",
            "goal": "RUNNING",
        },
        **{"allowed": ["end"], "observed": True, "text": "", "args": {"n": 1.5, "x": None}},
        "unseen_since": None,
        "progress": {"step": 1.5, "total": None},
        "worker": {
            **{"pid": None, "beats": 0, "restarts": 1},
            "death": {"run": 1, "reason": "died", "stderr": ["x"]},
            "reached": {"run": 1, "step": 1, "total": None, "text": ""},
        },
        "stop": {"stage": "asked", "next": "SIGTERM", "in_s": 0.5},
        "last": {"event": "5-1", "source": "redis:c", "command": "start", "by": "me"},
        **{"host": "h", "pid": 3, "channels": ["c"], "link": "LISTENING", "outages": 0},
        "ended": {"source": "worker", "reason": "the worker finished"},
        **{"canary_ms": None, "beat_s": 6.0, "trouble": "", "ends_within_s": 7.0},
        "at": "2026-01-01T00:00:00.000Z",
        **{"words": ["start", "END"], "waits_for": "", "daemon": "hall"},
        "deadline": "2026-01-01T06:00:00.000Z",
    },
    "event": {
        **{"event": "5-1", "name": "a", "boot": 5, "seq": 1, "run": 1, "old": "A", "new": "B"},
        **{"trigger": "t", "source": "s", "by": "me", "id": "x", "args": {}, "reason": "r"},
        **{"stderr": [], "previous": "4-9", "at": "2026-11-27T09:00:00.000Z"},
        "gap": {"start": "", "end": "", "recovered": 0, "lost": None},
    },
    "verdict": {
        **{"verdict": "done", "id": "x", "name": "a", "boot": 5, "seq": 1, "command": "end"},
        **{"source": "s", "state": "END", "reason": "r", "allowed": [], "did_you_mean": "end"},
        **{"observed": True, "kept": False, "repeat": True, "count": 2, "ms": 0.5, "status": {}},
    },
    "roster_entry": {"boot": 5, "left": False, "seen": ""},
    "health": {
        **{"name": "a", "boot": 5, "pid": 3, "state": "A", "link": "DOWN", "stuck": []},
        "trouble": "",
    },
}
READ: dict[str, Callable[[object], dict[str, Any]]] = {
    kind: getattr(records, kind) for kind in WHOLE
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 30, "9" * 5000, "-" + "9" * 5000]


@pytest.mark.parametrize("kind", WHOLE)
def test_what_a_daemon_writes_is_read(kind: str) -> None:
    """Whole, and with keys of a newer daemon."""
    record = WHOLE[kind] | {"tomorrow": [{"a": 1}]}

    assert READ[kind](json.dumps(record)) == record
    assert READ[kind](json.dumps(record).encode()) == record


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("document", contract.Document),
        ("event", contract.Event),
        ("verdict", contract.Verdict),
    ],
)
def test_every_key_of_the_contract_is_judged(kind: str, known: Any) -> None:
    """One that is added there has to be added here: each is tried with something that can't fit."""
    assert WHOLE[kind].keys() == known.__annotations__.keys()
    for key in known.__annotations__:
        with pytest.raises(Unreadable):
            READ[kind](json.dumps(WHOLE[kind] | {key: [{"a": [[]]}]}))


@pytest.mark.fault("X21")
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_any_value_for_any_key_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    """And nothing is raised but `Unreadable`; what is read can be written as JSON again."""
    key = data.draw(st.sampled_from(sorted(WHOLE[kind])))
    record = WHOLE[kind] | {key: data.draw(JSON)}

    found = try_to_read(kind, json.dumps(record))

    assert found is None or json.loads(json.dumps(found, allow_nan=False)) == record


@pytest.mark.fault("X21")
@given(st.sampled_from(sorted(WHOLE)), st.binary() | st.text() | JSON)
def test_anything_at_all_is_read_or_refused(kind: str, text: object) -> None:
    """Bytes, text, and what is neither."""
    try_to_read(kind, text)


@pytest.mark.fault("X21")
@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_has_a_range_before_it_is_converted(kind: str, number: str) -> None:
    """Wherever it stands; also in keys that we don't know."""
    text = json.dumps(WHOLE[kind])[:-1] + f', "x": {number}}}'

    with pytest.raises(Unreadable):
        READ[kind](text)


@pytest.mark.fault("X21")
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"boot": 5, "x": ' + "[" * 40 + "]" * 40 + "}",
        '{"boot": 5, "x": "' + "a" * records.MOST_BYTES + '"}',
    ],
)
def test_nesting_has_a_depth_and_text_a_length(text: str) -> None:
    """Found before a parser can choke on it."""
    with pytest.raises(Unreadable):
        records.document(text)


def test_an_event_has_the_id_of_its_entry() -> None:
    """Another one is forged."""
    assert records.event(json.dumps(WHOLE["event"]), "5-1")
    with pytest.raises(Unreadable, match="not that of its entry"):
        records.event(json.dumps(WHOLE["event"]), "5-2")


def try_to_read(kind: str, text: object) -> Mapping[str, Any] | None:
    """Return the record, or None if it can't be read."""
    try:
        return READ[kind](text)
    except Unreadable:
        return None
