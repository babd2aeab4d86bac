"""Commands, output and lifecycles of units that are run by a real daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.system.test_folder import unit
from tests.tools import Broker, Program, wait_until
from tests.tools.contract import schema
from tests.tools.web import Ghosts, Web, lines_of

TALK = "echo hello; echo oops >&2; while :; do sleep 1; echo tick; done"
Told = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(lasting_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A daemon of four units: two alike, one that doesn't look, one that prints."""
    units = {
        "a": unit("telling_args", name="a", tags=["gpu"]),
        "b": unit("obedient", name="b", tags=["gpu"]),
        "slow": unit("slow_to_pause", name="slow"),
        "talker": {"name": "talker", "worker": {"command": ["sh", "-c", TALK]}},
    }
    toml = {"redis": {"url": lasting_broker.url}, "daemon": {"name": "hall"}}
    with Program(toml, directory=tmp_path_factory.mktemp("folder"), units=units) as program:
        for name in units:
            program.wait_logged("state.changed", unit=name, new="READY")
        yield program


@pytest.fixture
def units(folder: Program, web: Web) -> Program:
    """The same, as the server knows it: each is where it was at first."""
    client = web.client()

    def states() -> dict[str, str]:
        found = client.get("/api/units").json()["units"]
        return {unit["name"]: unit["state"] for unit in found if unit["name"] in "ab"}

    command(web, "launch", "a", "b")
    command(web, "stop", "a", "b")
    wait_until(lambda: states() == {"a": "READY", "b": "READY"}, 10, "them to be ready")
    return folder


def ordered(web: Web, body: dict[str, Any]) -> Told:
    """Return all that is told of a command."""
    with lines_of(web.client(), "POST", "/api/commands", json=body) as told:
        return list(told)


def command(web: Web, word: str, *names: str, **more: Any) -> Told:
    """Return what is told of a command to these units."""
    target = {"target": {"name": list(names)}} if names else {}
    return ordered(web, {"command": word, **target, **more})


# ---- commands ------------------------------------------------------------------------------------


def test_verdicts_come_as_they_are_given(units: Program, web: Web, lasting_broker: Broker) -> None:
    """First who is asked; then each verdict at once; at last the whole, with the silent by name."""
    command(web, "start", "slow")
    wait_until((units.directory / "working").exists, 10, "the slow one to work")
    Ghosts(lasting_broker).write("silent")
    wait_until(lambda: web.client().get("/api/units/silent").status_code == 200, 5, "the silent")
    body = {"command": "pause", "target": {"name": ["b", "slow", "silent"]}, "timeout_s": 1.5}
    command(web, "start", "b")
    began = time.monotonic()
    with lines_of(web.client(), "POST", "/api/commands", json=body) as told:
        asked, first = next(told), next(told)
        assert time.monotonic() - began < 1.0
        *others, last = told
    assert time.monotonic() - began >= 1.5
    assert [unit["name"] for unit in asked["asked"]] == ["b", "silent", "slow"]
    outcome = first["outcome"]
    assert (outcome["name"], outcome["verdict"], outcome["after"]) == ("b", "done", "PAUSED")
    report = last["report"]
    assert others == []
    assert (report["done"], report["pending"], report["silent"]) == (["b"], ["slow"], ["silent"])
    assert (report["exit_code"], report["lost"], report["refused"]) == (4, [], [])
    (units.directory / "release").touch()
    Ghosts(lasting_broker).strike("silent")


def test_a_dry_run_tells_who_would_be_asked(
    units: Program, web: Web, lasting_broker: Broker
) -> None:
    """And asks nobody; who is lost is told aside."""
    client: Any = lasting_broker.client()
    heard = client.pubsub(ignore_subscribe_messages=True)
    heard.subscribe("statusd:control")
    client.hset("statusd:roster", "ghost", '{"boot":1,"left":false,"seen":""}')
    for target, wanted in (
        ({"tag": ["gpu"]}, ["a", "b"]),
        ({"name": ["?"], "state": ["READY"]}, ["a", "b"]),
        ({"name": ["a", "nobody"]}, ["a"]),
        ({"name": ["nobody"]}, []),
    ):
        body = {"command": "end", "target": target, "dry_run": True}
        told = web.client().post("/api/commands", json=body).json()
        assert [unit["name"] for unit in told["asked"]] == wanted, target
        assert told["lost"] == []
    everybody = web.client().post("/api/commands", json={"command": "end", "dry_run": True}).json()
    assert {"a", "b", "slow", "talker"} <= {unit["name"] for unit in everybody["asked"]}
    assert everybody["lost"] == [{"name": "ghost", "state": "LOST"}]
    client.hdel("statusd:roster", "ghost")
    client.publish("statusd:control", "ping")
    (first,) = wait_until(lambda: [m for m in [heard.get_message()] if m], 5, "the next word")
    assert first["data"] == b"ping"
    heard.close()


def test_arguments_arrive_and_the_sender_is_named(units: Program, web: Web) -> None:
    """In the history, by whom; at the worker, with their kinds."""
    args = {"n": 3, "x": 1.5, "on": True, "nothing": None, "text": "</script>\u2028ü"}
    (*_, last) = command(web, "start", "a", args=args)
    assert last["report"]["exit_code"] == 0
    wait_until((units.directory / "args").exists, 5, "the worker")
    told = wait_until(lambda: json.loads((units.directory / "args").read_text()), 5, "the args")
    assert told == args
    (event,) = web.client().get("/api/units/a/history?most=1").json()
    assert (event["by"], event["new"], event["args"]) == ("operator@web", "RUNNING", args)
    assert web.logged("web.command")[-1]["command"] == "start"


def test_what_a_unit_refuses_is_its_reason(units: Program, web: Web) -> None:
    """And a word that nobody knows is the units' to judge, as from everywhere else."""
    for word, verdict in (("pause", "refused"), ("xyzzy", "invalid"), ("stop", "noop")):
        (_, outcome, last) = command(web, word, "b")
        assert outcome["outcome"]["verdict"] == verdict
        assert outcome["outcome"]["reason"]
        assert last["report"]["exit_code"] == (0 if verdict == "noop" else 3)


def test_who_has_ended_is_launched(units: Program, web: Web) -> None:
    """By its name alone; nobody else is touched."""
    (*_, ended) = command(web, "end", "b")
    assert ended["report"]["done"] == ["b"]
    wait_until(lambda: web.client().get("/api/units/b").json()["left"], 5, "it to have left")
    assert web.client().get("/api/units/b").json()["document"]["daemon"] == "hall"

    body = {"command": "launch", "target": {"state": ["END"]}}
    assert web.client().post("/api/commands", json=body).status_code == 400
    dry = command_dry(web, "launch", "b")
    assert dry["asked"] == [{"name": "b", "state": "END"}]
    (*_, launched) = command(web, "launch", "b")
    assert launched["report"]["done"] == ["b"]
    assert web.client().get("/api/units/b/lifecycle").status_code == 200


def command_dry(web: Web, word: str, *names: str) -> dict[str, Any]:
    """Return who would be asked."""
    body = {"command": word, "target": {"name": list(names)}, "dry_run": True}
    found: dict[str, Any] = web.client().post("/api/commands", json=body).json()
    return found


def test_a_durable_one_is_kept(units: Program, web: Web, lasting_broker: Broker) -> None:
    """With its place in the stream, and its expiry."""
    (*_, last) = command(web, "start", "b", durable=True, expires_s=60)

    assert last["report"]["done"] == ["b"]
    ((entry, fields),) = xrevrange(lasting_broker, "statusd:commands")
    assert entry.decode() == last["report"]["entry"]
    assert json.loads(fields[b"command"])["expires"]


def xrevrange(broker: Broker, key: str) -> Any:
    """Return the last entry of a stream."""
    return broker.client().xrevrange(key, count=1)


@pytest.mark.parametrize("who", ["reads to the end", "goes at once"])
def test_who_commands_leaves_nothing(
    units: Program, web: Web, lasting_broker: Broker, who: str
) -> None:
    """Neither a subscription nor a task, also if he doesn't wait for the verdicts."""
    Ghosts(lasting_broker).write("mute")
    wait_until(lambda: web.client().get("/api/units/mute").status_code == 200, 5, "the unit")
    timeout_s = 0.2 if who == "reads to the end" else 30
    body = {"command": "ping", "target": {"name": ["mute"]}, "timeout_s": timeout_s}

    def subscribed() -> int:
        return len(lasting_broker.client().pubsub_channels("statusd:reply:*"))

    client = web.client()
    for _ in range(5):
        with client.stream("POST", "/api/commands", json=body) as answer:
            if who == "reads to the end":
                answer.read()
            else:
                lines = answer.iter_lines()
                next(lines)
                wait_until(subscribed, 5, "it to be sent")
        client.close()
        client = web.client()
    wait_until(lambda: not subscribed(), 5, "nobody to listen any more")
    assert web.logged("web.bug") == web.logged("web.server") == []
    Ghosts(lasting_broker).strike("mute")


# ---- looking -------------------------------------------------------------------------------------


def test_a_unit_in_full(units: Program, web: Web) -> None:
    """Its document is that of the contract, to the last key; its curve has what it uses."""
    told = web.client().get("/api/units/b").json()
    jsonschema.Draft202012Validator(schema("document")).validate(told["document"])
    assert not told["lost"]
    assert all(len(point) == 4 for point in told["curve"])
    listed = web.client().get("/api/units").json()["units"]
    assert told["document"].keys() == next(u for u in listed if u["name"] == "b")["document"].keys()


def test_a_lifecycle_is_that_of_the_unit(units: Program, web: Web) -> None:
    """As its daemon has told it: a node for each state, an arrow for what leads on."""
    told = web.client().get("/api/units/a/lifecycle").json()
    jsonschema.Draft202012Validator(schema("lifecycle")).validate(told)
    kinds = {node["name"]: node["kind"] for node in told["nodes"]}
    assert (kinds["RUNNING"], kinds["READY"], kinds["FAILED"]) == ("working", "waiting", "fault")
    (start,) = (a for a in told["arrows"] if (a["source"], a["dest"]) == ("READY", "RUNNING"))
    assert (start["labels"], start["who"], start["is_aside"]) == (["start"], "anyone", False)
    assert web.client().get("/api/units/nobody/lifecycle").status_code == 404


def test_a_history_is_read_in_both_directions(units: Program, web: Web) -> None:
    """The newest, those before one, those after one: each once, oldest first."""
    for word in ("start", "pause", "resume", "stop"):
        command(web, word, "b")
    client = web.client()
    path = "/api/units/b/history"
    newest = client.get(f"{path}?most=3").json()
    older = client.get(f"{path}?most=2&before={newest[0]['event']}").json()
    again = client.get(f"{path}?since={older[-1]['event']}").json()

    assert [event["new"] for event in newest] == ["PAUSED", "RUNNING", "READY"]
    assert [one["seq"] for one in (*older, *newest)] == sorted(
        one["seq"] for one in (*older, *newest)
    )
    assert again == newest
    assert len({event["event"] for event in (*older, *newest)}) == 5
    for nothing in ("before=0", "before=0-0", f"since={2**64 - 1}-{2**64 - 1}"):
        answer = client.get(f"{path}?{nothing}")
        assert (answer.status_code, answer.json()) == (200, [])


def test_output_is_read_and_followed(units: Program, web: Web) -> None:
    """The last lines, of one stream or both; what comes; by a viewer, too."""
    viewer = web.client(web.viewer)
    path = "/api/units/talker/logs"
    with lines_of(viewer, "GET", f"{path}?stream=stderr") as told:
        assert [one["line"] for one in told if "line" in one] == ["oops"]
    with lines_of(viewer, "GET", f"{path}?lines=1") as told:
        assert len([one for one in told if "line" in one]) == 1
    with lines_of(viewer, "GET", f"{path}?follow=1&lines=1") as told:
        texts = [next(told).get("line") for _ in range(4)]
    assert texts.count("tick") >= 2
    for bad in ("stream=both", "lines=x", "lines=2001", "since=yesterday", "follow=yes"):
        assert viewer.get(f"{path}?{bad}").status_code == 400, bad


def test_output_of_a_unit_that_ends_is_over(
    web: Web, folder: Program, lasting_broker: Broker, tmp_path: Path
) -> None:
    """Who follows is told, and so is who asks for one that is silent."""
    settings = {"name": "short", "worker": {"command": ["sh", "-c", TALK]}}
    toml = {**settings, "redis": {"url": lasting_broker.url}}
    with Program(toml, directory=tmp_path) as program:
        program.wait_state("RUNNING")
        wait_until(lambda: web.client().get("/api/units/short").status_code == 200, 5, "it")
        with lines_of(web.client(), "GET", "/api/units/short/logs?follow=1&lines=1") as told:
            next(told)
            command(web, "end", "short")
            assert program.wait_exit() == 0
            ended = next(one for one in told if "ended" in one)
            assert ended["name"] == "short"
    Ghosts(lasting_broker).write("dumb")
    wait_until(lambda: web.client().get("/api/units/dumb").status_code == 200, 5, "it")
    with lines_of(web.client(), "GET", "/api/units/dumb/logs") as told:
        assert [one.get("name") for one in told] == ["dumb"]
    Ghosts(lasting_broker).strike("dumb")
