"""What others may say, and no unit ends or falls silent by it: ids that are ahead."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from statusd.unit.stream_position import NOWHERE
from statusd.wire.link import LinkState
from tests.conftest import Run
from tests.faults.attacks_wire.attacked import (
    HISTORY,
    STREAM,
    Subscriber,
    answer,
    assert_well,
    denying,
    document,
    history_or_none,
    is_done,
    up,
)
from tests.faults.outages import history, wait_gap
from tests.tools import Broker, Journal, free_port, wait_until
from tests.tools.liar import RIGHT, Liar
from tests.tools.variants import some
from tests.tools.waiting import until

LAST = "18446744073709551615-18446744073709551615"
"""The highest id that an entry can have."""


@pytest.mark.fault("X19")
@pytest.mark.parametrize("entry", some([LAST, "99999999999999-0", "253402300800000-0"], 1))
@pytest.mark.parametrize("when", ["before the start", "while it lives"])
def test_an_entry_far_ahead_ends_no_history(
    when: str, entry: str, broker: Broker, run: Run
) -> None:
    """What can't be added waits; the history is put aside, and the new one has every event."""
    client = broker.client()
    if when == "before the start":
        client.xadd(HISTORY, {"event": "{}"}, id=entry)
    unit = up(run, broker.url)
    if when != "before the start":
        wait_until(lambda: history_or_none(client)[-1:] == ["READY"], 10, "the history")
        client.xadd(HISTORY, {"event": "{}"}, id=entry)
    for word in ("start", "pause", "resume"):
        client.publish("mychannel", word)

    news = ["RUNNING", "PAUSED", "RUNNING"]
    wait_until(lambda: history_or_none(client)[-3:] == news, 15, "the history to be kept")

    assert unit.wait_logged("history.refused")["reason"]
    assert unit.logged("history.put_aside")
    assert unit.wait_logged("history.kept")
    assert client.exists("statusd:unreadable:history:{unit}")
    assert_well(unit, broker)


@pytest.mark.fault("X19")
def test_without_the_right_to_mend_it_the_history_is_told_of(broker: Broker, run: Run) -> None:
    """In log and document, with the cure; that done, all that waited is there."""
    client = broker.client()
    url = denying(broker, "-rename")
    client.xadd(HISTORY, {"event": "{}"}, id=LAST)

    unit = up(run, url)

    wait_until(lambda: "DEL " + HISTORY in str(document(client).get("trouble")), 15, "the cure")
    client.publish("mychannel", "start")
    unit.wait_state("RUNNING")
    client.delete(HISTORY)
    wait_until(lambda: history_or_none(client)[-1:] == ["RUNNING"], 15, "the history")
    assert [event["seq"] for event in history(client)] == list(range(1, len(history(client)) + 1))
    wait_until(lambda: not document(client).get("trouble"), 10, "the trouble to be over")


@pytest.mark.fault("X19")
def test_a_refusal_for_want_of_memory_costs_no_event(broker: Broker, run: Run) -> None:
    """It was dropped without a word in the history; now it waits."""
    client = broker.client()
    unit = up(run, broker.url)
    wait_until(lambda: history_or_none(client)[-1:] == ["READY"], 10, "the history")
    client.config_set("maxmemory", "1mb")
    for word in ("start", "pause"):
        client.publish("mychannel", word)
    unit.wait_logged("history.refused")

    client.config_set("maxmemory", "0")

    wait_until(lambda: history_or_none(client)[-1:] == ["PAUSED"], 15, "the history")
    assert [event["seq"] for event in history(client)] == list(range(1, len(history(client)) + 1))
    unit.wait_logged("history.kept")


@pytest.mark.fault("X19")
def test_an_exhausted_stream_of_commands_is_begun_anew(broker: Broker, run: Run) -> None:
    """Told by name; then the next durable command is obeyed, once."""
    client = broker.client()
    unit = up(run, broker.url)
    with Journal(client) as journal:
        first = client.xadd(STREAM, {"command": "start"})
        client.xadd(STREAM, {"command": "pause"}, id=LAST)
        unit.wait_state("PAUSED")

        wait_until(lambda: client.exists(STREAM) == 0, 20, "the stream to be put aside")
        entry = client.xadd(STREAM, {"command": "resume"})

        assert isinstance(entry, bytes)
        wait_until(lambda: is_done(journal, entry.decode()), 20, "the next command")
        assert isinstance(first, bytes)
        assert [
            v for v in journal.verdicts() if v.get("id") == first.decode() and "repeat" in v
        ] == []
    assert unit.wait_logged("commands.exhausted")["key"] == STREAM
    assert wait_gap(client)["gap"]["lost"] is None
    wait_until(lambda: not document(client).get("trouble"), 20, "the trouble to be over")


@pytest.mark.fault("X19")
def test_ids_ahead_of_the_clock_expire_nothing(broker: Broker, run: Run) -> None:
    """A broker's clock was far ahead for a while: the stream's ids stay so, and are told."""
    client = broker.client()
    unit = up(run, broker.url, control={"durable_s": 1})
    ahead = int(time.time() * 1000) + 400 * 86_400_000
    with Journal(client) as journal:
        client.xadd(STREAM, {"command": "start"}, id=f"{ahead}-0")
        unit.wait_state("RUNNING")
        for word in ("pause", "resume"):
            entry = client.xadd(STREAM, {"command": word})
            assert isinstance(entry, bytes)
            assert entry.startswith(b"%d-" % ahead)
            wait_until(partial(is_done, journal, entry.decode()), 10, f"{word} to be done")
    assert "ahead of the broker's clock" in unit.wait_logged("commands.ahead")["reason"]


@pytest.mark.fault("X19")
def test_the_brokers_clock_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be set while a connection stands; by the old one, commands would expire wrongly."""
    entry = b"%1\r\n+c\r\n*1\r\n*2\r\n+1-1\r\n*2\r\n+command\r\n+ping\r\n"
    clock = b"*2\r\n$10\r\n%d\r\n$1\r\n5\r\n"

    async def live() -> None:
        with Liar(free_port()) as liar:
            monkeypatch.setitem(RIGHT, b"TIME", clock % 4_000_000_000)
            liar.wrong = partial(answer, b"XREAD", entry)  # it is looked at every few reads
            subscriber = Subscriber(liar.port, NOWHERE)
            subscriber.link.start()
            await until(lambda: subscriber.link.state is LinkState.LISTENING, "a link")
            assert (subscriber.link.server.time() or 0.0) > 3.9e9
            monkeypatch.setitem(RIGHT, b"TIME", clock % 1_795_000_000)
            await until(lambda: (subscriber.link.server.time() or 0.0) < 1.8e9, "the right time")
            assert liar.count(b"HELLO") == 1
            await subscriber.link.close()

    asyncio.run(live())
