"""What a daemon loads, and what it doesn't: redis-py costs time and memory."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import BROKERS, settings
from tests.tools import Broker, Program
from tests.tools.sentinels import Sentinels

TELLS = {"PYTHONPROFILEIMPORTTIME": "1"}
"""Lets Python say on standard error whatever it loads."""


def loaded(unit: Program) -> set[str]:
    """Return the packages that a daemon, and its worker, have loaded by now."""
    unit.wait_logged("link.up", link="hears")
    return set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\w+)", unit.output(), re.MULTILINE))


def test_a_daemon_with_a_plain_url_loads_nothing_of_redis_py(
    broker: Broker, tmp_path: Path
) -> None:
    """From its start until it listens, and on to its end."""
    toml = settings("tests.workers:obedient", broker.url)
    with Program(toml, directory=tmp_path / "unit", env=TELLS) as unit:
        found = loaded(unit)
        broker.client().publish("mychannel", "end")
        assert unit.wait_exit(15) == 0

        assert {"hiredis", "statusd"} <= found
        assert "redis" not in loaded(unit)


def test_a_daemon_with_a_broker_of_its_own_loads_nothing_of_redis_py(tmp_path: Path) -> None:
    """It is told by the broker's log that it listens."""
    toml = settings("tests.workers:obedient", "redis://127.0.0.1:6379/0")
    program = Program(toml, directory=tmp_path / "unit", args=["--embedded"], env=TELLS)
    with program as unit:
        found = loaded(unit)

        assert {"hiredis", "statusd"} <= found
        assert "redis" not in found


def test_sentinels_are_asked_by_redis_py(tmp_path: Path) -> None:
    """Which is loaded for that; so the other tests here would see it."""
    with Sentinels(BROKERS["valkey"]) as sentinels:
        toml = settings("tests.workers:obedient", sentinels.url)
        with Program(toml, directory=tmp_path / "unit", env=TELLS) as unit:
            assert "redis" in loaded(unit)
