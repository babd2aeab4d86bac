"""What stands in Redis may be anybody's: it is told as text, in bounds, and harms nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools import Broker, wait_until
from tests.tools.hostile import HOSTILE
from tests.tools.variants import some
from tests.tools.web import Ghosts, Web

SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'`\u2028\u2029\ud800&lt;"
TEXTS = (SCRIPT, HOSTILE, "\r\n\r\nevent: unit\ndata: {}\n\n", "\x00" * 5, "\ufeff")


@pytest.fixture
def own(broker: Broker, tmp_path: Path) -> Iterator[Web]:
    """A server of a broker that a test has for itself."""
    with Web(broker.url, directory=tmp_path) as running:
        running.wait_up()
        yield running


def document_of(text: str) -> dict[str, Any]:
    """Return a document that says that wherever a text may stand."""
    cause = {"source": text, "reason": text, "command": text, "by": text, "id": text}
    return {
        **dict.fromkeys(("state", "goal", "text", "host", "link", "trouble", "since", "at"), text),
        **dict.fromkeys(("part", "waits_for", "unseen_since", "daemon"), text),
        **{key: [text, text] for key in ("tags", "allowed", "channels", "words")},
        "args": {text: text},
        "progress": {"step": 1, "total": 2, "unit": text, "rate": None, "left_s": None},
        "worker": {"pid": 1, "death": {"run": 1, "reason": text, "stderr": [text]}},
        "stop": {"stage": text, "next": text, "in_s": 1},
        **{"last": {"event": text, **cause}, "ended": cause},
    }


@pytest.mark.parametrize("text", some(TEXTS, 2))
def test_a_text_is_told_as_it_is(web: Web, lasting_broker: Broker, text: str) -> None:
    """Wherever it stands: as JSON, which no browser takes for a page; in a message of a stream."""
    ghosts = Ghosts(lasting_broker)
    said = document_of(text)
    event = {"by": text, "reason": text, "args": {"x": text}, "stderr": [text], "new": text}
    with web.events() as stream:
        ghosts.write("bad", **said)
        (*_, unit) = stream.until("unit", name="bad")
        seq = int(time.time() * 1000)
        ghosts.tell("bad", seq, **event, trigger=text, source=text, old=text)
        (*_, told) = stream.until("event", name="bad", seq=seq)
        ghosts.strike("bad")
        stream.until("gone", name="bad")
    ghosts.write("bad", **said)
    client = web.client()
    wait_until(lambda: client.get("/api/units/bad").status_code == 200, 5, "the unit")
    answer = client.get("/api/units/bad")

    assert answer.json()["document"].items() >= said.items()
    assert unit[2]["document"].items() >= said.items()
    assert told[2].items() >= event.items()
    assert client.get("/api/units/bad/history?most=1").json() == [told[2]]
    assert answer.headers["content-type"] == "application/json"
    assert answer.text.isascii()
    ghosts.strike("bad")


def test_what_can_t_be_read_is_said_of_that_unit(own: Web, broker: Broker) -> None:
    """Ten megabytes, deep, with numbers beyond bounds, of another type: the others are shown."""
    ghosts, client = Ghosts(broker), own.client()
    ghosts.write("good", "deep", "large", "odd", "number", "bytes", "list")
    ghosts.put("statusd:status:{deep}", "[" * 100_000)
    ghosts.put(
        "statusd:status:{large}", json.dumps({"boot": ghosts.boot, "text": "x" * 10_000_000})
    )
    ghosts.put("statusd:status:{number}", json.dumps({"boot": ghosts.boot, "seq": 10**400}))
    ghosts.put("statusd:status:{odd}", json.dumps({"boot": ghosts.boot, "worker": [1], "seq": "x"}))
    ghosts.put("statusd:status:{bytes}", b"\xff\x00")
    broker.client().delete("statusd:status:{list}")
    broker.client().rpush("statusd:status:{list}", "x")
    for name in (SCRIPT, "x" * 100_000, "a/b", "..", "", "*"):
        ghosts.enter(name.encode("utf-8", "replace").decode(), '{"boot":1,"left":false,"seen":""}')
    ghosts.enter("entry", "nonsense")

    def unreadable() -> dict[str, str]:
        units = client.get("/api/units").json()["units"]
        return {unit["name"]: unit["unreadable"] for unit in units if "unreadable" in unit}

    wait_until(lambda: len(unreadable()) == 7, 10, "all that can't be read")
    bad = unreadable()
    assert "longer than" in bad["large"]
    assert "nested deeper" in bad["deep"]
    assert "too large" in bad["number"]
    units = {unit["name"]: unit for unit in client.get("/api/units").json()["units"]}
    assert (units["good"]["state"], units["large"]["state"]) == ("RUNNING", "UNREADABLE")
    assert units["*"]["lost"]
    for name in ("deep", "large"):
        assert client.get(f"/api/units/{name}").json()["curve"]
    assert client.get("/api/units/*/logs").status_code == 404  # no glob gets through by a name
    assert own.logged("web.bug") == []


def test_a_document_of_ten_megabytes_costs_little(own: Web, broker: Broker) -> None:
    """Others are told as quickly; what can't be read isn't kept."""
    ghosts = Ghosts(broker)
    ghosts.write("good", "large")
    ghosts.put("statusd:status:{large}", b"x" * 10_000_000)
    with own.events() as stream:
        for number in range(5):
            began = time.monotonic()
            ghosts.write("good", text=str(number))
            ghosts.tell("good", number + 1)
            stream.until("unit", name="good")
            assert time.monotonic() - began < 2.5


def test_histories_may_hold_anything(web: Web, lasting_broker: Broker) -> None:
    """What is no event is told as that, in its place; what is missing, too."""
    ghosts, client = Ghosts(lasting_broker), lasting_broker.client()
    ghosts.write("odd")
    with web.events() as stream:
        ghosts.tell("odd", 1)
        stream.until("event", name="odd")
        client.xadd("statusd:history:{odd}", {"event": "nonsense"}, id=f"{ghosts.boot}-2")
        client.xadd("statusd:history:{odd}", {"other": b"\xff"}, id=f"{ghosts.boot}-3")
        ghosts.tell("odd", 9)
        (*_, last) = told = stream.until("event", name="odd", seq=9)
    said = [data for kind, _, data in told if kind == "event"]
    assert [one.get("unreadable") for one in said[:2]] == ["odd", "odd"]
    assert last[2]["seq"] == 9
    events = web.client().get("/api/units/odd/history").json()
    assert [one.get("seq") for one in events] == [1, None, None, 9]


def test_a_lifecycle_may_be_anything(web: Web, lasting_broker: Broker) -> None:
    """What is none isn't told as one."""
    ghosts, client = Ghosts(lasting_broker), web.client()
    ghosts.write("drawn")
    key = "statusd:lifecycle:{drawn}"
    good = {
        "nodes": [{"name": SCRIPT, "kind": "waiting"}],
        "arrows": [
            {"source": "a", "dest": "b", "labels": [SCRIPT], "who": "anyone", "is_aside": False}
        ],
    }
    for bad in ("", "[]", '{"nodes": [], "arrows": [1]}', '{"nodes": [{}], "arrows": []}', "\xff"):
        ghosts.put(key, bad.encode("latin-1"))
        assert client.get("/api/units/drawn/lifecycle").status_code == 404, bad
    ghosts.put(key, json.dumps(good))
    assert client.get("/api/units/drawn/lifecycle").json() == good


@pytest.mark.parametrize("count", some((1000, 10_000), 1))
def test_many_units(own: Web, broker: Broker, count: int) -> None:
    """All are shown, packed small; an answer is there at once, and so is what is new."""
    ghosts, client = Ghosts(broker), own.client()
    for first in range(0, count, 1000):
        names = [f"unit-{number:05}" for number in range(first, first + 1000)]
        ghosts.write(*names, text="as every other one", channels=["mychannel"])
    raw = own.client("", headers={"authorization": f"Bearer {own.token}"}, event_hooks={})

    def all_known() -> bool:
        return raw.get("/api/units").text.count('"boot"') >= count * 2

    wait_until(all_known, 40, "all of them")
    began = time.monotonic()
    answer = raw.get("/api/units")
    assert time.monotonic() - began < 2.0
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(answer.content) / 5
    with own.events() as stream:
        ghosts.tell("unit-00500", 1)
        stream.until("event", name="unit-00500")
    told = client.post("/api/commands", json={"command": "pause", "dry_run": True})
    assert len(told.json()["asked"]) == count
