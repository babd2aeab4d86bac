"""The operator's hour on a real systemd: what systemd/README.md says is typed, and looked at."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tools.machine import Machine
from tests.tools.ops import ROOT

UNIT = "statusd@camera.service"
MOST_EXPOSED = 1.5
STATUSD = "/opt/statusd/bin/statusd"

pytestmark = pytest.mark.timeout(900)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each shell block of a page with the heading above it."""
    heading = ""
    for found in re.finditer(r"^## ([^\n]*)$|^```sh\n(.*?)^```$", page.read_text(), re.M | re.S):
        heading = found[1] or heading
        if found[2]:
            yield heading, found[2]


def works(machine: Machine, unit: str = UNIT, but: str = "") -> Callable[[], bool]:
    """Return a look that tells whether the unit's worker runs, by another process than ``but``."""

    def look() -> bool:
        shown = machine.type(f"systemctl show -p MainPID,ActiveState,StatusText {unit}")
        told = dict(line.split("=", 1) for line in shown.splitlines())
        is_new = told["MainPID"] not in ("0", but)
        return is_new and told["ActiveState"] == "active" and told["StatusText"][:7] == "RUNNING"

    return look


def pause(machine: Machine, seconds: float) -> None:
    """Let some time pass."""
    until = time.monotonic() + seconds
    machine.wait(lambda: time.monotonic() > until, "some time to pass")


def report(what: str, seconds: float) -> None:
    """Print a figure."""
    print(f"\n     {what}: {seconds * 1000:.0f} ms", end="")


def test_all_that_an_operator_does_in_an_hour_works(machine: Machine) -> None:
    """Install, start, look, break, stop, upgrade, a password, a looser worker."""
    after = {
        "Install": _installed,
        "Start": _started,
        "Look": _looked,
        "Break": _broken,
        "Stop": _works_again,
        "Upgrade": _wants_password,
        "A password": _has_password,
        "A worker that needs more": _is_looser,
    }
    typed = []
    for heading, block in blocks(ROOT / "systemd" / "README.md"):
        if heading.startswith(("Many units", "In a browser")):
            continue  # test_systemd_host.py and test_systemd_web.py type them
        began = time.monotonic()
        said = machine.type(block)
        if heading == "Start":
            report("check, start, enable", time.monotonic() - began)
        typed.append(heading)
        after[heading](machine, said)
    assert typed == list(after)


def _installed(machine: Machine, _: str) -> None:
    units = "statusd.service statusd@camera.service statusd.target"
    assert machine.type(f"cd /etc/systemd/system; systemd-analyze verify --man=no {units}") == ""
    for unit in ("statusd.service", UNIT):
        said = machine.type(f"systemd-analyze security --no-pager {unit}", is_fine=None)
        exposure = float(re.findall(r"exposure level for .*: ([0-9.]+)", said)[0])
        print(f"\n     exposure of {unit}: {exposure}", end="")
        assert exposure <= MOST_EXPOSED
    assert machine.type("stat -c '%a %U %G' /etc/statusd").strip() == "750 root statusd"


def _started(machine: Machine, _: str) -> None:
    assert machine.show(UNIT, "SubState") == "running"
    assert machine.show(UNIT, "StatusText").startswith("RUNNING")
    assert machine.type(f"stat -c %U /proc/{machine.show(UNIT, 'MainPID')}").strip() == "statusd"


def _looked(machine: Machine, said: str) -> None:
    assert re.search(r'Status: "RUNNING.*; link LISTENING"', said)
    assert "camera: RUNNING, the loop turns (" in said
    assert re.search(r"^camera +done +RUNNING -> PAUSED", said, re.M)
    machine.wait(lambda: "PAUSED" in machine.show(UNIT, "StatusText"), "PAUSED in STATUS")
    machine.wait(lambda: machine.show(UNIT, "ActiveState") == "active", "the reload to be over")
    machine.type(f"{STATUSD} send resume --socket")


def _broken(machine: Machine, _: str) -> None:
    machine.wait(works(machine), "it to work again")
    assert machine.show(UNIT, "NRestarts") == "1"


def _works_again(machine: Machine, _: str) -> None:
    machine.wait(works(machine), "it to work")


def _wants_password(machine: Machine, _: str) -> None:
    _works_again(machine, "")
    machine.type("redis-cli config set requirepass 'correct horse'")


def _has_password(machine: Machine, _: str) -> None:
    pid = machine.show(UNIT, "MainPID")
    environ = machine.type(f"tr '\\0' '\\n' </proc/{pid}/environ")
    assert "PASSWORD_FILE=/run/credentials/" in environ
    assert "correct horse" not in environ
    machine.wait(lambda: "link LISTENING" in machine.show(UNIT, "StatusText"), "the link")
    worker = machine.type(f"pgrep -P {pid} -f counter").split()[0]
    assert "CREDENTIALS_DIRECTORY" not in machine.type(f"cat /proc/{worker}/environ | tr '\\0' ' '")


def _is_looser(machine: Machine, _: str) -> None:
    assert "/srv" in machine.show(UNIT, "ReadWritePaths")
    _works_again(machine, "")
    machine.type("redis-cli -a 'correct horse' config set requirepass ''")
    machine.type("rm -r /etc/systemd/system/statusd@.service.d; systemctl daemon-reload")
    machine.type(f"systemctl restart {UNIT}")
    _works_again(machine, "")


def test_start_death_reload_and_stop_are_short(machine: Machine) -> None:
    """Start, death, reload, stop: each is short, and restarts nothing that it shouldn't."""
    machine.type(f"systemctl stop {UNIT}; systemctl reset-failed {UNIT}")
    for _ in range(3):
        for what, script in [("start -> READY", "start"), ("stop", "stop")]:
            began = time.monotonic()
            machine.type(f"systemctl {script} {UNIT}")
            report(what, time.monotonic() - began)
            pause(machine, 2.5)  # as in life: a unit that has just started has much to tell
    assert machine.show(UNIT, "Result") == "success"
    machine.type(f"systemctl start {UNIT}")
    machine.wait(works(machine), "it to work")
    for _ in range(3):
        pid = machine.show(UNIT, "MainPID")
        machine.type(f"systemctl reset-failed {UNIT}; kill -KILL {pid}")
        report("SIGKILL -> working", machine.wait(works(machine, but=pid), "it to work again"))


def test_health_is_quick(machine: Machine) -> None:
    """And without a broker it is well."""
    ask = f"{STATUSD} health /etc/statusd/camera.toml >/dev/null"
    said = machine.type(f"for n in {{1..20}}; do date +%s%N; {ask}; date +%s%N; done")
    moments = [int(word) / 1e9 for word in said.split()]
    times = [late - early for early, late in zip(moments[::2], moments[1::2], strict=True)]
    report("health, median", sorted(times)[10])
    report("health, longest", max(times))
    machine.type("systemctl stop redis-server")
    assert json.loads(machine.type(f"{STATUSD} health --json"))["healthy"] is True


def test_a_broker_that_is_away_is_no_start_timeout(machine: Machine) -> None:
    """Nor a restart, nor food for the watchdog that is missing."""
    machine.type("systemctl stop redis-server")
    machine.write(
        f"/run/systemd/system/{UNIT}.d/short.conf",
        "[Service]\nTimeoutStartSec=8\nWatchdogSec=4\n",
    )
    machine.type("systemctl daemon-reload")
    before = int(machine.show(UNIT, "NRestarts"))

    machine.type(f"systemctl restart {UNIT}")
    pause(machine, 10)  # twice the watchdog's time

    assert "link DOWN" in machine.show(UNIT, "StatusText")
    assert machine.show(UNIT, "ActiveState") == "active"
    assert int(machine.show(UNIT, "NRestarts")) <= before
    machine.type("systemctl start redis-server")
    machine.type(f"rm /run/systemd/system/{UNIT}.d/short.conf; systemctl daemon-reload")


def test_wrong_settings_are_not_tried_again(machine: Machine) -> None:
    """Exit code 78, once; the journal says what is wrong."""
    machine.write("/etc/statusd/wrong.toml", "[worker]\nfunktion = 'a:b'")

    machine.type("systemctl start statusd@wrong", is_fine=False)

    assert machine.show("statusd@wrong", "ExecMainStatus") == "78"
    assert machine.show("statusd@wrong", "NRestarts") == "0"
    assert "did you mean function?" in machine.type("journalctl --no-pager -u statusd@wrong")


SLOW = """
name = "slow"
[worker]
command = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
stop_timeout_s = 6
kill_timeout_s = 6
"""


def test_a_long_grace_is_granted(machine: Machine) -> None:
    """Longer than TimeoutStopSec: the daemon asks for it, and ends its worker itself."""
    machine.write("/etc/statusd/slow.toml", SLOW)
    machine.write(
        "/run/systemd/system/statusd@slow.service.d/short.conf", "[Service]\nTimeoutStopSec=3\n"
    )
    machine.type("systemctl daemon-reload; systemctl start statusd@slow")

    began = time.monotonic()
    machine.type("systemctl stop statusd@slow")

    report("stop of a worker that doesn't end", time.monotonic() - began)
    assert machine.show("statusd@slow", "Result") == "success"


HANGS = {"stopped": "STOP", "stuck": "WINCH"}
MODES = {
    "mixed, SIGABRT": "KillMode=mixed\nWatchdogSignal=SIGABRT",
    "mixed, SIGTERM": "KillMode=mixed\nWatchdogSignal=SIGTERM\nTimeoutAbortSec=10",
    "control-group, SIGTERM": "KillMode=control-group\nWatchdogSignal=SIGTERM\nTimeoutAbortSec=10",
}
ENDS = {
    ("mixed, SIGABRT", "stopped"): "",
    ("mixed, SIGABRT", "stuck"): "",
    ("mixed, SIGTERM", "stopped"): "END",
    ("mixed, SIGTERM", "stuck"): "",
    ("control-group, SIGTERM", "stopped"): "SIGTERM",
    ("control-group, SIGTERM", "stuck"): "SIGTERM",
}
"""What the worker was told by when the daemon hung; nothing: it was killed."""


@pytest.mark.parametrize("mode", MODES)
def test_what_becomes_of_the_worker(mode: str, machine: Machine) -> None:
    """In each way to kill, when the daemon is stopped, when its loop is stuck, and at a plain stop.

    The figures of docs/decisions/015-the-service-manager.md.
    """
    unit = "statusd@hangs.service"
    file, ended = "/etc/statusd/hangs.toml", "/var/lib/statusd/hangs/ended"
    toml = 'name = "hangs"\ngoal = "RUNNING"\n[worker]\nfunction = "tests.ops.worker:main"\n'
    machine.write(file, toml)
    machine.write(
        f"/run/systemd/system/{unit}.d/mode.conf",
        f"[Service]\nExecStart=\nExecStart=/opt/statusd/bin/python -m tests.frozen loop {file}\n"
        f"WorkingDirectory=/src\nEnvironment=PYTHONPATH=/src\nWatchdogSec=5\n{MODES[mode]}\n",
    )
    machine.type(f"systemctl daemon-reload; systemctl restart {unit}")

    def bitten() -> int:
        return machine.type(f"journalctl -o cat -u {unit}").count("Watchdog timeout")

    for hang, name in HANGS.items():
        machine.wait(works(machine, unit), "it to work")
        machine.type(f"rm -f {ended}; systemctl reset-failed {unit}")
        pid, before = machine.show(unit, "MainPID"), bitten()
        machine.type(f"kill -{name} {pid}")
        took_s = machine.wait(works(machine, unit, but=pid), "it to work again", 90)
        how = machine.type(f"cat {ended} 2>/dev/null || true").strip()
        report(f"{mode}, {hang}: worker told by {how or 'nothing'}, working again", took_s)
        assert bitten() == before + 1
        assert how == ENDS[mode, hang]
    machine.type(f"rm -f {ended}; systemctl stop {unit}")
    how = machine.type(f"cat {ended} 2>/dev/null || true").strip()
    print(f"\n     {mode}, systemctl stop: worker told by {how or 'nothing'}", end="")
    assert how == ("SIGTERM" if mode.startswith("control-group") else "END")
