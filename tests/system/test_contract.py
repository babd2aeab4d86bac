"""The contract: made from the types, and true of what a real run says."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.contract import VerdictKind
from statusd.core.errors import BadMessage
from statusd.core.messages import parse
from statusd.fleet import records
from tests.conftest import Run
from tests.tools import Broker, Journal, wait_until
from tests.tools.contract import FOLDER, KINDS, schema, text


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_made_from_the_types(kind: str) -> None:
    """``make contract`` was run after the last change."""
    assert (FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8") == text(kind)


def assert_all(kind: str, messages: Iterable[dict[str, Any]]) -> None:
    """Check every message, and that there are some."""
    validator = jsonschema.Draft202012Validator(schema(kind))
    count = 0
    for message in messages:
        count += 1
        validator.validate(message)
    assert count


def test_a_real_run_keeps_the_contract(broker: Broker, journal: Journal, run: Run) -> None:
    """A worker that dies, commands of every kind, junk, a slow end."""
    worker = {"backoff_s": [0.05, 0.1], "stop_timeout_s": 0.3}
    unit = run("tests.workers:pausing_itself", broker.url, worker=worker, tags=["a"])
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    client = broker.client()
    for message in (
        "resume",
        '{"command": "stop", "id": "no"}',
        "xyzzy",
        "strat",
        '{"command": 3, "id": "bad"}',
        '{"command": "start", "id": "s", "by": "me@here", "args": {"n": 1.5, "x": null}}',
        '{"command": "start", "id": "s"}',
        '{"command": "ping", "id": "late", "expires": "2020-01-01T00:00:00Z"}',
        '{"command": "status", "id": "q", "reply_to": "statusd:reply:x"}',
    ):
        client.publish("mychannel", message)
    wait_until(lambda: any(v.get("id") == "q" for v in journal.verdicts()), 15, "the answers")
    documents = [json.loads(client.get("statusd:status:{unit}") or b"{}")]
    unit.wait_state("PAUSED")
    patient = {"backoff_s": [0.4, 0.4], "budget": 1}
    crash = run("tests.workers:raising", broker.url, name="crash", goal="RUNNING", worker=patient)
    crash.wait_state("BACKOFF")
    crash.wait_logged("link.up", link="hears")
    client.publish("mychannel", '{"command": "start", "id": "pp", "target": {"name": "crash"}}')
    client.publish("mychannel", '{"command": "ping", "id": "p", "target": {"name": "nobody"}}')
    client.publish("mychannel", '{"command": "pause", "id": "n", "target": {"name": "unit"}}')
    crash.wait_state("FAILED")
    slow = run("tests.workers:slow_to_pause", broker.url, name="slow", goal="RUNNING")
    wait_until((slow.directory / "working").exists, 15, "the long step")
    slow.wait_logged("link.up", link="hears")
    client.publish("mychannel", '{"command": "pause", "id": "f", "target": {"name": "slow"}}')
    slow.wait_state("PAUSED")
    os.kill(slow.worker_pid(), signal.SIGKILL)
    slow.wait_logged("state.changed", trigger="crash")
    slow.signal(signal.SIGTERM)
    wait_until(lambda: b"FAILED" in (client.get("statusd:status:{crash}") or b""), 15, "FAILED")
    documents.append(json.loads(client.get("statusd:status:{crash}") or b"{}"))
    client.publish("mychannel", "end")
    assert unit.wait_exit(15) == 0
    crash.wait_exit(15)
    documents.append(json.loads(client.get("statusd:status:{unit}") or b"{}"))

    assert_all("verdict", journal.verdicts())
    assert_all("event", journal.events())
    assert_all("document", documents)
    for told in map(json.dumps, documents):
        records.document(told)  # what the readers judge by (test_records has every key)
    for told in map(json.dumps, journal.events()):
        records.event(told)
    for told in map(json.dumps, journal.verdicts()):
        records.verdict(told)
    kinds = {verdict["verdict"] for verdict in journal.verdicts()}
    assert kinds == {*get_args(VerdictKind)} - {"denied"}  # reserved for signed commands
    assert not [v for v in journal.verdicts() if v.get("id") == "p"]  # not for me: silence
    assert any("stderr" in event for event in journal.events())


texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
commands = st.fixed_dictionaries(
    {"command": st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True)},
    optional={
        "id": texts,
        "by": texts,
        "boot": st.integers(0, 2**40),
        "args": st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts),
        "target": st.fixed_dictionaries({}, optional={"name": texts, "tag": st.lists(texts)}),
        "colour": texts,
    },
)


@given(commands)
def test_what_is_obeyed_fits_the_contract(message: dict[str, Any]) -> None:
    """And what the contract refuses is never obeyed."""
    fits = jsonschema.Draft202012Validator(schema("command")).is_valid(message)
    try:
        parse(json.dumps(message).encode(), "test")
    except BadMessage:
        return
    assert fits
