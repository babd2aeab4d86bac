"""`statusd status` and `history` on units as they stand in Redis: who is shown, and who is gone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from statusd.cli.zones import local
from tests.system.commands import statusd
from tests.tools import Broker, environment, wait_until
from tests.tools.terminal import Terminal


def rfc3339(ago_s: float) -> str:
    """Return that time, as a daemon writes it."""
    return (datetime.now(UTC) - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def put(broker: Broker, name: str, state: str, *, ago_s: float = 0, **more: Any) -> None:
    """Put a unit into Redis as its daemon does; one in LOST has no document."""
    entry = {"boot": 5, "left": state == "END", "seen": rfc3339(ago_s)}
    document = {"boot": 5, "state": state, "text": "", "worker": {"beats": 1}, **more}
    broker.client().hset("statusd:roster", name, json.dumps(entry))
    if state != "LOST":
        broker.client().set(f"statusd:status:{{{name}}}", json.dumps(document))


def test_the_dead_of_before_today_fold_on_a_terminal(broker: Broker, tmp_path: Path) -> None:
    """Into one line; `--all` shows them, and so does a pipe, which scripts read."""
    put(broker, "living", "RUNNING")
    for name in ("old-1", "old-2"):
        put(broker, name, "END", ago_s=2 * 86400)
    statusd_ = [sys.executable, "-m", "statusd", "status", "--url", broker.url]

    with Terminal(statusd_, environment(tmp_path)) as terminal:
        folded = terminal.wait("--all")
    with Terminal([*statusd_, "--all"], environment(tmp_path)) as terminal:
        every = terminal.wait("old-2")
    piped = statusd("status", "--url", broker.url).stdout

    assert "living" in folded
    assert "and 2 units that have ended before today: --all" in folded
    assert "old-1" not in folded
    assert "old-1" in every
    assert "before today" not in every
    assert [row.split()[0] for row in piped.splitlines()] == ["NAME", "living", "old-1", "old-2"]


def test_units_are_chosen_and_forgotten_by_their_state(broker: Broker) -> None:
    """All who are in it, if none of them lives; nobody else is touched."""
    put(broker, "living", "RUNNING")
    put(broker, "lost", "LOST")
    for name in ("done-1", "done-2"):
        put(broker, name, "END")
    url = ("--url", broker.url)

    shown = statusd("status", "--state", "end", "--state", "LOST", "--json", *url)
    alive = statusd("status", "--forget", "--state", "RUNNING", "--state", "END", *url)
    whom = statusd("status", "--forget", *url)
    forgotten = statusd("status", "--forget", "--state", "END", *url)
    nobody = statusd("status", "--forget", "--state", "END", *url)
    rest = statusd("status", "--json", *url)

    assert [unit["name"] for unit in json.loads(shown.stdout)] == ["done-1", "done-2", "lost"]
    assert (alive.returncode, alive.stdout) == (5, "")
    assert "living is alive" in alive.stderr
    assert (whom.returncode, nobody.returncode) == (64, 5)
    assert "in the state END" in nobody.stderr
    assert forgotten.stdout.splitlines() == ["done-1 is forgotten", "done-2 is forgotten"]
    assert [unit["name"] for unit in json.loads(rest.stdout)] == ["living", "lost"]


def test_what_is_watched_as_json_is_a_line_a_change(broker: Broker, tmp_path: Path) -> None:
    """A unit as it is, once; then whoever has changed, not who has only given a sign of life."""
    put(broker, "a", "READY")
    put(broker, "b", "READY")
    output = tmp_path / "output"
    command = [sys.executable, "-m", "statusd", "status", "--watch", "--json", "--url", broker.url]

    def lines() -> list[dict[str, Any]]:
        return [json.loads(row) for row in output.read_text().splitlines()]

    with (
        output.open("wb") as file,
        subprocess.Popen(command, env=environment(tmp_path), stdout=file) as process,
    ):
        try:
            wait_until(lambda: len(lines()) == 2, 15, "the first look")
            put(broker, "a", "READY", worker={"beats": 7}, canary_ms=0.7)
            put(broker, "b", "RUNNING")
            wait_until(lambda: len(lines()) > 2, 15, "the change")
            broker.client().delete("statusd:status:{a}")
            broker.client().hdel("statusd:roster", "a")
            wait_until(lambda: len(lines()) > 3, 15, "that it is gone")
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 130
        finally:
            process.kill()

    assert [(line["name"], line["state"]) for line in lines()] == [
        ("a", "READY"),
        ("b", "READY"),
        ("b", "RUNNING"),
        ("a", None),
    ]


@pytest.mark.parametrize(
    ("since", "listed"),
    [("5m", ["4"]), ("2h", ["3", "4"]), ("3d", ["2", "3", "4"]), ("", ["1", "2", "3", "4"])],
)
def test_a_history_begins_when_one_says(since: str, listed: list[str], broker: Broker) -> None:
    """As long ago as one types; in words it is local time, in JSON it is UTC."""
    put(broker, "a", "READY")
    ages = {1: 4 * 86400, 2: 86400, 3: 3600, 4: 60}
    for number, ago_s in ages.items():
        event = {"event": f"5-{number}", "name": "a", "boot": 5, "at": rfc3339(ago_s)}
        broker.client().xadd("statusd:history:{a}", {"event": json.dumps(event)}, id=f"5-{number}")
    words = ("history", "a", "--url", broker.url, *(("--since", since) if since else ()))

    as_json = [json.loads(row) for row in statusd(*words, "--json").stdout.splitlines()]
    told = statusd(*words).stdout.splitlines()
    in_utc = statusd(*words, "--utc").stdout.splitlines()

    assert [event["event"].removeprefix("5-") for event in as_json] == listed
    ats = [event["at"] for event in as_json]
    assert [row.split()[0] for row in told] == [local(at) for at in ats]
    assert [row.split()[0] for row in in_utc] == ats
