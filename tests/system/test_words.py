"""A word on a channel steers a real job: the real program, a real broker, a real worker."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.system.commands import statusd
from tests.tools import Broker, Journal, check, wait_until


def said(journal: Journal, **fields: Any) -> dict[str, Any] | None:
    """Return the first verdict with those fields, or None."""
    return next((v for v in journal.verdicts() if fields.items() <= v.items()), None)


def test_the_story_of_the_readme_is_true(each_broker: Broker, run: Run) -> None:
    """start, PAUSE, running, END from plain PUBLISH: each obeyed, answered, recorded."""
    client = each_broker.client()
    with Journal(client) as journal:
        unit = run("tests.workers:obedient", each_broker.url)
        unit.wait_state("READY")
        for word, state in (("start", "RUNNING"), ("PAUSE", "PAUSED"), (" running\n", "RUNNING")):
            unit.wait_logged("link.up", link="hears")
            client.publish("mychannel", word)
            wait_until(partial(said, journal, verdict="done", command=word.strip()), 15, word)
            assert unit.wait_state(state)["source"] == "redis:mychannel"
        client.publish("mychannel", "END")

        code = unit.wait_exit(15)

        assert code == 0
        wait_until(lambda: said(journal, verdict="done", command="END"), 15, "END done")
        moves = [(e["old"], e["trigger"], e["new"]) for e in journal.events()]
        assert moves == [
            ("INIT", "ready", "READY"),
            ("READY", "start", "RUNNING"),
            ("RUNNING", "pause", "PAUSED"),
            ("PAUSED", "resume", "RUNNING"),
            ("RUNNING", "end", "ENDING"),
            ("ENDING", "exited", "END"),
        ]
        assert [v["verdict"] for v in journal.verdicts()] == ["accepted", "done"] * 4
        assert check([], journal, units=["unit"]) == []
        assert unit.leftovers() == []


@pytest.mark.fault("J16")
def test_each_way_to_send_is_obeyed(broker: Broker, journal: Journal, run: Run) -> None:
    """The same unit hears redis-py, `statusd send`, and the namespace's own channel (J16).

    On a channel, in a stream and on a socket a word may be a JSON string behind a mark.
    """
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")
    unit.wait_logged("link.up", link="hears")

    sent = statusd("send", "pause", "--url", broker.url)
    unit.wait_state("PAUSED")
    broker.client().publish("statusd:control", '\ufeff"resume"')
    unit.wait_state("RUNNING")
    broker.client().xadd("statusd:commands", {"command": '"PAUSE"\n'})
    unit.wait_state("PAUSED")
    ended = statusd("send", "end", "--url", broker.url, "-c", "mychannel", "--name", "u*")

    assert unit.wait_exit(15) == 0
    assert (sent.returncode, sent.stdout) == (
        0,
        "sent pause to statusd:control: 1 unit listening\n",
    )
    assert ended.returncode == 0
    pause = wait_until(lambda: said(journal, command="pause", verdict="done"), 15, "pause done")
    assert pause["source"] == "redis:statusd:control"
    assert "@" in next(e["by"] for e in journal.events() if e["trigger"] == "pause")


def test_the_log_tells_each_transition_and_its_source(broker: Broker, run: Run) -> None:
    """Old, new, trigger and where it came from stand in one line."""
    unit = run("tests.workers:blocked", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")

    broker.client().publish("mychannel", "start")

    line = unit.wait_logged("state.changed", new="RUNNING")
    assert (line["old"], line["trigger"], line["source"]) == ("READY", "start", "redis:mychannel")


def test_two_units_obey_one_channel(broker: Broker, journal: Journal, run: Run) -> None:
    """END on the common channel ends both, and both answer under their own name."""
    units = [run("tests.workers:obedient", broker.url, name=name) for name in ("one", "two")]
    for unit in units:
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")

    heard = broker.client().publish("mychannel", "END")

    assert heard == 2
    assert [unit.wait_exit(15) for unit in units] == [0, 0]
    wait_until(lambda: len(journal.finals()) == 2, 15, "two final verdicts")
    assert {v["name"] for v in journal.finals()} == {"one", "two"}
    assert check([], journal, units=["one", "two"]) == []


def test_a_target_narrows_whom_a_command_is_for(broker: Broker, journal: Journal, run: Run) -> None:
    """Who is not meant stays silent and as it is."""
    units = {
        name: run("tests.workers:obedient", broker.url, name=name, tags=[name[:3]])
        for name in ("gpu-1", "cpu-1")
    }
    for unit in units.values():
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")

    sent = statusd("send", "start", "--url", broker.url, "--tag", "gpu")

    units["gpu-1"].wait_state("RUNNING")
    statusd("send", "status", "--url", broker.url, "--name", "cpu-*")
    answer = wait_until(lambda: said(journal, command="status"), 15, "the answer to status")
    assert sent.returncode == 0
    assert answer["status"]["state"] == "READY"
    assert {v["name"] for v in journal.verdicts() if v["command"] == "start"} == {"gpu-1"}


@pytest.mark.parametrize("channel", ["one", "room.7"])
def test_one_unit_hears_three_channels_and_a_pattern(
    channel: str, broker: Broker, journal: Journal, run: Run
) -> None:
    """Each of them steers it, and a message that fits twice counts once."""
    channels = ["one", "two", "three", "room.*", "r*", "t*"]
    unit = run("tests.workers:obedient", broker.url, control={"channels": channels})
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    client = broker.client()

    client.publish(channel, "reset")
    client.publish(channel, '{"command": "start", "id": "a"}')
    client.publish(channel, '{"command": "ping", "id": "b"}')

    wait_until(lambda: said(journal, id="b"), 15, "the answer to ping")
    wait_until(lambda: said(journal, id="a", verdict="done"), 15, "start to be done")
    assert [v["verdict"] for v in journal.verdicts() if v.get("id") == "a"] == ["accepted", "done"]
    assert unit.wait_state("RUNNING")["source"] == f"redis:{channel}"
    refused = [v for v in journal.verdicts() if v["verdict"] == "refused"]
    assert [v.get("count", 1) for v in refused] == [1]


def test_args_reach_the_worker_and_come_back_with_the_goal(broker: Broker, run: Run) -> None:
    """`--arg run=1234` stands in worker.args, also after a restart of the daemon."""
    unit = run("tests.workers:telling_args", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")

    statusd("send", "start", "--url", broker.url, "--arg", "run=1234")

    told = unit.directory / "args"
    wait_until(lambda: args_in(told) == {"run": "1234"}, 15, "the args")
    unit.signal(15)
    assert unit.wait_exit(15) == 0
    told.unlink()
    run("tests.workers:telling_args", broker.url)
    wait_until(lambda: args_in(told) == {"run": "1234"}, 15, "the args after the restart")


def args_in(file: Path) -> Any:
    """Return what `tests.workers.telling_args` wrote, or None."""
    return json.loads(file.read_text()) if file.exists() else None


def test_the_document_says_what_the_unit_is(broker: Broker, run: Run) -> None:
    """State, goal, progress and who was last stand in one JSON string with a time to live."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING", tags=["demo"])
    client = broker.client(decode_responses=True)
    key = "statusd:status:{unit}"

    def document() -> Any:
        return json.loads(client.get(key) or "null")

    wait_until(lambda: (document() or {}).get("progress"), 8, "a document with progress")

    shown = document()
    assert (shown["name"], shown["state"], shown["goal"]) == ("unit", "RUNNING", "RUNNING")
    assert shown["text"] == "working"
    assert shown["progress"]["total"] == 1000
    assert shown["worker"]["pid"] == unit.worker_pid()
    assert shown["allowed"] == ["pause", "stop", "end"]
    assert 0 < client.ttl(key) <= 10
    unit.signal(15)
    assert unit.wait_exit(15) == 0
    assert document()["state"] == "END"
    assert client.ttl(key) > 3600
