"""`worker.track` in a real worker: what everybody sees of it, and that it can be steered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Run
from tests.system.commands import statusd
from tests.tools import Broker, Journal, wait_until


def document(broker: Broker) -> Any:
    """Return the status document of the unit, or an empty one."""
    return json.loads(broker.client().get("statusd:status:{unit}") or "{}")


def progress(broker: Broker) -> Any:
    """Return what it says of its progress."""
    return document(broker).get("progress") or {}


@pytest.mark.parametrize("function", ["workers:tracking", "async_workers:tracking"])
def test_a_loop_as_tqdm_has_it_is_told_and_steered(
    function: str, broker: Broker, journal: Journal, run: Run
) -> None:
    """Unit, rate and time left stand in the document; PAUSED is seen, and END ends the loop."""
    unit = run(f"tests.{function}", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    wait_until(lambda: progress(broker).get("total") == 1000, 15, "the long loop")
    wait_until(lambda: progress(broker).get("left_s"), 15, "the time that is left")
    told = progress(broker)
    assert told["unit"] == "images"
    assert told["rate"] > 0
    assert 0 < told["left_s"] < 1000 / told["rate"] * 2

    broker.client().publish("mychannel", '{"command": "pause", "id": "p"}')
    wait_until(lambda: [v["verdict"] for v in journal.verdicts()][-1:] == ["done"], 15, "done")
    wait_until(lambda: document(broker)["observed"], 15, "the pause in the document")
    paused = progress(broker)
    assert 0 < paused["step"] < 1000
    assert paused["left_s"] > 0

    broker.client().publish("mychannel", '{"command": "resume", "id": "r"}')
    wait_until(lambda: progress(broker)["step"] > paused["step"], 15, "further images")
    broker.client().publish("mychannel", "end")
    assert unit.wait_exit(15) == 0
    ended = progress(broker)
    assert (ended["rate"], ended["left_s"]) == (None, None)
    assert ended["step"] < 1000


def test_status_shows_how_fast_it_is_and_how_long_it_takes(broker: Broker, run: Run) -> None:
    """In words in the table and of one unit, in numbers as JSON; what is logged is the text."""
    run("tests.workers:tracking", broker.url, goal="RUNNING")
    wait_until(lambda: progress(broker).get("left_s"), 15, "the time that is left")

    table, one, raw = (
        statusd("status", *more, "--url", broker.url).stdout
        for more in ([], ["unit"], ["--json", "unit"])
    )

    for shown in (table, one):
        assert " left, " in shown
        assert " images/s, " in shown
        assert "/1,000" in shown
    found = json.loads(raw)
    found = found[0]["document"] if isinstance(found, list) else found["document"]
    assert found["progress"]["unit"] == "images"
    assert found["progress"]["rate"] > 0
    assert found["text"].startswith("image ")
