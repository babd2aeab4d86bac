"""The fleet in a browser on a real systemd: what systemd/README.md says of it is typed."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.ops.test_systemd import STATUSD, blocks, report
from tests.tools.machine import Machine
from tests.tools.ops import ROOT

UNIT = "statusd-web.service"
MOST_EXPOSED = 1.5
PLACE = "http://127.0.0.1:9460"
_ASK = """\
import sys, urllib.error, urllib.request
asked = urllib.request.Request(sys.argv[1])
if sys.argv[2:]:
    asked.add_header("Authorization", "Bearer " + sys.argv[2])
try:
    with urllib.request.urlopen(asked, timeout=10) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
except OSError as error:
    print(0, '{"error": "nobody there"}')
"""

pytestmark = pytest.mark.timeout(900)


class Web:
    """The server, on that machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.write("/root/ask.py", _ASK)

    def show(self, what: str) -> str:
        """Return a property of the service."""
        return self.machine.show(UNIT, what)

    def ask(self, path: str, token: str = "") -> tuple[int, Any]:
        """Return what it answers: the code of HTTP, and the JSON; 0 if nobody is there."""
        said = self.machine.type(f"/opt/statusd/bin/python /root/ask.py {PLACE}{path} {token}")
        code, _, text = said.partition(" ")
        return int(code), json.loads(text)

    def token(self) -> str:
        """Return the operators' token."""
        return self.machine.type("cat /etc/statusd/web-token").strip()

    def wait_for_another(self, pid: str) -> float:
        """Wait until it serves by another process; return how long that took, in seconds."""
        return self.machine.wait(
            lambda: self.show("MainPID") not in ("0", pid) and self.ask("/api/me")[0] == 401,
            f"another one than {pid}",
            90,
        )


@pytest.fixture(scope="module")
def web(machine: Machine) -> Web:
    """The server as the page says it is installed; the broker asks for no password."""
    typed = dict(blocks(ROOT / "systemd" / "README.md"))
    machine.type(typed["Install"])
    machine.type("systemctl start redis-server; redis-cli config set requirepass ''")
    machine.type(typed["In a browser"])
    return Web(machine)


def test_it_serves_as_the_page_says(web: Web) -> None:
    """Started when it listens; in a tight sandbox, as a user of its own; by a token."""
    machine = web.machine
    assert web.show("ActiveState") == "active"
    assert machine.type(f"systemd-analyze verify --man=no /etc/systemd/system/{UNIT}") == ""
    said = machine.type(f"systemd-analyze security --no-pager {UNIT}", is_fine=None)
    exposure = float(re.findall(r"exposure level for .*: ([0-9.]+)", said)[0])
    print(f"\n     exposure of {UNIT}: {exposure}", end="")
    assert exposure <= MOST_EXPOSED
    uid = machine.type(f"stat -c %u /proc/{web.show('MainPID')}").strip()
    assert uid not in ("0", machine.type("id -u statusd").strip())
    assert machine.type("stat -c '%a %U' /etc/statusd/web-token").strip() == "600 root"

    assert web.ask("/api/me")[0] == 401
    code, me = web.ask("/api/me", web.token())
    assert (code, me["role"], me["may_command"]) == (200, "operator", True)
    assert web.token() not in machine.type(f"journalctl --no-pager -u {UNIT}")
    machine.wait(lambda: web.show("StatusText").endswith("broker up"), "the broker in STATUS")


def test_it_shows_and_commands_a_unit_of_this_machine(web: Web) -> None:
    """Across two sandboxes and two users, by the broker alone."""
    machine = web.machine
    toml = 'name = "seen"\n[worker]\nfunction = "statusd.examples.counter:main"'
    machine.write("/etc/statusd/seen.toml", toml)
    machine.type("systemctl start statusd@seen")

    def state() -> str:
        units = web.ask("/api/units", web.token())[1]["units"]
        return next((unit["state"] for unit in units if unit["name"] == "seen"), "")

    machine.wait(lambda: state() == "READY", "it to be seen")
    machine.type(f"{STATUSD} send start --name seen --wait")
    machine.wait(lambda: state() == "RUNNING", "its news")
    machine.type("systemctl stop statusd@seen; rm /etc/statusd/seen.toml")


def test_a_broker_that_is_away_is_told_and_ends_nothing(web: Web) -> None:
    """It starts without one, too."""
    machine = web.machine
    machine.type(f"systemctl stop redis-server; systemctl restart {UNIT}")
    machine.wait(lambda: web.show("StatusText").endswith("broker away"), "it in STATUS")
    assert web.ask("/api/units", web.token())[1]["broker"]["state"] == "away"
    machine.type("systemctl start redis-server")
    machine.wait(lambda: web.show("StatusText").endswith("broker up"), "it in STATUS")


def test_a_new_token_counts_from_the_next_start(web: Web) -> None:
    """The old one lets nobody in then."""
    machine, old = web.machine, web.token()
    machine.type("openssl rand -hex 32 >/etc/statusd/web-token")
    machine.type(f"systemctl restart {UNIT}")

    assert web.ask("/api/me", old)[0] == 401
    assert web.ask("/api/me", web.token())[0] == 200


def test_it_is_back_after_a_death_and_a_hang(web: Web) -> None:
    """A hang is found by the watchdog, of five seconds here."""
    machine = web.machine
    machine.write(f"/run/systemd/system/{UNIT}.d/short.conf", "[Service]\nWatchdogSec=5\n")
    machine.type(f"systemctl daemon-reload; systemctl restart {UNIT}")
    for signal in ("KILL", "STOP"):
        pid = web.show("MainPID")
        machine.type(f"systemctl reset-failed {UNIT}; kill -{signal} {pid}")
        report(f"SIG{signal} -> serves again", web.wait_for_another(pid))
    machine.type(f"rm /run/systemd/system/{UNIT}.d/short.conf; systemctl daemon-reload")


def test_wrong_settings_fail_the_start_and_are_not_tried_again(web: Web) -> None:
    """Exit code 78, once; the journal says what is wrong. So with a token that is none."""
    machine = web.machine
    machine.type("cp /etc/statusd/web.toml /root/web.toml")
    machine.write("/etc/statusd/web.toml", "[web]\nlisten_on = 'x'")

    machine.type(f"systemctl reset-failed {UNIT}; systemctl restart {UNIT}", is_fine=False)

    assert (web.show("ExecMainStatus"), web.show("NRestarts")) == ("78", "0")
    assert "did you mean listen?" in machine.type(f"journalctl --no-pager -u {UNIT}")
    machine.type(f"mv /root/web.toml /etc/statusd/web.toml; systemctl reset-failed {UNIT}")
    machine.type(f"systemctl start {UNIT}")


def test_it_stops_at_once(web: Web) -> None:
    """With 0, and nobody has the port any more."""
    began = time.monotonic()
    web.machine.type(f"systemctl stop {UNIT}")

    took_s = time.monotonic() - began
    report("stop", took_s)
    assert took_s < 3
    assert web.show("Result") == "success"
    assert web.ask("/api/me")[0] == 0
