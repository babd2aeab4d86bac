"""A broker that is away, refuses, or comes back: it is said, and what was known last is shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BROKERS
from tests.system.commands import statusd
from tests.tools import Broker, free_port, wait_until
from tests.tools.web import Ghosts, Web

AWAY_S, BACK_S = 3.0, 2.0


@pytest.fixture
def kept() -> Iterator[Broker]:
    """A broker whose data survive it."""
    with Broker(BROKERS["valkey"], conf={"appendonly": "yes", "appendfsync": "always"}) as running:
        yield running


def link(web: Web) -> dict[str, Any]:
    """Return what the server says of its broker."""
    found: dict[str, Any] = web.client().get("/api/units").json()["broker"]
    return found


def test_a_broker_that_was_away(kept: Broker, tmp_path: Path) -> None:
    """It is said within three seconds, with since when, and what was known is shown.

    Within two seconds after it is back that is said, too, and so is what was missed meanwhile.
    """
    ghosts = Ghosts(kept)
    ghosts.write("unit", text="before")
    ghosts.tell("unit", 1)
    with Web(kept.url, directory=tmp_path) as web, web.events() as stream:
        wait_until(lambda: web.client().get("/api/units/unit").status_code == 200, 5, "the unit")
        web.wait_up()
        up = link(web)
        kept.kill()
        began = time.monotonic()
        (*_, told) = stream.until("broker", state="away")
        assert time.monotonic() - began < AWAY_S
        assert told[2] == link(web) | {"heard": told[2]["heard"]}
        assert up["since"] < told[2]["since"]
        assert told[2]["heard"] >= up["heard"]
        assert "refused" in told[2]["reason"] or "closed" in told[2]["reason"]

        client = web.client()
        assert client.get("/api/units/unit").json()["document"]["text"] == "before"
        for path in ("history", "lifecycle"):
            refused = client.get(f"/api/units/unit/{path}")
            assert (refused.status_code, refused.json()["error"][:11]) == (503, "the broker:")
        refused = client.post("/api/commands", json={"command": "pause"})
        assert refused.status_code == 503
        assert client.get("/api/me").status_code == 200

        kept.start()
        began = time.monotonic()
        for seq in range(2, 5):
            ghosts.tell("unit", seq)
        ghosts.write("unit", text="after")
        messages = stream.until("unit", name="unit")
        assert time.monotonic() - began < BACK_S
        if not any(kind == "broker" for kind, _, _ in messages):
            messages += stream.until("broker", state="up")
        while not any(kind == "event" and data["seq"] == 4 for kind, _, data in messages):
            messages += stream.until("event", name="unit")
        assert [data["seq"] for kind, _, data in messages if kind == "event"] == [2, 3, 4]
        assert link(web)["state"] == "up"
        assert link(web)["reason"] == ""


def test_a_broker_that_doesn_t_answer(broker: Broker, tmp_path: Path) -> None:
    """It is as good as away: nobody waits for it, and everything else goes on."""
    with Web(broker.url, directory=tmp_path) as web:
        wait_until(lambda: link(web)["state"] == "up", 5, "the broker")
        broker.freeze()
        began = time.monotonic()
        wait_until(lambda: link(web)["state"] == "away", 8, "it to be missed")
        assert time.monotonic() - began < 2 * AWAY_S
        began = time.monotonic()
        assert web.client().get("/api/units").status_code == 200
        assert time.monotonic() - began < 0.5
        broker.thaw()
        wait_until(lambda: link(web)["state"] == "up", 8, "it to be back")


def test_a_broker_that_was_never_there(tmp_path: Path) -> None:
    """The page is there before it; when it comes, it is found."""
    port = free_port()
    with Web(f"redis://127.0.0.1:{port}/0", directory=tmp_path) as web:
        wait_until(lambda: "refused" in link(web)["reason"], 5, "it to be missed")
        told = link(web)
        assert (told["state"], told["heard"]) == ("away", "")
        assert web.client().get("/api/units").json()["units"] == []
        with web.events() as stream, Broker(BROKERS["valkey"], port=port) as broker:
            began = time.monotonic()
            stream.until("broker", state="up")
            assert time.monotonic() - began < BACK_S
            Ghosts(broker).write("new")
            stream.until("unit", name="new")


# ---- rights --------------------------------------------------------------------------------------


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    """A broker with the rights of `statusd acl`, and a default user for the tests."""
    acl = tmp_path / "users.acl"
    lines = statusd("acl").stdout.splitlines()
    kept = [line for line in lines if line.startswith("user statusd-")]
    acl.write_text("\n".join([*kept, "user default on nopass ~* &* +@all", ""]))
    with Broker(BROKERS["valkey"], conf={"aclfile": str(acl)}) as running:
        yield running


def url_of(broker: Broker, role: str) -> str:
    """Return the broker's address with the user of a role."""
    return broker.url.replace("redis://", f"redis://statusd-{role}:change-me-{role}@")


def test_a_viewer_s_rights_are_enough_to_show(guarded: Broker, tmp_path: Path) -> None:
    """With ``--read-only``: all that can be looked at, and not one refusal by the broker."""
    ghosts = Ghosts(guarded)
    ghosts.write("unit")
    ghosts.tell("unit", 1)
    ghosts.put("statusd:lifecycle:{unit}", '{"nodes": [], "arrows": []}')
    args = ("--read-only",)
    with Web(url_of(guarded, "viewer"), directory=tmp_path / "web", args=args) as web:
        web.wait_up()
        client = web.client()
        wait_until(lambda: client.get("/api/units/unit").status_code == 200, 5, "the unit")
        assert "change-me" not in client.get("/api/me").text + client.get("/api/units").text
        assert len(client.get("/api/units/unit/history").json()) == 1
        assert client.get("/api/units/unit/lifecycle").json() == {"nodes": [], "arrows": []}
        with client.stream("GET", "/api/units/unit/logs") as logs:
            assert next(logs.iter_lines()).startswith('{"name":"unit"')
        with web.events() as stream:
            ghosts.tell("unit", 2)
            stream.until("event", name="unit")

        told = client.get("/api/me").json()
        assert (told["role"], told["may_command"], told["read_only"]) == ("operator", False, True)
        for more in ({}, {"dry_run": True}):
            refused = client.post("/api/commands", json={"command": "pause"} | more)
            assert refused.status_code == 403
            assert "--read-only" in refused.json()["error"]
        assert link(web)["state"] == "up"
    denied = [entry["object"] for entry in guarded.client(decode_responses=True).acl_log()]
    assert denied == []


def complains(web: Web, wanted: str) -> bool:
    """Tell whether that is what the server says of its broker."""
    return wanted in link(web)["reason"]


def test_a_broker_that_refuses_says_so(guarded: Broker, tmp_path: Path) -> None:
    """Whatever it is: a wrong password, no right to the documents, none to the histories.

    It was never said to be up before.
    """
    admin = guarded.client()
    Ghosts(guarded).write("unit")
    rules = ("+hello", "+auth", "+client|setname", "+select", "+ping")
    some = {"blind": ("+hgetall",), "deaf": ("+hgetall", "+get", "+hkeys", "+xrevrange")}
    for name, more in some.items():
        admin.acl_setuser(
            name,
            enabled=True,
            passwords=["+secret-of-tests"],
            commands=[*rules, *more],
            keys=["statusd:*"],
        )

    for user, wanted in (("blind", "get"), ("deaf", "xread"), ("nobody", "WRONGPASS")):
        url = guarded.url.replace("redis://", f"redis://{user}:secret-of-tests@")
        with Web(url, directory=tmp_path / user) as web:
            wait_until(partial(complains, web, wanted), 5, f"{user}: {wanted}")
            assert link(web)["state"] == "away"
            epoch = web.client().get("/api/units").json()["position"].partition("-")[0]
            with web.events(f"{epoch}-0") as stream:
                first = next(told for told in stream.messages() if told[0] == "broker")
            assert first[2]["state"] == "away"
            assert "not asked" not in first[2]["reason"]
            assert "secret-of-tests" not in web.client().get("/api/units").text
