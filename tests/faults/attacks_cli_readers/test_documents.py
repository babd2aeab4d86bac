"""Readers judge record by record, and believe no server: documents, and entries of the roster."""

from __future__ import annotations

import asyncio
import json

import pytest

from statusd import AsyncFleet, Fleet
from tests.faults.attacks_cli_readers.readers import BAD_DOCUMENTS, OTHER_TYPES, run, states
from tests.tools import Broker


@pytest.mark.fault("X21")
@pytest.mark.parametrize("what", BAD_DOCUMENTS)
def test_one_bad_document_is_shown_by_its_name(
    what: str, broker: Broker, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """As unreadable, and the others as they are: a table, JSON, one in full, and from Python."""
    broker.client().set("statusd:status:{bad}", BAD_DOCUMENTS[what])

    assert states(fleet) == {"good": "RUNNING", "bad": "UNREADABLE"}
    assert asyncio.run(states_async(broker.url)) == states(fleet)
    code, table, _ = run(capsys, broker, "status")
    assert (code, [row.split()[:2] for row in table.splitlines()[1:]]) == (
        0,
        [["bad", "UNREADABLE"], ["good", "RUNNING"]],
    )
    code, text, _ = run(capsys, broker, "status", "--json")
    bad, good = json.loads(text)
    assert (code, bad["state"], good["state"]) == (0, "UNREADABLE", "RUNNING")
    assert bad["unreadable"].startswith("its status document: ")
    code, text, _ = run(capsys, broker, "status", "bad")
    assert (code, "its status document: " in text) == (0, True)


async def states_async(url: str) -> dict[str, str]:
    """Return unit -> state, for asyncio."""
    async with AsyncFleet(url) as fleet:
        return {unit.name: unit.state for unit in await fleet.status()}


@pytest.mark.fault("X21")
@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_a_document_of_another_type_is_a_matter_of_its_unit(
    kind: str, broker: Broker, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """WRONGTYPE for one key is no answer to all the others."""
    client = broker.client()
    client.delete("statusd:status:{bad}")
    OTHER_TYPES[kind](client, "statusd:status:{bad}")

    assert states(fleet) == {"good": "RUNNING", "bad": "UNREADABLE"}
    assert run(capsys, broker, "status")[0] == 0


@pytest.mark.fault("X21")
@pytest.mark.parametrize("entry", [b"{", b"\xff", b"[]", b'{"boot": "x"}', b'{"boot": 1e999}'])
def test_one_bad_entry_of_the_roster_is_shown_by_its_name(
    entry: bytes, broker: Broker, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """And can be forgotten, if nobody lives behind it."""
    client = broker.client()
    client.hset("statusd:roster", "bad", entry)
    client.hset("statusd:roster", b"\xff\xfe", entry)
    client.delete("statusd:status:{bad}")

    assert states(fleet) == {"good": "RUNNING", "bad": "UNREADABLE", "\\xff\\xfe": "UNREADABLE"}
    assert run(capsys, broker, "status", "bad", "--forget")[0] == 0
    assert "bad" not in states(fleet)


@pytest.mark.fault("X21")
@pytest.mark.parametrize("verb", [["status"], ["send", "pause", "--wait"], ["history", "good"]])
def test_a_key_of_all_that_is_of_another_type_is_named(
    verb: list[str], broker: Broker, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the cure; exit code 69."""
    key = "statusd:history:{good}" if verb[0] == "history" else "statusd:roster"
    broker.client().delete(key)
    broker.client().set(key, "x")

    code, said, complaint = run(capsys, broker, *verb)

    assert (code, said) == (69, "")
    assert f"{key} is of another type than ours: DEL it" in complaint
