"""The mirror against a real broker: what an event brings along, without a look at all of it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from statusd.web import mirror
from statusd.web.broadcast import Broadcast
from statusd.web.mirror import Mirror
from statusd.wire.async_client import AsyncClient
from statusd.wire.names import NAMESPACE
from statusd.wire.url import parse_url
from tests.tools import Broker
from tests.tools.waiting import until
from tests.tools.web import Ghosts


def test_an_event_has_its_document_read_until_it_is_there(
    lasting_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is written well after it: nobody waits for the next look at everybody."""
    monkeypatch.setattr(mirror, "LOOK_S", 3600.0)
    ghosts = Ghosts(lasting_broker)
    ghosts.write("late", "other", seq=1)

    async def scenario() -> None:
        client = AsyncClient(parse_url(lasting_broker.url), "test")
        async with contextlib.aclosing(client):
            known = Mirror(client, NAMESPACE, broadcast := Broadcast("ab"))
            running = asyncio.create_task(known.run())
            try:
                await until(lambda: known.broker.is_up and len(known) == 2, "the fleet", 5)
                ghosts.write("late", seq=1, text="meanwhile")  # as its beat would
                ghosts.tell("late", 2, new="PAUSED")
                await until(lambda: said(known, "text") == "meanwhile", "it to be read", 5)
                ghosts.write("late", seq=2, state="PAUSED")
                await until(lambda: said(known, "state") == "PAUSED", "it to be read again", 5)
            finally:
                running.cancel()
                await asyncio.wait([running])
        told = broadcast.after(0)
        assert told is not None
        assert told[0].count(b'"text":"meanwhile"') == 1

    asyncio.run(scenario())


def said(known: Mirror, key: str) -> object:
    """Return what the document of that one says."""
    unit = known.get("late")
    return None if unit is None else unit.document.get(key)
