"""Many units in one daemon on a real systemd: what systemd/README.md says of them is typed."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.ops.test_systemd import STATUSD, blocks, report
from tests.tools.machine import Machine
from tests.tools.ops import ROOT

UNIT = "statusd-host.service"
FOLDER = "/etc/statusd/units"
MANY = "Many units: "
PROBES = [f"probe-{number}" for number in range(1, 9)]
MOST_EXPOSED = 1.5
NEWER = "99.0"

pytestmark = pytest.mark.timeout(900)


class Host:
    """The daemon of the folder, on that machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.pid = ""

    def show(self, what: str) -> str:
        """Return a property of the service."""
        return self.machine.show(UNIT, what)

    def told(self) -> dict[str, Any]:
        """Return what `statusd health` says of the daemon; nothing if it isn't there."""
        said = self.machine.type(f"{STATUSD} health {FOLDER} --json", is_fine=None)
        found: list[dict[str, Any]] = json.loads(said).get("daemons", [])
        return found[0] if found else {}

    def states(self) -> dict[str, str]:
        """Return the state of each unit that lives."""
        return {unit["name"]: unit["state"] for unit in self.told().get("units", [])}

    def wait_for(self, states: dict[str, str], *, anew: bool = False) -> float:
        """Wait until exactly these units live, in these states.

        Args:
            anew: in a process that is another than at the last look.
        """
        before = self.pid

        def look() -> bool:
            told = self.told()
            found = {unit["name"]: unit["state"] for unit in told.get("units", [])}
            is_there = found == states and not told["not_started"]
            self.pid = str(told.get("pid", ""))
            return is_there and not (anew and self.pid == before)

        return self.machine.wait(look, f"{states}; now {self.told()}", 90)

    def boots(self) -> dict[str, int]:
        """Return the boot of each unit that lives: it tells one life from another."""
        return {unit["name"]: unit["boot"] for unit in self.told()["units"]}


@pytest.fixture(scope="module")
def host(machine: Machine) -> Host:
    """The daemon of a folder; what it needs is installed, and the broker asks for no password."""
    typed = dict(blocks(ROOT / "systemd" / "README.md"))
    machine.type(typed["Install"])
    machine.type("systemctl start redis-server; redis-cli config set requirepass ''")
    return Host(machine)


def test_all_that_an_operator_does_with_many_units_works(host: Host) -> None:
    """Start, look, reload, launch, break, stop, upgrade: ten units."""
    after = {
        "start": _started,
        "look": _looked,
        "reload": _reloaded,
        "launch": _launched,
        "break": _is_back,
        "stop": _is_back,
        "upgrade": _is_upgraded,
    }
    typed = []
    for heading, block in blocks(ROOT / "systemd" / "README.md"):
        if not heading.startswith(MANY):
            continue
        what = heading.removeprefix(MANY)
        if what == "upgrade":
            host.machine.type(
                f"sed -i.before 's/^version = .*/version = \"{NEWER}\"/' pyproject.toml"
            )
        began = time.monotonic()
        said = host.machine.type(block)
        report(what, time.monotonic() - began)
        typed.append(what)
        after[what](host, said)
    assert typed == list(after)


AS_STARTED = dict.fromkeys(["pump", "valve", *PROBES], "RUNNING")
AS_PAUSED = AS_STARTED | dict.fromkeys(PROBES, "PAUSED")
AS_RELOADED = {"pump": "RUNNING", "heater": "RUNNING", "probe-9": "RUNNING"} | dict.fromkeys(
    PROBES, "PAUSED"
)


def _started(host: Host, _: str) -> None:
    host.wait_for(AS_STARTED)
    said = host.machine.type("cd /etc/systemd/system; systemd-analyze verify --man=no " + UNIT)
    assert said == ""
    said = host.machine.type(f"systemd-analyze security --no-pager {UNIT}", is_fine=None)
    assert float(re.findall(r"exposure level for .*: ([0-9.]+)", said)[0]) <= MOST_EXPOSED
    assert host.machine.type(f"systemctl is-enabled {UNIT}").strip() == "enabled"
    assert host.machine.type(f"stat -c %U /proc/{host.pid}").strip() == "statusd"
    assert host.machine.type(f"stat -c '%a %U %G' {FOLDER}").strip() == "750 root statusd"


def _looked(host: Host, said: str) -> None:
    assert re.search(r'Status: "10 RUNNING; link LISTENING"', said)
    assert "10 units, the loop turns (" in said
    assert len(re.findall(r"^probe-\d +done +RUNNING -> PAUSED", said, re.M)) == len(PROBES)
    host.wait_for(AS_PAUSED)
    host.machine.wait(
        lambda: host.show("StatusText") == "8 PAUSED, 2 RUNNING; link LISTENING", "it in STATUS"
    )


def _reloaded(host: Host, said: str) -> None:
    told = dict(re.findall(r"^(\S+) +(begins|ends|changes)\b", said, re.M))
    assert told == {
        "heater": "begins",
        "probe-9": "begins",
        "pump": "changes",
        "valve": "ends",
    }
    host.wait_for(AS_RELOADED)
    assert host.show("ActiveState") == "active"
    assert host.show("NRestarts") == "0"
    journal = host.machine.type(f"journalctl --no-pager -u {UNIT}")
    assert "heater               begins" in journal  # of the reload itself; above all was tried
    assert '"wet"' in host.machine.type(f"{STATUSD} status pump --socket --json")


def _launched(host: Host, said: str) -> None:
    assert re.search(r"^pump +done +RUNNING -> END", said, re.M)
    host.wait_for(AS_RELOADED, anew=True)


def _is_back(host: Host, _: str) -> None:
    host.wait_for(AS_RELOADED, anew=True)


def _is_upgraded(host: Host, _: str) -> None:
    host.machine.type("mv pyproject.toml.before pyproject.toml")
    assert NEWER in host.machine.type(f"{STATUSD} --version")
    host.wait_for(AS_RELOADED, anew=True)


def test_what_a_command_has_ended_stays_ended_over_a_death_and_a_hang(host: Host) -> None:
    """SIGKILL, and SIGSTOP until the watchdog: nine are back with their goals, the tenth rests."""
    machine = host.machine
    machine.write(f"/run/systemd/system/{UNIT}.d/short.conf", "[Service]\nWatchdogSec=5\n")
    machine.type(f"systemctl daemon-reload; systemctl restart {UNIT}")
    host.wait_for(AS_RELOADED, anew=True)
    machine.type(f"{STATUSD} send end --socket --name pump --wait")
    left = {name: state for name, state in AS_RELOADED.items() if name != "pump"}
    host.wait_for(left)
    for signal in ("KILL", "STOP"):
        machine.type(f"systemctl reset-failed {UNIT}; kill -{signal} {host.pid}")
        report(f"SIG{signal} -> as before", host.wait_for(left, anew=True))
        assert host.told()["ended"] == ["pump"]
    machine.type(f"{STATUSD} launch pump --socket")
    machine.type(f"rm /run/systemd/system/{UNIT}.d/short.conf; systemctl daemon-reload")
    host.wait_for(AS_RELOADED)


def test_a_reload_with_a_mistake_fails_and_does_nothing(host: Host) -> None:
    """Nobody begins, ends or changes; the journal names file and key."""
    machine, boots = host.machine, host.boots()
    machine.type(f"sed -i '1i tags = [\"dry\"]' {FOLDER}/heater.toml")
    machine.write(f"{FOLDER}/wrong.toml", "[worker]\nfunktion = 'a:b'")

    machine.type(f"systemctl reload {UNIT}", is_fine=False)

    assert host.boots() == boots
    assert "dry" not in machine.type(f"{STATUSD} status heater --socket --json")
    assert host.show("ActiveState") == "active"
    assert "did you mean function?" in machine.type(f"journalctl --no-pager -u {UNIT}")
    machine.type(f"rm {FOLDER}/wrong.toml; systemctl reload {UNIT}")
    machine.wait(
        lambda: "dry" in machine.type(f"{STATUSD} status heater --socket --json"), "its tag"
    )
    assert host.boots() == boots


DEAF = """
name = "deaf"
[worker]
command = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
stop_timeout_s = 6
kill_timeout_s = 6
"""
CRASHES = """
name = "crashes"
[worker]
command = ["false"]
backoff_s = [3, 3]
budget = 100
"""


def test_the_slowest_of_many_units_is_granted_its_time(host: Host) -> None:
    """Longer than TimeoutStopSec: the daemon asks for it, and ends its workers itself."""
    machine = host.machine
    machine.write(f"{FOLDER}/deaf.toml", DEAF)
    machine.write(f"/run/systemd/system/{UNIT}.d/short.conf", "[Service]\nTimeoutStopSec=3\n")
    machine.type(f"systemctl daemon-reload; systemctl reload {UNIT}")
    machine.wait(lambda: "deaf" in host.states(), "the deaf unit")

    began = time.monotonic()
    machine.type(f"systemctl stop {UNIT}")

    report("stop of eleven, one of them deaf", time.monotonic() - began)
    assert host.show("Result") == "success"
    machine.type(f"rm {FOLDER}/deaf.toml /run/systemd/system/{UNIT}.d/short.conf")
    machine.type(f"systemctl daemon-reload; systemctl start {UNIT}")
    host.wait_for(AS_RELOADED, anew=True)


def test_a_unit_that_crashes_again_and_again_delays_no_start(host: Host) -> None:
    """`systemctl start` doesn't wait until it has used up its restarts; a reload finds us up."""
    machine = host.machine
    machine.type(f"systemctl stop {UNIT}")
    machine.write(f"{FOLDER}/crashes.toml", CRASHES)

    began = time.monotonic()
    machine.type(f"systemctl start {UNIT}")

    took_s = time.monotonic() - began
    report("start of eleven, one of which crashes", took_s)
    assert host.show("ActiveState") == "active"
    assert took_s < 20
    machine.type(f"rm {FOLDER}/crashes.toml; systemctl reload {UNIT}")
    host.wait_for(AS_RELOADED, anew=True)
