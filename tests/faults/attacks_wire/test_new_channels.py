"""What others may say, and no unit ends or falls silent by it: new channels."""

from __future__ import annotations

import json
import signal
import time
from functools import partial
from typing import Any

import pytest

from tests.conftest import Run, settings
from tests.faults.attacks_wire.attacked import denying, is_done, up
from tests.faults.outages import lines
from tests.tools import Broker, Journal, Program, wait_until
from tests.tools.toml import to_toml


def rewrite(unit: Program, broker: Broker, channels: list[str], **more: Any) -> None:
    """Write other channels into the unit's file, and tell it."""
    toml = settings("tests.workers:obedient", broker.url, control={"channels": channels}, **more)
    (unit.directory / "statusd.toml").write_text(to_toml(toml), encoding="utf-8")
    unit.signal(signal.SIGHUP)


def is_reloaded(unit: Program, before: int) -> bool:
    """Tell whether there were more than so many reloads."""
    return len(lines(unit, "reload.done")) > before


@pytest.mark.fault("X26")
def test_a_reload_is_done_when_its_channels_are_heard(broker: Broker, run: Run) -> None:
    """Again and again, at any moment of the read of the stream: no word after it is lost."""
    unit = up(run, broker.url)
    client = broker.client()
    with Journal(client) as journal:
        for n in range(12):
            began = time.monotonic()
            rewrite(unit, broker, ["mychannel", f"new{n}", f"lab{n}.*"])
            wait_until(partial(is_reloaded, unit, n), 10, "the reload")
            assert client.publish(f"new{n}", json.dumps({"command": "ping", "id": f"a{n}"})) == 1
            assert client.publish(f"lab{n}.x", json.dumps({"command": "ping", "id": f"b{n}"})) == 1
            took_s = time.monotonic() - began
            assert took_s < 1.0
            wait_until(partial(is_done, journal, f"b{n}"), 10, "the answer")
            wait_until(partial(is_done, journal, f"a{n}"), 10, "the answer")
    assert unit.logged("link.lost") is None


@pytest.mark.fault("X26")
def test_without_the_right_to_unblock_it_is_done_a_little_later(broker: Broker, run: Run) -> None:
    """When the read of the stream has ended by itself; nothing is lost then either."""
    client = broker.client()
    url = denying(broker, "-client|unblock")
    unit = up(run, url)
    for n in range(3):
        rewrite(unit, broker, ["mychannel", f"new{n}"], redis={"url": url})
        wait_until(partial(is_reloaded, unit, n), 10, "the reload")
        assert client.publish(f"new{n}", "ping") == 1
    assert unit.logged("link.lost") is None


@pytest.mark.fault("X26")
def test_a_reload_without_a_broker_is_done_and_says_so(broker: Broker, run: Run) -> None:
    """The channels are heard with the next connection, and the gap tells what was missed."""
    unit = up(run, broker.url)
    broker.kill()
    unit.wait_logged("link.lost", link="hears")

    rewrite(unit, broker, ["mychannel", "new"])

    assert "when the broker is there" in unit.wait_logged("reload.done")["then"]
    broker.start()
    wait_until(lambda: broker.client().publish("new", "start") == 1, 15, "a listener")
    unit.wait_state("RUNNING")
