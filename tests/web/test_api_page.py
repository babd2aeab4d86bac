"""The lines of docs/api.md, typed against a real server and a unit that works."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.tools import Broker, wait_until
from tests.tools.pages import block, shell_lines
from tests.tools.web import Web

AUTH = 'auth="Authorization: Bearer $(cat web.token)"'
PAUSE = """curl -s -N -H "$auth" -H "Content-Type: application/json" -d \
'{"command": "pause", "target": {"name": ["counter"]}}' http://127.0.0.1:9460/api/commands"""
EVENTS = 'curl -s -N -m 2 -H "$auth" "http://127.0.0.1:9460/api/events"'


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl isn't installed")
def test_the_api_answers_as_the_page_says(broker: Broker, run: Run, tmp_path: Path) -> None:
    """Each line in its order: who asks, the fleet, a unit in full, a command, what is new."""
    unit = run("statusd.examples.counter:main", broker.url, name="counter", goal="RUNNING")
    unit.wait_state("RUNNING")
    folder = tmp_path / "typed"
    with Web(broker.url, directory=folder) as web:
        (folder / "web.token").write_text(web.token)
        client = web.client()
        wait_until(lambda: client.get("/api/units").json()["units"], 10, "the unit to be known")
        wait_until(
            lambda: client.get("/api/units/counter/lifecycle").status_code == 200, 10, "its states"
        )

        def typed(line: str) -> str:
            line = line.replace("http://127.0.0.1:9460", web.base)
            if not line.startswith("auth="):
                line = f"{AUTH}\n{line}"
            shell = ["bash", "-c", line]
            done = subprocess.run(
                shell, cwd=folder, capture_output=True, text=True, timeout=20, check=False
            )
            return done.stdout

        looking = shell_lines(block("docs/api.md", AUTH))[1:]
        me, units, one, history, lifecycle, logs = map(typed, looking)
        pause, dry = map(typed, shell_lines(block("docs/api.md", PAUSE)))
        news = typed(block("docs/api.md", EVENTS))

    assert json.loads(me)["may_command"] is True
    assert [unit["name"] for unit in json.loads(units)["units"]] == ["counter"]
    assert json.loads(one)["curve"]
    assert [event["new"] for event in json.loads(history)] == ["READY", "RUNNING"]
    assert "RUNNING" in [node["name"] for node in json.loads(lifecycle)["nodes"]]
    assert all(line["name"] == "counter" for line in rows(logs))
    asked, outcome, report = rows(pause)
    assert asked["asked"] == [{"name": "counter", "state": "RUNNING"}]
    assert (outcome["outcome"]["verdict"], report["report"]["done"]) == ("done", ["counter"])
    assert json.loads(dry) == {"asked": [], "lost": []}
    assert news.startswith("retry:")


def rows(lines: str) -> list[dict[str, Any]]:
    """Return a JSON object a line."""
    return [json.loads(line) for line in lines.splitlines()]
