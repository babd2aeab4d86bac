"""Durable commands: obeyed once and in order, whatever happens to unit, broker and stream."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import redis

from tests.conftest import BROKERS, Run
from tests.faults.outages import gaps, history, lines, wait_for, wait_gap, wait_listening
from tests.tools import Broker, Journal, Program, Proxy, Publisher, wait_until

pytestmark = pytest.mark.timeout(3600)  # of many rounds; each wait in them has its own limit

STREAM = "statusd:commands"
CURSOR = "statusd:cursor:{unit}"
DEBUG = {"level": "debug", "format": "json"}
FINAL = {"done", "noop", "refused", "invalid", "expired", "failed"}


def add(client: redis.Redis, word: str, entry: str = "*", **fields: Any) -> str:
    """Add a command to the stream as anybody could; return the id of its entry."""
    command = json.dumps({"command": word, **fields}) if fields else word
    found = client.xadd(STREAM, {"command": command}, id=entry)
    assert isinstance(found, bytes)
    return found.decode()


def up(run: Run, url: str, **changes: Any) -> Program:
    """Start a unit and return it when it hears and is ready."""
    unit = run("tests.workers:obedient", url, log=DEBUG, **changes)
    wait_listening(unit)
    wait_until(lambda: unit.logged("state.changed", trigger="ready"), 10, "a ready worker")
    return unit


def answers(unit: Program, entry: str) -> list[str]:
    """Return the final answers that this daemon has given to an entry of the stream."""
    said = lines(unit, "command.answered", source=f"stream:{entry}")
    return [line["verdict"] for line in said if line["verdict"] in FINAL]


def wait_answer(unit: Program, entry: str) -> str:
    """Return the one final answer that this daemon has given to an entry."""
    wait_until(lambda: answers(unit, entry), 10, f"the answer to {entry}")
    (answer,) = answers(unit, entry)
    return answer


def end(unit: Program) -> None:
    """End a unit by a signal, which sets no goal."""
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(10) == 0


def test_what_was_sent_while_the_unit_was_away_is_obeyed_once(broker: Broker, run: Run) -> None:
    """In order; and not again by the next daemon, nor the one after."""
    client = broker.client()
    end(up(run, broker.url))
    entries = [add(client, word) for word in ("start", "pause", "resume")]

    second = up(run, broker.url)
    second.wait_state("RUNNING")
    for entry in entries:
        wait_answer(second, entry)
    end(second)
    third = up(run, broker.url)

    third.wait_state("RUNNING")  # the goal was kept
    last = add(client, "pause")
    assert wait_answer(third, last) == "done"
    assert [answers(third, entry) for entry in entries] == [[], [], []]
    third.close()


@pytest.mark.fault("N29", "M11")
def test_a_daemon_killed_at_any_moment_loses_and_doubles_nothing(
    rounds: int, broker: Broker, run: Run
) -> None:
    """Each gets one final answer, by this daemon or the next, and the order is the stream's."""
    chance = random.Random(random.random())
    client = broker.client()
    publisher = Publisher(client, STREAM, "d", durable=True)
    with Journal(broker.client()) as journal:
        unit = up(run, broker.url)
        for _ in range(deaths := max(3, rounds // 2)):
            words = [chance.choice(["start", "pause", "resume", "stop"]) for _ in range(10)]
            publisher.send_all(words, batch=10)
            wait_for(time.monotonic() + chance.random() ** 2 * 0.1)
            unit.signal(signal.SIGKILL)
            unit.wait_exit(10)
            unit.close()
            unit = run("tests.workers:obedient", broker.url, log=DEBUG)
            wait_listening(unit)
        publisher.send("ping")

        def finals() -> Counter[str]:
            """Count the answers to each; one that a daemon and its heir have told is the same."""
            told = {json.dumps(said): said["id"] for said in journal.finals() if "id" in said}
            return Counter(told.values())

        order = {one.id: one.number for one in publisher.sent}
        wait_until(lambda: order.keys() == finals().keys(), 10, "every final answer")
    assert set(finals().values()) == {1}
    moved = [event["id"] for event in history(client) if event.get("id")]
    assert len(set(moved)) == len(moved)
    assert [order[command_id] for command_id in moved] == sorted(order[i] for i in moved)
    print(f"\n{deaths} daemons killed: {len(order)} commands, 0 lost, 0 obeyed twice")


def test_before_its_first_start_a_unit_owes_nothing(broker: Broker, run: Run) -> None:
    """What stood in the stream then was for others; what comes now is obeyed."""
    client = broker.client()
    old = add(client, "start")

    unit = up(run, broker.url)

    assert wait_answer(unit, add(client, "pause")) == "refused"  # READY: nobody said start
    assert answers(unit, old) == []
    unit.close()


def test_a_bare_word_is_answered_by_the_id_of_its_entry(broker: Broker, run: Run) -> None:
    """``XADD statusd:commands * command pause`` is all that it takes."""
    with Journal(broker.client()) as journal:
        unit = up(run, broker.url)
        entry = add(broker.client(), "start")
        wait_until(journal.finals, 10, "the verdict")
        (verdict,) = journal.finals()
        unit.close()

    assert (verdict["verdict"], verdict["id"]) == ("done", entry)
    assert verdict["source"] == f"stream:{entry}"
    (event,) = [e for e in history(broker.client()) if e["trigger"] == "start"]
    assert event["source"] == f"stream:{entry}"


def test_too_old_is_answered_expired(broker: Broker, run: Run) -> None:
    """By ``durable_s`` or the command's own time, whichever it has; and nothing changes."""
    client = broker.client()
    end(up(run, broker.url))
    now_ms = int(time.time() * 1000)
    past = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    future = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    old = add(client, "start", f"{now_ms + 1}-1")
    own = add(client, "start", f"{now_ms + 2}-1", expires=past)
    kept = add(client, "start", f"{now_ms + 3}-1", expires=future)
    wait_for(time.monotonic() + 1.2)

    unit = up(run, broker.url, control={"durable_s": 1})

    assert wait_answer(unit, old) == "expired"
    assert wait_answer(unit, own) == "expired"
    assert wait_answer(unit, kept) == "done"
    unit.close()


@pytest.mark.fault("M12")
def test_a_command_for_an_older_boot_or_run_is_refused(broker: Broker, run: Run) -> None:
    """Late copies can't touch what has come after them."""
    client = broker.client()
    first = up(run, broker.url)
    boot = json.loads(client.get("statusd:status:{unit}") or b"{}")["boot"]
    end(first)
    late = add(client, "start", boot=boot)

    second = up(run, broker.url)
    boot = json.loads(client.get("statusd:status:{unit}") or b"{}")["boot"]
    stale = add(client, "start", boot=boot, run=1)

    assert wait_answer(second, late) == "refused"
    assert wait_answer(second, stale) == "refused"
    assert not any(event["trigger"] == "start" for event in history(client))
    second.close()


@pytest.mark.parametrize("lost", ["the state file", "the cursor in Redis"])
def test_one_of_two_places_is_enough(lost: str, broker: Broker, run: Run) -> None:
    """State file and Redis both have the place; without either nothing is obeyed twice or lost."""
    client = broker.client()
    unit = up(run, broker.url)
    first = add(client, "start")
    assert wait_answer(unit, first) == "done"
    wait_until(lambda: first.encode() in (client.get(CURSOR) or b""), 5, "the cursor")
    end(unit)
    if lost == "the state file":
        next(unit.directory.rglob("unit.json")).unlink()
    else:
        client.delete(CURSOR)
    missed = add(client, "ping")

    again = up(run, broker.url)

    assert wait_answer(again, missed) in FINAL
    assert answers(again, first) == []
    again.close()


@pytest.mark.fault("N25")
@pytest.mark.parametrize("connected", [True, False])
def test_a_stream_that_begins_anew_is_noticed(connected: bool, broker: Broker, run: Run) -> None:
    """Lower ids than before: told as a gap of unknown loss, and obeyed; never a silent stall."""
    client = broker.client()
    unit = up(run, broker.url)
    last = add(client, "start")
    assert wait_answer(unit, last) == "done"
    if not connected:
        end(unit)

    client.delete(STREAM)
    lower = f"{int(last.partition('-')[0]) - 60_000}-1"
    entry = add(client, "pause", lower)
    unit = unit if connected else up(run, broker.url)

    gap = wait_gap(client)
    assert gap["gap"]["lost"] is None
    assert wait_answer(unit, entry) == "done"
    assert wait_answer(unit, add(client, "resume", "*")) == "done"
    unit.close()


@pytest.mark.fault("N25")
def test_a_broker_that_comes_back_empty_is_obeyed_as_before(broker: Broker, run: Run) -> None:
    """Nothing was kept: the outage is told, and the next durable command is obeyed."""
    unit = up(run, broker.url)
    assert wait_answer(unit, add(broker.client(), "start")) == "done"

    broker.kill()
    unit.wait_logged("link.lost", link="hears")
    broker.start()

    entry = add(broker.client(), "pause")
    assert wait_answer(unit, entry) == "done"
    assert wait_gap(broker.client())
    unit.close()


@pytest.mark.fault("N26")
def test_what_was_trimmed_away_is_counted(broker: Broker, run: Run) -> None:
    """Ten while the unit was away, seven of them cut off: three obeyed, seven told as lost."""
    client = broker.client()
    unit = up(run, broker.url)
    assert wait_answer(unit, add(client, "ping")) in FINAL
    end(unit)
    entries = [add(client, word) for word in ("start", "pause", "resume", "pause", "resume") * 2]
    client.xtrim(STREAM, maxlen=3, approximate=False)

    again = up(run, broker.url)

    assert wait_gap(client)["gap"]["lost"] == 7
    assert all(wait_answer(again, entry) in FINAL for entry in entries[-3:])
    assert [answers(again, entry) for entry in entries[:7]] == [[]] * 7
    again.close()


@pytest.mark.fault("N28")
def test_a_log_that_was_cut_is_no_reason_to_obey_twice(run: Run) -> None:
    """The broker has lost its last entry in a power failure: told; the next is obeyed, no other."""
    conf = {"appendonly": "yes", "appendfsync": "always"}
    with Broker(BROKERS["valkey"], conf=conf) as broker:
        unit = up(run, broker.url)
        first, last = add(broker.client(), "start"), add(broker.client(), "pause")
        assert wait_answer(unit, last) == "done"
        end(unit)
        broker.kill()
        # The unit has written since: cut just before the last command, as if it had never been.
        (log,) = broker.directory.glob("appendonlydir/*.incr.aof")
        data = log.read_bytes()
        cut = data.rindex(
            b"*", 0, data.rindex(STREAM.encode() + b"\r\n", 0, data.index(last.encode()))
        )
        log.write_bytes(data[: cut + 20])
        broker.start()
        assert broker.client().xlen(STREAM) == 1

        again = up(run, broker.url)
        again.wait_state("PAUSED")  # the goal
        entry = add(broker.client(), "resume")

        assert wait_answer(again, entry) == "done"
        assert answers(again, first) == []
        again.close()


@pytest.mark.fault("N20")
def test_nothing_falls_between_reading_and_listening(rounds: int, broker: Broker, run: Run) -> None:
    """A slow network, and links cut again and again while commands come: each is answered once."""
    with Proxy(broker.port) as proxy:
        unit = up(run, f"redis://127.0.0.1:{proxy.port}/0")
        publisher = Publisher(broker.client(), STREAM, "d", durable=True)
        proxy.delay(0.05)
        publisher.start(iter(["ping", "start", "pause", "resume"] * 100_000), rate_hz=50)
        for number in range(max(5, rounds // 2)):
            broker.client().client_kill_filter(_type="pubsub")
            wait_until(partial(has_connected, unit, number + 2), 10, "the link to be up")
        sent = publisher.stop()

        for one in sent:
            wait_answer(unit, one.entry)
        recovered = [gap["gap"]["recovered"] for gap in gaps(broker.client())]
        assert sum(recovered) > 0
        print(f"\n{len(recovered)} outages, {len(sent)} commands, {sum(recovered)} recovered")
        unit.close()


def has_connected(unit: Program, times: int) -> bool:
    """Tell whether the hearing link was up so often."""
    return len(lines(unit, "link.up", link="hears")) >= times


@pytest.mark.fault("R05")
def test_a_stream_that_nobody_bounds_is_bounded_by_the_unit(broker: Broker, run: Run) -> None:
    """Twice the length that is kept, and it is cut, but for what the unit has yet to read."""
    unit = up(run, broker.url)
    client = broker.client()
    pipeline = client.pipeline(transaction=False)
    for _ in range(25_000):
        pipeline.xadd(STREAM, {"command": '{"command": "ping", "target": {"name": "other"}}'})
    pipeline.execute()

    wait_until(lambda: client.xlen(STREAM) <= 20_000, 20, "the stream to be cut")

    add(client, "start")
    unit.wait_state("RUNNING")
    assert gaps(client) == []
    unit.close()
