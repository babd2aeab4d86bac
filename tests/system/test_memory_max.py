"""A worker that grows beyond `memory_max`: crash, pause, or told; all of its processes count."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conftest import Run
from tests.system.attach.programs import Start, start
from tests.tools import Broker, Journal, Program, wait_until

__all__ = ["start"]

REASON = re.compile(r"1\d\d(\.\d+)? MiB of memory, memory_max is 100 MiB")
QUICK = {"backoff_s": [0.05, 0.1], "kill_timeout_s": 0.5}
MOST = {"memory_max": "100MiB"}


def document(broker: Broker, name: str = "unit") -> dict[str, Any]:
    """Return the status document as it is now; empty if there is none."""
    found = broker.client().get(f"statusd:status:{{{name}}}")
    return json.loads(found) if found else {}


def resources(broker: Broker) -> dict[str, Any]:
    """Return what it says that the worker uses; nothing before that is known."""
    return (document(broker).get("worker") or {}).get("resources") or {}


def triggers(journal: Journal) -> list[str]:
    """Return the triggers of all events."""
    return [event["trigger"] for event in journal.events()]


def event(journal: Journal, trigger: str) -> dict[str, Any]:
    """Wait for the first event of that trigger."""

    def told() -> list[dict[str, Any]]:
        return [one for one in journal.events() if one["trigger"] == trigger]

    return wait_until(told, 15, trigger)[0]


@pytest.mark.parametrize("worker", ["growing", "with_a_growing_child"])
def test_it_crashes_and_is_started_again(
    worker: str, broker: Broker, journal: Journal, run: Run
) -> None:
    """With its cause, before the kernel has anything to do with it; nothing of it lives on."""
    unit = run(f"tests.workers:{worker}", broker.url, goal="RUNNING", worker={**MOST, **QUICK})
    (unit.directory / "grow").touch()

    reason = event(journal, "crash")["reason"]

    (unit.directory / "grow").unlink()
    assert REASON.match(reason)
    assert "next try in" in reason
    event(journal, "retry")
    wait_until(lambda: document(broker).get("state") == "RUNNING", 10, "it to run again")
    assert REASON.match(document(broker)["worker"]["death"]["reason"])
    assert document(broker)["trouble"] == ""


def test_it_pauses_and_may_go_on(broker: Broker, journal: Journal, run: Run) -> None:
    """It is asked for its pause once; what somebody says then is obeyed."""
    worker = {**MOST, "on_memory": "pause"}
    unit = run("tests.workers:growing", broker.url, goal="RUNNING", worker=worker)
    (unit.directory / "grow").touch()
    told = event(journal, "pause")
    pid = unit.worker_pid()

    (unit.directory / "grow").unlink()
    wait_until(lambda: document(broker)["state"] == "PAUSED", 10, "the pause")
    trouble = document(broker)["trouble"]
    broker.client().publish("mychannel", '{"command": "resume", "id": "r"}')
    shrunk = event(journal, "shrink")

    assert told["source"] == "daemon"
    assert REASON.fullmatch(told["reason"])
    assert REASON.fullmatch(trouble)
    assert re.fullmatch(r"\d+(\.\d)? MiB of memory again", shrunk["reason"])
    assert [(one["id"], one["verdict"]) for one in journal.finals()] == [("r", "done")]
    wait_until(lambda: document(broker)["trouble"] == "", 10, "no trouble any more")
    assert document(broker)["state"] == "RUNNING"
    assert unit.worker_pid() == pid


def test_it_is_told_of_once(broker: Broker, journal: Journal, run: Run) -> None:
    """An event, a line of the log and a trouble; the work goes on, and the numbers say the same."""
    worker = {**MOST, "on_memory": "tell"}
    unit = run("tests.workers:growing", broker.url, goal="RUNNING", worker=worker)
    (unit.directory / "grow").touch()

    told = event(journal, "grow")
    wait_until(lambda: document(broker)["trouble"], 10, "the trouble")
    seen = resources(broker)
    (unit.directory / "grow").unlink()
    event(journal, "shrink")

    assert (told["old"], told["new"]) == ("RUNNING", "RUNNING")
    assert REASON.fullmatch(told["reason"])
    assert REASON.fullmatch(unit.wait_logged("worker.grown")["reason"])
    assert triggers(journal).count("grow") == 1
    assert seen["memory"] > 100 * 2**20
    assert (seen["processes"], seen["pss"]) == (1, None)
    assert document(broker)["state"] == "RUNNING"


def test_what_processes_share_counts_once(broker: Broker, journal: Journal, run: Run) -> None:
    """Five of them have three times of what is allowed, and yet it is one page for all."""
    worker = {"memory_max": "180MiB", "on_memory": "crash"}
    unit = run("tests.workers:sharing_memory", broker.url, goal="RUNNING", worker=worker)

    wait_until(lambda: resources(broker).get("pss"), 15, "somebody to look closely")

    found = resources(broker)
    assert found["pss"] < 180 * 2**20 < found["memory"]
    assert found["processes"] == 6
    assert "crash" not in triggers(journal)
    assert document(broker)["state"] == "RUNNING"
    assert unit.logged("worker.grown") is None


def test_another_limit_is_taken_over(broker: Broker, journal: Journal, run: Run) -> None:
    """By SIGHUP, while it lives."""
    unit: Program = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")
    settings = (unit.directory / "statusd.toml").read_text()
    added = '[worker]\nmemory_max = "1MiB"\non_memory = "tell"\n'
    assert "[worker]\n" in settings
    (unit.directory / "statusd.toml").write_text(settings.replace("[worker]\n", added))

    unit.signal(1)

    assert event(journal, "grow")["reason"].endswith("memory_max is 1 MiB")


@pytest.mark.parametrize(("program", "trigger"), [("large", "grow"), ("large_pausing", "pause")])
def test_an_attached_program_is_never_killed(
    program: str, trigger: str, start: Start, broker: Broker, journal: Journal
) -> None:
    """It is told of, or told to wait, as it has said to `attach`; what it uses is shown."""
    parent = start(program)

    told = event(journal, trigger)

    assert told["reason"].endswith("of memory, memory_max is 2 MiB")
    found = wait_until(lambda: document(broker, "scan").get("trouble"), 10, "the trouble")
    assert found == told["reason"]
    uses = document(broker, "scan")["worker"]["resources"]
    assert uses["processes"] == 1
    assert uses["memory"] > 2 * 2**20
    broker.client().publish("mychannel", "end")
    assert parent.wait_exit() == 0
