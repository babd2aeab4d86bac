"""A unit that has ended begins again when somebody wants it, and only then."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from typing import Any

from statusd import AsyncFleet, Fleet
from tests.conftest import settings
from tests.system.commands import statusd
from tests.system.test_folder import Start, documents, named, sent, start, unit, wait_states
from tests.tools import Broker, Journal, Program
from tests.tools.unix import connect
from tests.tools.waiting import wait_until

__all__ = ["start"]


def launch(broker: Broker, name: str, **more: Any) -> None:
    """Say it on the namespace's own channel."""
    message = {"control": "launch", "target": {"name": name}, **more}
    broker.client().publish("statusd:control", json.dumps(message))


def finals(journal: Journal, command_id: str) -> list[dict[str, Any]]:
    """Return the final verdicts to that command."""
    return [one for one in journal.finals() if one.get("id") == command_id]


def test_an_ended_unit_is_launched_by_command(
    start: Start, broker: Broker, journal: Journal
) -> None:
    """With a new boot; done when its worker is ready; noop for one that lives."""
    program = start(named("a", "b"))
    wait_states(broker, a="READY", b="READY")
    boot = documents(broker)["a"]["boot"]
    assert sent(broker, "end", "--name", "a") == {"a": "done"}
    launch(broker, "a", id="one", by="ops")
    (answer,) = wait_until(lambda: finals(journal, "one"), 10, "the final verdict")
    assert (answer["name"], answer["verdict"]) == ("a", "done")
    assert answer["boot"] > boot
    wait_states(broker, a="READY", b="READY")
    assert program.wait_logged("unit.launched", unit="a")["by"] == "ops"
    launch(broker, "a", id="two")
    (answer,) = wait_until(lambda: finals(journal, "two"), 10, "the final verdict")
    assert (answer["verdict"], answer["reason"]) == ("noop", "it lives already")
    assert sent(broker, "start") == {"a": "done", "b": "done"}
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0


def test_a_launch_is_durable(start: Start, broker: Broker, journal: Journal) -> None:
    """For a daemon that is away, too; once; what has expired is told, and begins nothing."""
    units = named("a", "b")
    program = start(units)
    wait_states(broker, a="READY", b="READY")
    assert sent(broker, "end", "--name", "a") == {"a": "done"}
    client = broker.client()
    message = {"control": "launch", "target": {"name": "a"}, "id": "one"}
    client.xadd("statusd:commands", {"command": json.dumps(message)})
    wait_until(lambda: finals(journal, "one"), 10, "the final verdict")
    wait_states(broker, a="READY", b="READY")
    assert sent(broker, "end", "--name", "a") == {"a": "done"}
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0

    late = {**message, "id": "late", "expires": "2020-01-01T00:00:00Z"}
    client.xadd("statusd:commands", {"command": json.dumps(late)})
    client.xadd("statusd:commands", {"command": "pause"})
    client.xadd("statusd:commands", {"command": json.dumps({**message, "id": "two"})})
    start(units)
    (answer,) = wait_until(lambda: finals(journal, "two"), 10, "the final verdict")
    assert (answer["verdict"], answer["name"]) == ("done", "a")
    assert [one["verdict"] for one in finals(journal, "late")] == ["expired"]
    assert len(finals(journal, "one")) == 1


def test_who_ends_a_unit_by_its_socket_is_told_that_it_has(start: Start, broker: Broker) -> None:
    """The last verdict to an END that takes its time waits for the disk; so does the socket."""
    step = {"command": ["sh", "-c", "trap 'sleep 0.4; exit 0' TERM; while :; do sleep 0.05; done"]}
    program = start({"a": {"name": "a", "worker": step}, **named("b")})
    wait_states(broker, a="RUNNING", b="READY")
    (path,) = program.directory.rglob("*:a.sock")

    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connect(connection, path)
        connection.sendall(b'{"command": "end", "id": "last"}\n')
        with connection.makefile("rb") as answers:
            said = [json.loads(line)["verdict"] for line in answers]

    assert said == ["accepted", "done"]


def test_the_socket_of_the_daemon_launches(start: Start, broker: Broker) -> None:
    """Whoever is on the host is answered on his own connection, to the final verdict."""
    program = start(named("a", "b"))
    wait_states(broker, a="READY", b="READY")
    sent(broker, "end", "--name", "a")
    path = program.directory / "statusd" / "statusd:hall.daemon"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connect(connection, path)
        answers = connection.makefile()
        for line in ("nonsense", json.dumps({"control": "launch", "target": {"name": "b"}})):
            connection.sendall(f"{line}\n".encode())
            assert "error" in json.loads(answers.readline())
        connection.sendall(json.dumps({"control": "launch"}).encode() + b"\n")
        verdicts = [json.loads(answers.readline())["verdict"] for _ in range(2)]
        assert verdicts == ["accepted", "done"]
        wait_states(broker, a="READY", b="READY")
        sent(broker, "end")
        connection.sendall(json.dumps({"control": "launch"}).encode() + b"\n")
        told = [json.loads(answers.readline()) for _ in range(4)]
        done = sorted(one["name"] for one in told if one["verdict"] == "done")
    assert done == ["a", "b"]  # each of those that one command has launched
    wait_states(broker, a="READY", b="READY")


def test_several_are_launched_past_the_broker(start: Start, broker: Broker) -> None:
    """By the sockets of their daemon; one that lives says so; a daemon without any listens, too."""
    program = start(named("a-1", "a-2", "b"))
    ready = {"a-1": "READY", "a-2": "READY", "b": "READY"}
    wait_states(broker, **ready)
    env = {"XDG_RUNTIME_DIR": str(program.directory)}
    assert sent(broker, "end") == dict.fromkeys(ready, "done")

    done = statusd("launch", "a-*", "--socket", "--json", env=env)
    assert done.returncode == 0
    found = {one["name"]: one["verdict"] for one in json.loads(done.stdout)["units"]}
    assert found == {"a-1": "done", "a-2": "done"}
    done = statusd("launch", "a-1", "b", "--socket", "--json", env=env)
    found = {one["name"]: one["verdict"] for one in json.loads(done.stdout)["units"]}
    assert found == {"a-1": "noop", "b": "done"}
    wait_states(broker, **ready)

    assert statusd("launch", "c", "--socket", env=env).returncode == 5
    assert statusd("launch", "--tag", "x", "--socket", env=env).returncode == 64
    assert statusd("launch", "a", "--socket", "/nowhere", env=env).returncode == 69


def test_one_launch_for_several_is_answered_for_each(start: Start, broker: Broker) -> None:
    """On the connection by which it came, to the final verdicts."""
    program = start(named("a", "b", "c"))
    wait_states(broker, a="READY", b="READY", c="READY")
    sent(broker, "end")
    path = program.directory / "statusd" / "statusd:hall.daemon"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connect(connection, path)
        connection.sendall(b'{"control": "launch", "id": "all"}\n')
        with connection.makefile() as answers:
            told = [json.loads(answers.readline()) for _ in range(6)]
    final = {one["name"] for one in told if one["verdict"] == "done"}
    assert final == {"a", "b", "c"}


def test_what_can_not_begin_is_refused_and_rests_on(
    start: Start, broker: Broker, journal: Journal
) -> None:
    """Its name is held elsewhere; a worker that can't be started; then it is mended."""
    bad = unit("blocked", name="a")
    program = start({"a": bad, "b": unit(name="b")})
    wait_states(broker, a="READY", b="READY")
    sent(broker, "end", "--name", "a")
    other = start(named("a"), where="other", daemon={"name": "other"})
    wait_states(broker, a="READY", b="READY")
    for number in range(2):
        launch(broker, "a", id=f"held{number}")
        found = wait_until(lambda n=number: finals(journal, f"held{n}"), 20, "the verdict")  # type: ignore[misc]  # mypy doesn't know defaults of lambdas
        told = {one["verdict"]: one.get("reason", "") for one in found}
        assert "is alive" in told.get("refused", "") or told == {"noop": "it lives already"}
        wait_until(lambda: program.logged("unit.not_launched", unit="a"), 10, "the refusal")
    other.signal(signal.SIGTERM)
    assert other.wait_exit() == 0
    launch(broker, "a", id="free")
    wait_until(lambda: finals(journal, "free"), 10, "the verdict")
    wait_states(broker, a="READY", b="READY")


def test_a_launch_takes_the_settings_of_the_last_reload(
    start: Start, broker: Broker, journal: Journal
) -> None:
    """Also those that a living unit can't change to; its channels are heard."""
    program = start(named("a", "b"))
    wait_states(broker, a="READY", b="READY")
    sent(broker, "end", "--name", "a")
    file = program.directory / "units" / "a.toml"
    file.write_text(
        'name = "a"\ngoal = "RUNNING"\n[control]\nchannels = ["fresh"]\n'
        '[worker]\nfunction = "tests.workers:obedient"\n'
    )
    program.signal(signal.SIGHUP)
    program.wait_logged("reload.done")
    launch(broker, "a", id="one")
    wait_states(broker, a="RUNNING", b="READY")
    broker.client().publish("fresh", "pause")
    wait_states(broker, a="PAUSED", b="READY")


def test_a_plain_word_launches_unless_it_is_the_lifecycles(
    start: Start, broker: Broker, journal: Journal
) -> None:
    """A lifecycle that has a trigger called launch keeps it."""
    own = """
name = "rocket"
[worker]
function = "tests.workers:blocked"
[lifecycle]
states = ["INIT", "READY", { name = "FLYING", worker = "works" }, "END"]
transitions = [
  { trigger = "ready", source = "INIT", dest = "READY" },
  { trigger = "end", source = "*", dest = "END" },
  { trigger = "launch", source = "READY", dest = "FLYING" },
  { trigger = "land", source = "FLYING", dest = "READY" },
]
"""
    program = start({"rocket": own, "a": unit(name="a")})
    wait_states(broker, rocket="READY", a="READY")
    client = broker.client()
    assert sent(broker, "launch", "--name", "rocket") == {"rocket": "done"}
    wait_states(broker, rocket="FLYING", a="READY")
    assert sent(broker, "end") == {"a": "done", "rocket": "done"}
    client.publish("statusd:control", "launch")
    wait_states(broker, a="READY")
    assert not program.logged("unit.launched", unit="rocket")
    launch(broker, "rocket", id="one")
    wait_until(lambda: finals(journal, "one"), 10, "the verdict")
    wait_states(broker, rocket="READY", a="READY")


def test_a_unit_that_rests_is_told_of_by_the_next_daemon(start: Start, broker: Broker) -> None:
    """Its document names who can launch it, and who has ended it; its lifecycle is there, too."""
    first = start(named("a"))
    wait_states(broker, a="READY")
    sent(broker, "end", "--name", "a")
    first.signal(signal.SIGTERM)
    first.wait_exit()
    before = Fleet(broker.url).lifecycle("a")
    broker.client().delete("statusd:status:{a}", "statusd:lifecycle:{a}")
    start(named("a"))
    wait_states(broker, a="END")
    document = documents(broker)["a"]
    assert document["daemon"] == "hall"
    assert document["ended"]["by"]
    assert before
    assert wait_until(lambda: Fleet(broker.url).lifecycle("a"), 5, "its lifecycle") == before


def test_the_verbs_launch_and_restart(start: Start, broker: Broker) -> None:
    """By name, with or without the host; who lives is left alone; a lone unit isn't ended."""
    program = start(named("a", "b@here"))
    wait_states(broker, **{"a": "READY", "b@here": "READY"})
    boots = {name: one["boot"] for name, one in documents(broker).items()}
    url = ("--url", broker.url)

    def typed(*words: str) -> tuple[int, str]:
        done = statusd(*words, *url)
        return done.returncode, done.stdout + done.stderr

    sent(broker, "end", "--name", "a")
    code, said = typed("launch", "a", "b")
    assert (code, "launch: 2 done" in said) == (0, True), said
    assert typed("restart", "*")[0] == 0
    now = {name: one["boot"] for name, one in documents(broker).items()}
    assert all(now[name] > boot for name, boot in boots.items())
    assert typed("launch", "nobody")[0] == 5
    assert typed("launch")[0] == typed("restart")[0] == 64

    sent(broker, "end")
    assert typed("restart", "b")[0] == 0  # what has ended is only launched
    program.signal(signal.SIGTERM)
    program.wait_exit()
    with Program(settings("tests.workers:blocked", broker.url), directory=program.directory):
        wait_states(broker, unit="READY")
        code, said = typed("restart", "unit")
        assert (code, "nothing was ended" in said) == (5, True)
        sent(broker, "end", "--name", "unit")
        wait_states(broker, unit="END")
    code, said = typed("launch", "unit")
    assert (code, "statusd run FILE" in said) == (5, True)


def test_a_fleet_launches(start: Start, broker: Broker) -> None:
    """From Python: a report."""
    start(named("a", "b"))
    wait_states(broker, a="READY", b="READY")
    with Fleet(broker.url) as fleet:
        fleet.send("end", name="a")
        report = fleet.launch(name="a")
        assert [(one.name, one.verdict) for one in report.outcomes] == [("a", "done")]
        assert report.exit_code == 0

    async def again() -> int:
        async with AsyncFleet(broker.url) as fleet:
            return (await fleet.launch(name="a")).exit_code

    assert asyncio.run(again()) == 0
