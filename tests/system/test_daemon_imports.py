"""What a daemon loads, and what it doesn't: redis-py costs time and memory."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

from tests.conftest import BROKERS, settings
from tests.tools import Broker, Program
from tests.tools.sentinels import Sentinels
from tests.tools.toml import to_toml

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


JUDGE = "_pydantic_core"
"""The library by which settings are judged, as it is mapped into a process."""


def is_judged_here(unit: Program) -> bool:
    """Tell whether the daemon itself has loaded what judges settings."""
    return JUDGE in Path(f"/proc/{unit.pid}/maps").read_text()


def test_a_daemon_has_its_settings_judged_elsewhere(broker: Broker, tmp_path: Path) -> None:
    """When it starts and with each reload, right or wrong; nobody is left of it."""
    toml = settings("tests.workers:obedient", broker.url)
    with Program(toml, directory=tmp_path / "unit") as unit:
        unit.wait_state("READY")
        assert not is_judged_here(unit)
        children = len(unit.descendants())

        (unit.directory / "statusd.toml").write_text(to_toml({**toml, "tags": ["new"]}))
        unit.signal(signal.SIGHUP)
        assert unit.wait_logged("reload.done")["changed"] == ["tags"]
        (unit.directory / "statusd.toml").write_text("name = 3\n")
        unit.signal(signal.SIGHUP)
        refused = unit.wait_logged("reload.refused")["reason"]

        assert "name: a text is wanted" in refused
        assert not is_judged_here(unit)
        assert len(unit.descendants()) == children


def test_a_folders_daemon_has_its_settings_judged_elsewhere(broker: Broker, tmp_path: Path) -> None:
    """All files by one process."""
    units = {name: {"name": name, "worker": {"command": ["sleep", "60"]}} for name in "abc"}
    shared = {"redis": {"url": broker.url}, "log": {"format": "json"}}
    with Program(shared, directory=tmp_path / "host", units=units) as host:
        for name in units:
            host.wait_logged("state.changed", unit=name, new="READY")
        assert not is_judged_here(host)


ALONE = """\
import sys
from statusd.cli import main
from statusd.daemon import judging
judging._PROGRAM = "/nowhere/judge.py"
sys.argv[1:4] = []  # what it stands before: python -m statusd
sys.exit(main())
"""


def test_a_daemon_judges_itself_where_nobody_else_does(broker: Broker, tmp_path: Path) -> None:
    """The other process dies at once, with each question; all is as ever, and only heavier."""
    toml = settings("tests.workers:obedient", broker.url)
    with Program(toml, directory=tmp_path / "unit", below=(sys.executable, "-c", ALONE)) as unit:
        unit.wait_state("READY")
        assert is_judged_here(unit)

        (unit.directory / "statusd.toml").write_text(to_toml({**toml, "tags": ["new"]}))
        unit.signal(signal.SIGHUP)
        assert unit.wait_logged("reload.done")["changed"] == ["tags"]
