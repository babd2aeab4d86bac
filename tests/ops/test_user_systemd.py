"""A user's own systemd: what docs/running.md says of it is typed by one who isn't root."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.tools.machine import Machine
from tests.tools.pages import block

PAGE = "docs/running.md"
USER = "alice"
UNIT = "statusd@scan.service"
SETTINGS = """\
name = "scan"
goal = "RUNNING"

[control]
channels = ["mychannel"]

[worker]
function = "job:main"
"""
JOB = """\
import time


def main(worker):
    for step in worker.while_running():
        time.sleep(0.1)
        worker.progress(step + 1, 10**6)
"""
SLEEPS = '[worker]\ncommand = ["sleep", "1000"]\n'
BY_HAND = "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n"
"""What pam_systemd says where there is one; a minimal system has none."""

pytestmark = pytest.mark.timeout(900)


class User:
    """One who has just come, with an empty home."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        machine.type(f"id {USER} || useradd --create-home --shell /bin/bash {USER}")
        self.uid = machine.type(f"id -u {USER}").strip()
        machine.write("/etc/systemd/system/user@.service.d/runtime.conf", BY_HAND)
        machine.type(f"systemctl daemon-reload; systemctl start user@{self.uid}.service")

    def type(self, script: str, *, is_fine: bool | None = True) -> str:
        """Let the user type ``script`` in the clone, as in a login; return what was printed."""
        variables = f"HOME=/home/{USER} XDG_RUNTIME_DIR=/run/user/{self.uid} PATH=$PATH"
        there = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels LANG=C.UTF-8"
        typed = shlex.quote(f"cd /home/{USER}/statusd\n{script}")
        return self._machine.type(
            f"runuser -u {USER} -- env -i {variables} {there} bash -euo pipefail -c {typed}",
            is_fine=is_fine,
        )

    def show(self, what: str) -> str:
        """Return a property of the unit."""
        return self.type(f"systemctl --user show -P {what} {UNIT}").strip()

    def works(self, but: str = "") -> bool:
        """Tell whether the worker runs, and not by the process ``but``."""
        is_new = self.show("MainPID") not in ("0", but)
        return is_new and self.show("StatusText").startswith("RUNNING")


@pytest.fixture
def user(machine: Machine) -> User:
    """Alice, with a clone and a project in her home."""
    user = User(machine)
    home = f"/home/{USER}"
    machine.write(f"{home}/scan/statusd.toml", SETTINGS)
    machine.write(f"{home}/scan/job.py", JOB)
    machine.type(f"rm -rf {home}/statusd; cp -r /src {home}/statusd; chown -R {USER}: {home}")
    machine.type("systemctl start redis-server; redis-cli config set requirepass ''")
    return user


def test_a_user_without_root_runs_it_for_good(machine: Machine, user: User) -> None:
    """Installed, started, looked at, killed, still there after the last login, stopped."""
    user.type(block(PAGE, "python3 -m venv ~/.local/share/statusd"))
    assert user.type(f"systemd-analyze verify --user --man=no {UNIT}") == ""
    _paused_by_hand(machine, user)
    user.type(block(PAGE, "ln -s ~/scan/statusd.toml ~/.config/statusd/scan.toml"))
    machine.wait(lambda: "PAUSED" in user.show("StatusText"), "it to be paused as it was")
    user.type("~/.local/bin/statusd send resume --socket")
    machine.wait(user.works, "the user's worker")
    said = user.type(block(PAGE, "systemctl --user status --no-pager statusd@scan"))
    assert re.search(r'Status: "RUNNING', said)
    assert "scan: RUNNING, the loop turns (" in said
    assert re.search(r"^scan +done +RUNNING -> PAUSED", said, re.M)
    found = user.type("~/.local/bin/statusd doctor ~/.config/statusd/scan.toml", is_fine=None)
    assert f"{UNIT}: it is watched, and started again when it fails" in found
    _is_started_again(machine, user)
    _outlives_the_login(machine, user)
    user.type(block(PAGE, "systemctl --user stop statusd@scan"))

    assert user.show("Result") == "success"
    assert user.show("ActiveState") == "inactive"
    places = machine.type(f"ls /home/{USER}/.local/state/statusd /run/user/{user.uid}/statusd || :")
    assert "scan" in places


def _paused_by_hand(machine: Machine, user: User) -> None:
    """It runs in a login, is paused there, and stopped by a signal: the unit takes it up."""
    user.type("cd ~/scan; setsid ~/.local/bin/statusd run </dev/null >log 2>&1 & echo $! >~/pid")
    told = "~/.local/bin/statusd send pause --socket"
    machine.wait(lambda: "done" in user.type(told, is_fine=None), "it to be paused by hand")
    user.type("kill $(cat ~/pid)")
    gone = "test ! -e /proc/$(cat ~/pid) && echo gone || :"
    machine.wait(lambda: "gone" in user.type(gone), "its end")


def _is_started_again(machine: Machine, user: User) -> None:
    """It is killed while it is paused, and comes back paused."""
    pid = user.show("MainPID")
    assert machine.type(f"stat -c %U /proc/{pid}").strip() == USER
    user.type(f"kill -KILL {pid}")
    machine.wait(
        lambda: user.show("MainPID") not in ("0", pid) and "PAUSED" in user.show("StatusText"),
        "it to be paused again",
    )
    user.type("~/.local/bin/statusd send resume --socket --name scan")
    machine.wait(user.works, "it to work again")


def _outlives_the_login(machine: Machine, user: User) -> None:
    """By lingering; the manager is started anew, as at a boot, and has it by itself."""
    machine.type(f"loginctl enable-linger {USER}")  # root: the user's own asks polkit
    pid = user.show("MainPID")
    machine.type(f"systemctl restart user@{user.uid}.service")
    machine.wait(lambda: user.works(but=pid), "it to work after a boot")


def test_a_user_runs_many_units_in_one_daemon(machine: Machine, user: User) -> None:
    """From a folder of his own, by its own service; a new file is a reload away."""
    folder, host = f"/home/{USER}/.config/statusd/units", "statusd-host.service"
    user.type(block(PAGE, "python3 -m venv ~/.local/share/statusd"))
    assert user.type(f"systemd-analyze verify --user --man=no {host}") == ""
    for name in ("a", "b"):
        machine.write(f"{folder}/{name}.toml", f'name = "{name}"\n{SLEEPS}')
    machine.type(f"chown -R {USER}: /home/{USER}/.config")

    def status() -> str:
        return user.type(f"systemctl --user show -P StatusText {host}").strip()

    user.type(f"systemctl --user enable --now {host}")
    machine.wait(lambda: "a: RUNNING" in status() and "b: RUNNING" in status(), "both")
    machine.write(f"{folder}/c.toml", f'name = "c"\n{SLEEPS}')
    user.type(f"systemctl --user reload {host}")
    machine.wait(lambda: "c: RUNNING" in status(), "the new one")
    user.type(f"systemctl --user stop {host}")

    assert user.type(f"systemctl --user show -P Result {host}").strip() == "success"
