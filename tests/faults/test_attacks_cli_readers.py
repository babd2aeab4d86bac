"""Readers judge record by record, and believe no server: what somebody wrote harms itself alone."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from statusd import AsyncFleet, Fleet
from statusd.cli import main
from statusd.core.errors import ConfigError, Unavailable
from statusd.fleet.watcher import Watcher
from statusd.wire.dial import Dial, find_master
from statusd.wire.url import parse_url
from tests.faults.test_attacks_cli import BOOT, answering, event, put
from tests.tools import Broker, wait_until
from tests.tools.impostor import HELLO, Impostor

DEEP = "[" * 100_000


def document(**more: Any) -> str:
    """Return a document of the unit that is bad."""
    return json.dumps({"name": "bad", "boot": BOOT, "state": "RUNNING", **more})


BAD_DOCUMENTS: dict[str, str | bytes] = {
    "no JSON": "{",
    "not UTF-8": b'{"boot": "\xff"}',
    "deep": f'{{"boot": 5, "x": {DEEP}}}',
    "no object": "[]",
    "no boot": "{}",
    "a huge boot": '{"boot": 1e999}',
    "not a number": document(canary_ms=1)[:-1] + ', "x": NaN}',
    "a state that is a list": document(state=["RUNNING"]),
    "tags that are numbers": document(tags=[1, 2]),
    "tags that are no list": document(tags={"a": 1}),
    "a worker that is a text": document(worker="x"),
    "a death that is a list": document(worker={"death": [1]}),
    "a step that is a text": document(progress={"step": "x", "total": []}),
    "allowed that is nothing": document(allowed=None),
    "channels in channels": document(channels=[["a"]]),
    "a stop that is a number": document(stop=3),
    "a last that is deep": document(last={"command": {"a": {}}}),
    "long": document(text="x" * 2_000_000),
}


@pytest.fixture
def fleet(broker: Broker) -> Iterator[Fleet]:
    """The fleet of ``broker``, in which one unit is good; the bad one is for the test."""
    put(broker, "good", channels=["mychannel"], tags=["a"])
    put(broker, "bad", channels=["mychannel"], tags=["a"])
    with Fleet(broker.url) as found:
        yield found


def states(fleet: Fleet) -> dict[str, str]:
    """Return unit -> state."""
    return {unit.name: unit.state for unit in fleet.status()}


def run(capsys: pytest.CaptureFixture[str], broker: Broker, *words: str) -> tuple[int, str, str]:
    """Run a verb in this process; return its exit code, and what it said."""
    code = main([*words, "--url", broker.url])
    said = capsys.readouterr()
    return code, said.out, said.err


# ---- documents, entries of the roster -----------------------------------------------------------


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


OTHER_TYPES: dict[str, Callable[[redis.Redis, str], Any]] = {
    "string": lambda client, key: client.set(key, "x"),
    "list": lambda client, key: client.rpush(key, "x"),
    "set": lambda client, key: client.sadd(key, "x"),
    "sorted set": lambda client, key: client.zadd(key, {"x": 1}),
    "hash": lambda client, key: client.hset(key, "x", "x"),
    "stream": lambda client, key: client.xadd(key, {"x": "x"}),
}


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


# ---- verdicts -----------------------------------------------------------------------------------


@pytest.mark.fault("X21")
@pytest.mark.parametrize("what", ["no JSON", "deep", "tags that are numbers"])
def test_send_waits_for_the_good_and_misses_the_bad(
    what: str, broker: Broker, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who can't be read may have been meant: it is silent by name, whatever was asked for."""
    broker.client().set("statusd:status:{bad}", BAD_DOCUMENTS[what])
    verdict = {"verdict": "done", "name": "good", "boot": BOOT, "state": "PAUSED"}

    with answering(broker, verdict):
        code, said, _ = run(
            capsys, broker, "send", "pause", "--wait", "--timeout", "1", "--tag", "a"
        )

    rows = [row.split() for row in said.splitlines()]
    assert code == 4
    assert rows[0][:2] == ["good", "done"]
    assert rows[1][:2] == ["bad", "silent"]
    assert "its status document" in said


VERDICTS = {
    **{"no JSON": b"{", "nothing": b"", "deep": DEEP.encode(), "a list": b"[]", "bytes": b"\xff"},
    "a boot that is a text": b'{"id": "$id", "name": "good", "verdict": "done", "boot": "x"}',
    "a verdict that is a list": b'{"id": "$id", "name": "good", "verdict": ["done"]}',
    "a name that is a list": b'{"id": "$id", "name": ["good"], "verdict": "done"}',
    "an id that is a list": b'{"id": ["$id"], "name": "good", "verdict": "done"}',
    "allowed that is a number": b'{"id":"$id","name":"good","verdict":"refused","allowed":[1]}',
    "a huge count": b'{"id":"$id","name":"good","verdict":"done","count":1e999}',
    "not a number": b'{"id":"$id","name":"good","verdict":"done","ms":NaN}',
}


@pytest.mark.fault("X21")
@pytest.mark.parametrize("what", VERDICTS)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_one_bad_verdict_is_nobodys(
    what: str,
    options: list[str],
    broker: Broker,
    fleet: Fleet,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The good one that follows counts; without one, the unit is silent."""
    words = ("send", "pause", "--wait", "--timeout", "1", "--name", "good", *options)
    verdict = {"verdict": "done", "name": "good", "boot": BOOT, "state": "PAUSED"}

    with answering(broker, VERDICTS[what], verdict):
        answered = run(capsys, broker, *words)
    with answering(broker, VERDICTS[what]):
        unanswered = run(capsys, broker, *words)

    assert (answered[0], unanswered[0]) == (0, 4)
    assert "silent" in unanswered[1]


# ---- events -------------------------------------------------------------------------------------


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


def next_of(watcher: Watcher, key: str, value: str) -> dict[str, Any]:
    """Return the next event in which ``key`` is that."""

    def polled() -> dict[str, Any] | None:
        found = watcher.poll()
        return found if found is not None and found.get(key) == value else None

    return wait_until(polled, 20, f"{key} {value}")


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


# ---- anything, anywhere -------------------------------------------------------------------------


def any_json(chance: random.Random, depth: int = 0) -> Any:
    """Return a random value."""
    kind = chance.randrange(9 if depth < 4 else 7)
    if kind == 7:
        return [any_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 8:
        keys = ("name", "boot", "state", "tags", "worker", "event", "verdict", "id", "seq", "x")
        return {
            chance.choice(keys): any_json(chance, depth + 1) for _ in range(chance.randrange(5))
        }
    return chance.choice([None, True, -1, 2**70, 1.5, float("nan"), float("inf"), "", "\x1b", BOOT])


def any_text(chance: random.Random) -> bytes:
    """Return random JSON, a document with something random in it, or random bytes."""
    kind = chance.randrange(3)
    if kind == 0:
        return chance.randbytes(chance.randrange(40))
    if kind == 1:
        return json.dumps(any_json(chance)).encode()
    whole = {"name": "bad", "boot": BOOT, "state": "RUNNING", "event": "5-1", "verdict": "done"}
    key = chance.choice([*whole, "tags", "channels", "allowed", "worker", "progress", "last"])
    return json.dumps(whole | {key: any_json(chance)}).encode()


def poison(chance: random.Random, client: redis.Redis) -> None:
    """Do something random to one of our keys, or say something random on one of our channels."""
    name = chance.choice(["bad", "worse", "\x1b[2J"])
    keys = [f"statusd:{kind}:{{{name}}}" for kind in ("status", "history", "owner", "cursor")]
    act = chance.randrange(5)
    key = chance.choice(keys)
    if act == 0:
        client.delete(key)
        OTHER_TYPES[chance.choice(sorted(OTHER_TYPES))](client, key)
    elif act == 1:
        client.hset("statusd:roster", name, any_text(chance))
    elif act == 2:
        client.set(f"statusd:status:{{{name}}}", any_text(chance))
    elif act == 3 and client.type(keys[1]) in (b"none", b"stream"):
        client.xadd(keys[1], {chance.choice(["event", "x"]): any_text(chance)})
    else:
        channel = chance.choice(["control", "verdicts", "events"])
        client.publish(f"statusd:{channel}", any_text(chance))


@pytest.mark.fault("X21")
def test_whatever_stands_in_our_keys_the_good_is_seen(
    broker: Broker, fleet: Fleet, rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON, bytes and types at random: status, send, watch and history go on for the others."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # shown if the test fails
    chance, client = random.Random(seed), broker.client()
    verdict = {"verdict": "done", "name": "good", "boot": BOOT, "state": "PAUSED"}
    with fleet.watch() as watcher, answering(broker, b"", verdict):
        watcher.poll()
        for number in range(1, 1 + rounds * 2):
            for _ in range(10):
                poison(chance, client)
            assert states(fleet)["good"] == "RUNNING"
            report = fleet.send("pause", name=["good"], timeout_s=5)
            assert [outcome.name for outcome in report.done] == ["good"]
            event_id, fields = event("good", number)
            client.xadd("statusd:history:{good}", fields, id=event_id)
            assert next_of(watcher, "event", event_id)
            for words in (["status"], ["status", "--json"], ["status", "bad"], ["history", "bad"]):
                code, said, _ = run(capsys, broker, *words)
                assert code in (0, 5, 69)
                assert said.replace("\n", "").isprintable()
    capsys.readouterr()
    print(f"seed {seed}")


# ---- a server that lies -------------------------------------------------------------------------


REPLIES = {
    **{"null": b"_\r\n", "null string": b"$-1\r\n", "null list": b"*-1\r\n", "true": b"#t\r\n"},
    **{"false": b"#f\r\n", "zero": b":0\r\n", "negative": b":-5\r\n", "double": b",1.5\r\n"},
    **{"infinity": b",inf\r\n", "nan": b",nan\r\n", "empty": b"$0\r\n\r\n", "text": b"+OK\r\n"},
    **{"bytes": b"$2\r\n\xff\xfe\r\n", "verbatim": b"=7\r\ntxt:abc\r\n", "list": b"*0\r\n"},
    "large number": b"(99999999999999999999999999\r\n",
    "huge number": b"(" + b"9" * 5000 + b"\r\n",
    "too large an integer": b":99999999999999999999999\r\n",
    "list of lists": b"*2\r\n*1\r\n:1\r\n*0\r\n",
    "list of nulls": b"*2\r\n_\r\n_\r\n",
    "list of numbers": b"*2\r\n:1\r\n:2\r\n",
    "list of texts": b"*2\r\n+a\r\n+b\r\n",
    "list of three": b"*3\r\n+a\r\n+b\r\n+c\r\n",
    "list with an error": b"*1\r\n-ERR inside\r\n",
    "entries without fields": b"*1\r\n*2\r\n+1-1\r\n*1\r\n+event\r\n",
    "entries without ids": b"*1\r\n*2\r\n+x\r\n*2\r\n+event\r\n+{}\r\n",
    "deep": b"*1\r\n" * 50 + b":1\r\n",
    "set": b"~1\r\n*0\r\n",
    "map": b"%1\r\n+a\r\n+b\r\n",
    "map of numbers": b"%1\r\n:1\r\n:2\r\n",
    "map of maps": b"%1\r\n+a\r\n%1\r\n+b\r\n:1\r\n",
    "map with a list for a key": b"%1\r\n*0\r\n+a\r\n",
    "map with an error for a key": b"%1\r\n-ERR a\r\n+b\r\n",
    "attribute": b"|1\r\n+a\r\n+b\r\n+c\r\n",
    "blob error": b"!5\r\nERR x\r\n",
    "error": b"-ERR \xff\xfe\r\n",
    "empty error": b"-\r\n",
    "empty push": b">0\r\n+OK\r\n",
    "push of nulls": b">3\r\n_\r\n_\r\n_\r\n+OK\r\n",
    "push of lists": b">2\r\n*0\r\n*0\r\n+OK\r\n",
    "push of numbers": b">3\r\n:1\r\n:1\r\n:1\r\n+OK\r\n",
    "push of a message": b">3\r\n+message\r\n+x\r\n_\r\n+OK\r\n",
    "no RESP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "out of range": b"*9999999999\r\n",
}
"""Well-formed RESP3 that is no answer to anything, and what is none."""
VERBS = [
    ["status"],
    ["status", "x", "--forget"],
    ["send", "pause"],
    ["send", "pause", "--expires", "1m"],
    ["send", "pause", "--durable"],
    ["send", "pause", "--wait", "--timeout", "0.2"],
    ["send", "pause", "--dry-run"],
    ["history", "x"],
    ["graph", "--unit", "x"],
]


@pytest.mark.fault("X20")
@pytest.mark.parametrize("greets", [True, False], ids=["greets", "doesn't greet"])
@pytest.mark.parametrize("reply", REPLIES)
def test_no_reply_is_too_odd(
    reply: str, greets: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every verb says in a line what is wrong, 69, or takes it for what it is; no traceback."""
    monkeypatch.setenv("STATUSD_REDIS__NAMESPACE", "statusd")
    with Impostor(lambda words: answer(words, REPLIES[reply], greets=greets)) as liar:
        for verb in VERBS:
            code = main([*verb, "--url", liar.url])

            said = capsys.readouterr()
            assert code in ((0, 5, 69, 78) if greets else (69,)), (verb, said)
            assert "Traceback" not in said.err
            assert code == 0 or len(said.err.splitlines()) == 1
        code = main(["completion", "--list", "names"])


def answer(words: list[str], reply: bytes, *, greets: bool) -> bytes:
    """Greet as a broker does, if asked for; anything else gets ``reply``."""
    if words[0] == "HELLO" and greets:
        return HELLO
    return b"+OK\r\n" if words[0] in ("CLIENT", "SELECT") and greets else reply


@pytest.mark.fault("X20")
@pytest.mark.parametrize("reply", REPLIES)
def test_a_fleet_raises_what_it_says(reply: str) -> None:
    """`Unavailable`, and nothing else; a watcher goes on."""
    with Impostor(lambda words: answer(words, REPLIES[reply], greets=True)) as liar:
        fleet = Fleet(liar.url, timeout_s=0.5)
        watchers = [fleet.watch(), fleet.watch(since={"x": "1-1"})]
        said = []
        calls: list[Callable[[], object]] = [
            fleet.status,
            lambda: fleet.history("x"),
            lambda: fleet.forget("x"),
            lambda: fleet.send("pause", timeout_s=0.1),
            lambda: fleet.send("pause", durable=True, expires_s=5, timeout_s=0.1),
            watchers[0].poll,
            watchers[1].poll,
        ]
        for call in calls:
            try:
                call()
            except (Unavailable, ConfigError) as error:
                said.append(str(error))
        fleet.close()
        for watcher in watchers:
            watcher.close()
    assert [text for text in said if not text.isprintable()] == []


@pytest.mark.fault("X20")
@pytest.mark.parametrize("reply", REPLIES)
def test_the_doctor_survives_any_reply(
    reply: str, capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what is called when something is wrong."""
    monkeypatch.setenv("STATUSD_STATE_DIRECTORY", str(tmp_path))
    with Impostor(lambda words: answer(words, REPLIES[reply], greets=True)) as liar:
        file = tmp_path / "job.toml"
        file.write_text(
            f'name = "x"\ncontrol.channels = ["a"]\nworker.command = ["true"]\n'
            f'redis.url = "{liar.url}"\n'
        )

        code = main(["doctor", str(file)])

    said = capsys.readouterr()
    assert code in (0, 1)
    assert "Traceback" not in said.err
    assert said.out.replace("\n", "").isprintable()


@pytest.mark.fault("X20")
@pytest.mark.parametrize("reply", REPLIES)
def test_a_sentinel_is_not_believed_everything(reply: str) -> None:
    """The daemon's links ask it as well."""
    with Impostor(lambda words: answer(words, REPLIES[reply], greets=True)) as liar:
        url = f"redis+sentinel://{liar.url.partition('//')[2].rpartition('/')[0]}/mymaster"

        with pytest.raises(Unavailable):
            find_master(parse_url(url))


@pytest.mark.fault("X20")
def test_a_server_that_never_comes_to_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is no answer, and neither is a flood of what nobody asked for."""
    monkeypatch.setattr("statusd.wire.dial.WHOLE_S", 0.5)
    with Impostor(lambda words: HELLO if words[0] == "HELLO" else b">1\r\n+x\r\n" * 10) as liar:
        address = parse_url(liar.url)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="no answer in time"):
            Dial(address, "test", 0.3).call("GET", "x")
        assert time.monotonic() - began < 5


# ---- channels -----------------------------------------------------------------------------------


@pytest.mark.fault("X16")
@pytest.mark.parametrize(
    "patterns",
    [
        ["*a" * 200 + "b"],
        ["*" * 100_000],
        ["*?" * 400 + "b", "[a-" * 100],
        ["lab.*.cam.*.cmd"] * 1000,
        ["\ud800*"],
        [f"{'a' * 300_000}*"],
    ],
)
def test_no_pattern_of_a_document_holds_up_a_command(
    patterns: list[str], broker: Broker, fleet: Fleet
) -> None:
    """Who is asked is found at once, however a unit says that it hears; the others are asked."""
    put(broker, "bad", channels=patterns)
    channel = f"lab.{'.cam.' * 150}{'a' * 100}"[:MOST]
    put(broker, "good", channels=["lab.*"])
    began = time.process_time()

    alive, _ = fleet.expected(channel=channel)

    assert [unit.name for unit in alive] == ["good"]
    assert time.process_time() - began < 2


MOST = 1024
"""A channel's name of this length is still matched."""
