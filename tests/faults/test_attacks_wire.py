"""What publishers, brokers and who is in between may say: no unit ends or falls silent by it."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from functools import partial
from typing import Any

import pytest
import redis

from statusd import logs
from statusd.core.unit import Identity
from statusd.daemon.stream_reader import StreamReader
from statusd.unit.cursor import Cursor
from statusd.unit.name_lease import NameLease
from statusd.unit.stream_position import NOWHERE, StreamPosition
from statusd.wire.address import Address
from statusd.wire.link import Link, LinkState
from statusd.wire.names import Names
from tests.conftest import BROKERS, Run, settings
from tests.faults.outages import (
    assert_hears,
    history,
    lines,
    wait_for,
    wait_gap,
    wait_listening,
)
from tests.tools import Broker, Journal, Program, free_port, wait_until
from tests.tools.liar import RIGHT, XINFO, Liar
from tests.tools.toml import to_toml
from tests.tools.variants import nightly, some
from tests.tools.waiting import until

STREAM = "statusd:commands"
HISTORY = "statusd:history:{unit}"
CURSOR = "statusd:cursor:{unit}"
OWNER = "statusd:owner:{unit}"
ROSTER = "statusd:roster"
LAST = "18446744073709551615-18446744073709551615"
"""The highest id that an entry can have."""


def up(run: Run, url: str, **changes: Any) -> Program:
    """Start a unit and return it when it hears and is ready."""
    unit = run("tests.workers:obedient", url, **changes)
    wait_listening(unit)
    unit.wait_state("READY")
    return unit


def document(client: redis.Redis) -> dict[str, Any]:
    """Return the unit's status document."""
    return dict(json.loads(client.get("statusd:status:{unit}") or b"{}"))


def denying(broker: Broker, right: str) -> str:
    """Return the url of a user who may do all but one thing: ``-rename``."""
    broker.client().acl_setuser(
        "statusd",
        enabled=True,
        nopass=True,
        keys=["*"],
        channels=["*"],
        commands=["+@all", right],
    )
    return broker.url.replace("redis://", "redis://statusd:x@")


def assert_well(unit: Program, broker: Broker) -> None:
    """Assert that the unit is the same, and obeys; nothing was a bug."""
    client = broker.client()
    with Journal(client) as journal:
        assert_hears(client, journal)
    assert unit.exit_code() is None
    assert unit.logged("bug.caught") is None


# ---- what publishers say -------------------------------------------------------------------------


@pytest.mark.fault("X14")
def test_a_probe_of_somebody_else_ends_nobody(broker: Broker, run: Run) -> None:
    """Anybody may publish on the canary's channel, with the boot that all can read."""
    unit = up(run, broker.url)
    client = broker.client()
    boot = document(client)["boot"]

    for probe in ("9" * 5000, "9" * 25, "1e5", "-1", "\u0661", "", "1_0", " 1"):
        assert client.publish("statusd:canary:{unit}", f"{boot}-{probe}") == 1

        assert_well(unit, broker)
        assert unit.logged("link.lost") is None, probe


@pytest.mark.fault("X16")
def test_a_channel_name_without_an_end_holds_nobody_up(broker: Broker, run: Run) -> None:
    """Patterns with stars, and names that fit each part of them a thousand times."""
    patterns = ["lab.*.cam.*.x.*.cmd", "lab.*", "*a*a*a*a*a*a*a*b"]
    unit = up(run, broker.url, control={"channels": ["mychannel", *patterns]})
    client = broker.client()

    began = time.monotonic()
    client.publish("lab." + ".cam.x" * 50_000, "start")
    client.publish("a" * 300_000, "start")
    client.publish("lab." + "a" * 1021, "start")
    for n in range(200):
        client.publish(f"{n}" + "a" * 1000, "start")
    client.publish("lab.1.cam.2.x.3.cmd", "pause")

    with Journal(client) as journal:
        assert_hears(client, journal)
    assert time.monotonic() - began < 2.0
    ignored = unit.wait_logged("message.ignored")
    assert (ignored["count"], "1024" in ignored["reason"]) == (2, True)
    assert unit.logged("state.changed", new="RUNNING") is None


def test_a_pattern_without_an_end_is_refused(broker: Broker, run: Run) -> None:
    """By the settings, with the key and the reason."""
    unit = run("tests.workers:obedient", broker.url, control={"channels": ["a*" * 129]})

    assert unit.wait_exit() == 78
    assert "at most 256 characters" in unit.output()


@pytest.mark.fault("X27")
def test_a_flood_of_answers_drops_no_event(broker: Broker, run: Run) -> None:
    """What is dropped is told in the history and counted; all that happened stands in there."""
    unit = up(run, broker.url)
    client = broker.client()
    client.publish("mychannel", "start")
    unit.wait_state("RUNNING")
    pipeline = client.pipeline(transaction=False)
    for turn in range(200):
        pipeline.publish("mychannel", "pause" if turn % 2 == 0 else "resume")
        for n in range(300):
            pipeline.publish("mychannel", ("ping", "status")[n % 2])

    pipeline.execute()

    wait_until(lambda: len(steps(client)) == 200, 40, "the last event")
    wait_until(partial(is_told, unit), 10, "what was dropped to be told")
    events = [event for event in history(client) if event["run"] == 1]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert all("dropped unsent" in e["reason"] for e in events if e["trigger"] == "drop")
    assert_well(unit, broker)


def steps(client: redis.Redis) -> list[str]:
    """Return what the flood has led to, as the history has it."""
    return [e["trigger"] for e in history(client) if e["trigger"] in ("pause", "resume")]


def is_told(unit: Program) -> bool:
    """Tell whether a reader of events knows that answers were dropped, if any were."""
    return bool(unit.logged("drop.told")) == bool(unit.logged("outbox.dropped"))


@pytest.mark.fault("X32")
def test_the_ids_of_entries_cannot_be_used_up_beforehand(broker: Broker, run: Run) -> None:
    """On a channel, on the control channel, in a message that is none: the entry is obeyed."""
    unit = up(run, broker.url)
    client = broker.client()
    ahead = int(time.time() * 1000) + 60_000
    entries = [f"{ahead}-{n}" for n in range(3)]
    client.publish("mychannel", json.dumps({"command": "ping", "id": entries[0]}))
    client.publish("statusd:control", json.dumps({"command": "ping", "id": entries[1]}))
    client.publish("mychannel", json.dumps({"cmd": "ping", "id": entries[2]}))

    with Journal(client) as journal:
        for entry, word in zip(entries, ("start", "pause", "resume"), strict=True):
            client.xadd(STREAM, {"command": word}, id=entry)
            wait_until(partial(is_done, journal, entry), 10, f"{word} to be done")

    unit.wait_state("RUNNING")


def is_done(journal: Journal, command_id: str) -> bool:
    """Tell whether the command of that id is done, for the first time."""
    said = [v for v in journal.verdicts() if v.get("id") == command_id]
    return any(v["verdict"] == "done" and "repeat" not in v for v in said)


# ---- keys that hold what none of us has written --------------------------------------------------

VALUES = [
    *("", "junk", "[]", "5", "null", "\x1b[2J", "[" * 100_000, '{"id":' * 50_000, "x" * 70_000_000),
    *('{"id":"1e999-0","added":1}', '{"id":["1-1"],"added":1}', '{"id":{"a":"1-1"}}'),
    *('{"id":"1-1","added":1e999}', '{"id":"1-1","added":-1}', f'{{"id":"1-1","added":{10**30}}}'),
    *(
        f'{{"id":"{10**30}-0","added":1}}',
        '{"id":"%s-0"}' % ("9" * 3000),
        '{"id":"1-1","id":"2-1"}',
    ),
    *('{"boot":1e999,"host":"a","pid":1}', f'{{"boot":{10**30},"host":"a","pid":1}}'),
    *('{"boot":5,"host":["a"],"pid":1}', f'{{"boot":5,"host":"a","pid":{10**30}}}'),
    *('{"boot":"5","host":"a","pid":true}', '{"boot":5,"host":"a","pid":1}'),
    '{"boot":%s,"left":false,"seen":7}' % ("9" * 4000),
]
"""What may stand in a string, or in a field of the roster."""


def of_type(client: redis.Redis, key: str, kind: str) -> None:
    """Make ``key`` one of another type."""
    client.delete(key)
    match kind:
        case "string":
            client.set(key, "junk")
        case "list":
            client.rpush(key, "a")
        case "set":
            client.sadd(key, "a")
        case "zset":
            client.zadd(key, {"a": 1})
        case "hash":
            client.hset(key, "a", "b")
        case "stream":
            client.xadd(key, {"a": "b"})
        case _:
            client.setbit(key, 7, 1)


def assert_at_home(unit: Program, broker: Broker) -> None:
    """Assert that the unit holds its name, is in the roster, and obeys both kinds of commands."""
    client = broker.client()
    boot = document(client)["boot"]
    wait_until(lambda: boot_in(peek(client, OWNER)) == boot, 10, "the name")
    wait_until(lambda: boot_in(peek(client, ROSTER, "unit")) == boot, 10, "the roster")
    assert_well(unit, broker)
    with Journal(client) as journal:
        entry = client.xadd(STREAM, {"command": "start"})
        assert isinstance(entry, bytes)
        wait_until(lambda: is_done(journal, entry.decode()), 10, "a durable command")
    wait_until(lambda: entry in (peek(client, CURSOR) or b""), 10, "the cursor")
    wait_until(lambda: history_or_none(client)[-1:] == ["RUNNING"], 10, "the history")


def boot_in(value: Any) -> int:
    """Return the boot in a value; 0 if there is none."""
    try:
        return int(json.loads(value)["boot"])
    except (TypeError, ValueError, KeyError, RecursionError):
        return 0


@pytest.mark.fault("X18")
@pytest.mark.parametrize("value", some(VALUES, 7), ids=lambda value: value[:30] or "empty")
def test_a_start_with_poisoned_keys_is_a_start(value: str, broker: Broker, run: Run) -> None:
    """Cursor, owner, roster: unreadable is absent; it is told once and written anew."""
    client = broker.client()
    client.execute_command("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")  # type: ignore[no-untyped-call]  # redis-py
    client.set(CURSOR, value)
    client.set(OWNER, value)
    client.hset(ROSTER, "unit", value)

    unit = up(run, broker.url)

    assert_at_home(unit, broker)
    assert len(lines(unit, "key.unreadable", key=OWNER)) <= 1
    assert unit.logged("link.lost") is None


@pytest.mark.fault("X18")
@pytest.mark.parametrize(
    "kind", ["string", "stream", *nightly("list", "set", "zset", "hash", "bits")]
)
def test_keys_of_another_type_are_healed(kind: str, broker: Broker, run: Run) -> None:
    """At the start and while the unit lives; what stood there is put aside, not deleted."""
    client = broker.client()
    for key in (CURSOR, OWNER, ROSTER, HISTORY):
        if (key, kind) not in ((ROSTER, "hash"), (HISTORY, "stream")):
            of_type(client, key, kind)

    unit = up(run, broker.url)
    assert_at_home(unit, broker)
    for key in (CURSOR, OWNER, ROSTER, HISTORY):
        if (key, kind) not in ((ROSTER, "hash"), (HISTORY, "stream")):
            of_type(client, key, kind)
    client.publish("mychannel", "pause")

    wait_until(lambda: history_or_none(client)[-1:] == ["PAUSED"], 15, "the history to be kept")
    boot = document(client)["boot"]
    wait_until(lambda: boot_in(peek(client, OWNER)) == boot, 15, "the name")
    wait_until(lambda: boot_in(peek(client, ROSTER, "unit")) == boot, 15, "the roster")
    if kind != "stream":
        assert client.exists("statusd:unreadable:history:{unit}")
    assert_well(unit, broker)


def history_or_none(client: redis.Redis) -> list[str]:
    """Return the states of a history; none while it isn't one."""
    try:
        return [event["new"] for event in history(client)]
    except (redis.ResponseError, KeyError):
        return []


def peek(client: redis.Redis, key: str, field: str = "") -> Any:
    """Return a value, or a field of a hash; None as long as it is of another type."""
    try:
        return client.hget(key, field) if field else client.get(key)
    except redis.ResponseError:
        return None


@pytest.mark.fault("X18")
@pytest.mark.parametrize("kind", ["list", *nightly("string", "hash")])
def test_a_stream_of_another_type_is_told_and_read_when_it_is_right(
    kind: str, broker: Broker, run: Run
) -> None:
    """It is everybody's, so nobody moves it; commands on channels are obeyed meanwhile."""
    client = broker.client()
    of_type(client, STREAM, kind)

    unit = up(run, broker.url)

    wait_until(lambda: "WRONGTYPE" in str(document(client).get("trouble")), 10, "the trouble")
    assert unit.wait_logged("commands.unreadable")["key"] == STREAM
    assert_well(unit, broker)
    client.delete(STREAM)
    assert_at_home(unit, broker)
    wait_until(lambda: not document(client).get("trouble"), 10, "the trouble to be over")


@pytest.mark.fault("X18")
def test_entries_too_large_to_be_read_together_are_read_one_by_one(
    broker: Broker, run: Run
) -> None:
    """A hundred megabytes in one reply are too much for broker and unit; the last word counts."""
    client = broker.client()
    unit = up(run, broker.url)
    pipeline = client.pipeline(transaction=True)
    for _ in range(100):
        pipeline.xadd(STREAM, {"command": b"x" * 1_000_000})
    pipeline.execute()

    entry = client.xadd(STREAM, {"command": "start"})

    assert isinstance(entry, bytes)
    unit.wait_state("RUNNING", 60)
    assert_well(unit, broker)


# ---- histories and streams whose ids are ahead ---------------------------------------------------


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


# ---- what is no broker ---------------------------------------------------------------------------

PARTS = [
    *(b"_\r\n", b"#t\r\n", b"#f\r\n", b",1.5\r\n", b",inf\r\n", b",nan\r\n", b":7\r\n", b":-9\r\n"),
    *(
        b"(1234567890123456789012345678901234567890\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
    ),
    *(
        b"+OK\r\n",
        b"+\r\n",
        b"$0\r\n\r\n",
        b"$4\r\n\xff\xfe\x00\x1b\r\n",
        b"*0\r\n",
        b"%0\r\n",
        b"~0\r\n",
    ),
    *(
        b"*1\r\n_\r\n",
        b"*2\r\n$1\r\nx\r\n$1\r\ny\r\n",
        b"*2\r\n$400\r\n" + b"9" * 400 + b"\r\n:1\r\n",
    ),
    *(
        b"%1\r\n_\r\n_\r\n",
        b"%1\r\n*1\r\n:1\r\n:1\r\n",
        b"%1\r\n+length\r\n+x\r\n",
        b"~1\r\n%0\r\n",
    ),
    *(
        b"*1\r\n-ERR nested\r\n",
        b"-\r\n",
        b"-\xff\xfe\r\n",
        b"-ERR x\x1b[2J\r\n",
        b"!5\r\nERR x\r\n",
    ),
    *(
        b"|1\r\n+a\r\n+b\r\n:1\r\n",
        b">0\r\n",
        b">1\r\n_\r\n",
        b">1\r\n:1\r\n",
        b">1\r\n+message\r\n",
    ),
    *(
        b">3\r\n+message\r\n_\r\n_\r\n",
        b">3\r\n+message\r\n:1\r\n*0\r\n",
        b">2\r\n-ERR x\r\n+a\r\n",
    ),
    *(b">4\r\n+pmessage\r\n_\r\n_\r\n_\r\n", b">3\r\n+message\r\n+mychannel\r\n%0\r\n"),
    *(
        b">3\r\n+subscribe\r\n+other\r\n:1\r\n",
        b">3\r\n+unsubscribe\r\n_\r\n:0\r\n",
        b">1\r\n*0\r\n",
    ),
    *(b"%1\r\n+statusd:commands\r\n*1\r\n_\r\n", b"%1\r\n+c\r\n*1\r\n*2\r\n+1e999-0\r\n*0\r\n"),
    *(
        b"%1\r\n+c\r\n*1\r\n*2\r\n+1-1\r\n*1\r\n:5\r\n",
        b"%1\r\n+c\r\n:3\r\n",
        b"%1\r\n+c\r\n*1\r\n+x\r\n",
    ),
    *(
        b"*" + b"1\r\n*" * 12 + b"0\r\n",
        b"$99999999999\r\n",
        b"*-2\r\n",
        b":99999999999999999999\r\n",
    ),
    *(b".\r\n", b"HTTP/1.1 400\r\n\r\n", b"\x00\x01", b"-NOPERM no\r\n", b"-MOVED 1 a:1\r\n"),
]
"""Well formed or not, none of it is the answer to anything that we ask, or says nothing."""
HEARING = [
    *(b"HELLO", b"CLIENT", b"TIME", b"SUBSCRIBE", b"PUSH", b"GETRANGE", b"XINFO", b"XREVRANGE"),
    b"XREAD",
]
SENDING = [b"HELLO", b"TIME", b"GETRANGE", b"HSTRLEN", b"PTTL", b"HGET", b"SET", b"HSET"]
"""What the links of a unit ask."""
BACK = b"%3\r\n+length\r\n:0\r\n+last-generated-id\r\n+1-1\r\n+entries-added\r\n:1\r\n"
"""A stream that has gone back: its end is asked for."""


def nonsense(chance: random.Random) -> bytes:
    """Return several parts, or one that holds others."""
    parts = [chance.choice(PARTS) for _ in range(chance.randint(1, 3))]
    head = chance.choice([b"", b"*%d\r\n", b">%d\r\n", b"~%d\r\n", b"|%d\r\n", b"%%%d\r\n"])
    return (head % (len(parts) // 2 or 1) if b"%d" in head else head) + b"".join(parts)


@pytest.fixture
def chance() -> random.Random:
    """Chance, with its seed printed so that what failed can be made again."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


class Subscriber:
    """What a daemon hears with, without the daemon: a link and its reader of the stream."""

    def __init__(self, port: int, place: StreamPosition) -> None:
        self.link = Link(
            *(Address(port=port), "test", self),
            draw=lambda: 0.0,
            clock=time.monotonic,
            channels=("mychannel", "lab.*"),
        )
        names = Names("statusd", "unit")
        cursor = Cursor(
            names,
            place,
            fresh=False,
            lasting_s=1.0,
            deliver=lambda delivered: None,
            broker_time=time.time,
            complain=lambda event, reason: None,
            write_anew=lambda: None,
        )
        self.link.follower = StreamReader(
            names,
            [cursor],
            ask=self.link.ask,
            caught_up=self.link.caught_up,
            noticed=lambda cursor: None,
            complain=lambda event, reason: None,
            told_time=self.link.server.take_time,
        )

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take a message as the daemon does: they are bytes, or nothing that can be added."""
        _ = channel + payload

    def read_complete(self) -> None:
        """Nothing is to be sent."""

    def link_changed(self, link: Link) -> None:
        """That is seen."""

    def link_failed(self, link: Link) -> None:
        """That is seen."""

    def channel_refused(self, channel: str, reason: str) -> None:
        """That is seen."""

    def channel_heard(self, channel: str) -> None:
        """That is seen."""


@pytest.mark.timeout(3600)  # of many rounds; each wait in them has its own limit
@pytest.mark.fault("X20")
@pytest.mark.parametrize("asked", HEARING, ids=bytes.decode)
def test_whatever_a_broker_says_costs_the_link_at_most(
    asked: bytes, chance: random.Random, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question of a hearing link is answered by each kind of reply; then rightly: it hears."""
    told = [*PARTS, *(nonsense(chance) for _ in range(20 * rounds))]
    monkeypatch.setitem(RIGHT, b"XINFO", BACK if asked == b"XREVRANGE" else XINFO)

    async def live() -> None:
        loop, troubles = asyncio.get_running_loop(), list[str]()
        loop.set_exception_handler(lambda _, context: troubles.append(str(context)))
        with Liar(free_port()) as liar:
            for said in told:
                before = liar.lied
                liar.wrong = partial(answer, asked, said)
                subscriber = Subscriber(liar.port, READ if asked == b"XREVRANGE" else NOWHERE)
                subscriber.link.start()
                await until(lambda before=before: liar.lied > before, f"a lie: {said!r}")  # type: ignore[misc]  # bound now
                await asyncio.sleep(0.002)
                assert (troubles, subscriber.link.is_overdue(loop.time())) == ([], False), said
                await subscriber.link.close()
            await heard_again(liar)
        assert troubles == []

    asyncio.run(live())


READ = StreamPosition("5-5", 5, ("5-5",))


def answer(asked: bytes, said: bytes) -> tuple[bytes, bytes]:
    """Say how a question is answered."""
    return asked, said


async def heard_again(liar: Liar) -> None:
    """Answer a link rightly that was lied to."""
    subscriber = Subscriber(liar.port, NOWHERE)
    subscriber.link.start()
    await until(lambda: liar.lied, "a lie")
    liar.wrong = partial(answer, b"", b"")
    subscriber.link.doubt("it was lied to")
    await until(lambda: subscriber.link.state is LinkState.LISTENING, "a link")
    await subscriber.link.close()


@pytest.mark.timeout(3600)  # of many rounds; each wait in them has its own limit
@pytest.mark.fault("X20")
def test_a_unit_lives_on_at_a_hostile_broker_and_hears_a_real_one(
    chance: random.Random, rounds: int, run: Run
) -> None:
    """From its start on both links are told whatever there is; then a broker has the port."""
    port = free_port()
    with Liar(port) as liar:
        asked = (*HEARING, *SENDING, b"XADD", b"PUBLISH")
        liar.wrong = lambda: (chance.choice(asked), nonsense(chance))
        unit = run("tests.workers:obedient", f"redis://127.0.0.1:{port}/0")
        unit.wait_state("READY", 40)
        for _ in range(2 * rounds):
            wait_for(time.monotonic() + 1.0)
            liar.hang_up()  # not every lie is one that costs the link
        assert liar.lied > rounds
        assert unit.exit_code() is None
    with Broker(BROKERS["valkey"], port=port) as broker:
        wait_until(lambda: broker.client().publish("mychannel", "start") == 1, 15, "a listener")
        unit.wait_state("RUNNING")
        assert_well(unit, broker)
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit() == 0


@pytest.mark.fault("X20")
def test_a_reply_without_an_end_costs_the_sending_link(run: Run) -> None:
    """Every later reply is a part of it: bytes come, and yet nothing is answered any more."""
    port = free_port()
    with Liar(port) as liar:
        liar.wrong = partial(answer, b"PUBLISH", b"*1000000\r\n")
        unit = run("tests.workers:obedient", f"redis://127.0.0.1:{port}/0")

        unit.wait_logged("link.lost", 20, link="sends")


@pytest.mark.fault("X20")
@pytest.mark.parametrize("said", [*PARTS[::12], *nightly(*PARTS[4::12], *PARTS[8::12])])
@pytest.mark.parametrize("asked", [b"GETRANGE", b"HSTRLEN", b"PTTL", b"HGET"], ids=bytes.decode)
def test_a_start_at_a_hostile_broker_is_a_start(said: bytes, asked: bytes) -> None:
    """The name is asked for before anything runs: what is answered then ends nobody."""
    holder: Any = None

    async def live() -> None:
        nonlocal holder
        loop, troubles = asyncio.get_running_loop(), list[str]()
        loop.set_exception_handler(lambda _, context: troubles.append(str(context)))
        with Liar(free_port()) as liar:
            liar.wrong = lambda: (asked, said)
            sender = Sender(liar.port)
            sender.link.start()
            holder = await sender.lease.take_name(sender.link.flush, replace=False)
            await sender.link.close()
        assert troubles == []

    asyncio.run(live())

    assert holder == 0


class Sender(Subscriber):
    """What a daemon takes its name with."""

    def __init__(self, port: int) -> None:
        self.link = Link(
            *(Address(port=port), "test", self), draw=lambda: 0.0, clock=time.monotonic
        )
        self.lease = NameLease(
            self.link.outbox.open(lambda line, reason: None),
            Names("statusd", "unit"),
            lambda: Identity("unit", boot=7),
            last_boot=0,
            wall=time.time,
            lost=lambda holder: None,
            confirmed=lambda: None,
            log=logs.get(),
        )


# ---- brokers that let in and refuse --------------------------------------------------------------


@pytest.mark.fault("X28")
def test_a_broker_that_is_a_replica_now_is_not_stormed(broker: Broker, run: Run) -> None:
    """A connection a second at most, few lines in the log; heard again when it is the master."""
    client = broker.client()
    unit = up(run, broker.url)
    before = client.info("stats")["total_connections_received"]
    written = len(unit.log())
    client.replicaof("127.0.0.1", str(free_port()))
    began = time.monotonic()

    wait_until(lambda: time.monotonic() - began > 12, 20, "a while")

    tried = client.info("stats")["total_connections_received"] - before
    assert tried <= 2 * 12
    refused = [line for line in lines(unit, "link.lost") if "READONLY" in line["reason"]]
    assert 1 <= len(refused) <= 2
    assert len(unit.log()) - written < 20
    client.replicaof("NO", "ONE")
    unit.wait_logged("link.up", link="sends")
    wait_until(lambda: len(lines(unit, "link.up", link="sends")) == 2, 10, "it to be told")
    assert_well(unit, broker)


@pytest.mark.fault("X28")
@pytest.mark.parametrize("refusal", ["NOPERM", "OOM"])
def test_refusals_are_summed(refusal: str, broker: Broker, run: Run) -> None:
    """Of a command that is refused again and again the log has a line, and then how often."""
    client = broker.client()
    client.acl_setuser(
        "statusd", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all"]
    )
    unit = up(run, broker.url.replace("redis://", "redis://statusd:x@"))
    if refusal == "OOM":
        client.config_set("maxmemory", "1mb")
    else:
        client.acl_setuser("statusd", commands=["-set", "-xadd"])
    began = time.monotonic()

    wait_until(lambda: time.monotonic() - began > 12, 20, "a while")

    failed = lines(unit, "reply.failed", command="SET")
    assert 1 <= len(failed) <= 2
    assert [line["count"] > 1 for line in failed[1:]] == [True] * len(failed[1:])
    assert unit.logged("link.lost") is None


# ---- new channels --------------------------------------------------------------------------------


def rewrite(unit: Program, broker: Broker, channels: list[str], **more: Any) -> None:
    """Write other channels into the unit's file, and tell it."""
    toml = settings("tests.workers:obedient", broker.url, control={"channels": channels}, **more)
    (unit.directory / "statusd.toml").write_text(to_toml(toml), encoding="utf-8")
    unit.signal(signal.SIGHUP)


def is_reloaded(unit: Program, before: int) -> bool:
    """Tell whether there were more than so many reloads."""
    return len(lines(unit, "reload.done")) > before


@pytest.mark.fault("X26")
def test_a_reload_is_done_when_its_channels_are_heard(broker: Broker, run: Run) -> None:
    """Again and again, at any moment of the read of the stream: no word after it is lost."""
    unit = up(run, broker.url)
    client = broker.client()
    with Journal(client) as journal:
        for n in range(12):
            began = time.monotonic()
            rewrite(unit, broker, ["mychannel", f"new{n}", f"lab{n}.*"])
            wait_until(partial(is_reloaded, unit, n), 10, "the reload")
            assert client.publish(f"new{n}", json.dumps({"command": "ping", "id": f"a{n}"})) == 1
            assert client.publish(f"lab{n}.x", json.dumps({"command": "ping", "id": f"b{n}"})) == 1
            took_s = time.monotonic() - began
            assert took_s < 1.0
            wait_until(partial(is_done, journal, f"b{n}"), 10, "the answer")
            wait_until(partial(is_done, journal, f"a{n}"), 10, "the answer")
    assert unit.logged("link.lost") is None


@pytest.mark.fault("X26")
def test_without_the_right_to_unblock_it_is_done_a_little_later(broker: Broker, run: Run) -> None:
    """When the read of the stream has ended by itself; nothing is lost then either."""
    client = broker.client()
    url = denying(broker, "-client|unblock")
    unit = up(run, url)
    for n in range(3):
        rewrite(unit, broker, ["mychannel", f"new{n}"], redis={"url": url})
        wait_until(partial(is_reloaded, unit, n), 10, "the reload")
        assert client.publish(f"new{n}", "ping") == 1
    assert unit.logged("link.lost") is None


@pytest.mark.fault("X26")
def test_a_reload_without_a_broker_is_done_and_says_so(broker: Broker, run: Run) -> None:
    """The channels are heard with the next connection, and the gap tells what was missed."""
    unit = up(run, broker.url)
    broker.kill()
    unit.wait_logged("link.lost", link="hears")

    rewrite(unit, broker, ["mychannel", "new"])

    assert "when the broker is there" in unit.wait_logged("reload.done")["then"]
    broker.start()
    wait_until(lambda: broker.client().publish("new", "start") == 1, 15, "a listener")
    unit.wait_state("RUNNING")
