"""Tests of `statusd.doctor.local`: folders, secrets, and the units of systemd."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from statusd.doctor.findings import Level
from statusd.doctor.local import folder, judge, lives_here, runtime, secrets, service_manager, units
from statusd.unit.lease_holder import LeaseHolder
from tests.tools.settings import made

SHOWN = """\
Type=notify-reload
Restart=on-failure
WatchdogUSec=30s
Id=statusd@job.service
LoadState=loaded
ActiveState=active
RestartPreventExitStatus=78

Type=simple
Restart=no
WatchdogUSec=0
Id=statusd.service
LoadState=loaded
ActiveState=reloading
RestartPreventExitStatus=
"""


def test_a_folder_is_judged_and_not_made(tmp_path: Path) -> None:
    """It is there, or may be made; a file in its place, or a file system that is read-only."""
    (tmp_path / "file").touch()

    assert folder("state", tmp_path, "").level is Level.OK
    assert "can be made" in folder("state", tmp_path / "a" / "b", "").what
    assert not (tmp_path / "a").exists()
    assert folder("state", tmp_path / "file" / "a", "cure").level is Level.ERROR
    assert folder("state", Path("/proc/statusd"), "cure").level is Level.ERROR


def test_a_secret_that_everybody_may_read_is_told(tmp_path: Path) -> None:
    """A password file, or the settings themselves if the password stands there."""
    file, secret = tmp_path / "a.toml", tmp_path / "secret"
    file.touch(0o644)
    secret.touch(0o600)
    plain = made({"redis": {"password_file": str(secret)}})
    inside = made({"redis": {"url": "redis://me:hunter2@host"}})
    gone = made({"redis": {"password_file": str(tmp_path / "gone")}})

    assert [found.level for found in secrets(plain, file)] == [Level.OK]
    told = list(secrets(inside, file))
    assert [found.level for found in told] == [Level.WARNING]
    assert "hunter2" not in str(told)
    assert [found.level for found in secrets(gone, file)] == [Level.ERROR]


def test_a_unit_of_systemd_is_watched_and_started_again() -> None:
    """What is missing is named, as it stands in a unit file."""
    good, bad = units(SHOWN)

    assert [found.level for found in judge(good)] == [Level.OK]
    (found,) = judge(bad)
    (idle,) = judge(good | {"ActiveState": "inactive", "WatchdogUSec": "0"})
    assert idle.level is Level.OK  # systemd says no watchdog of what doesn't run
    assert "isn't running" in idle.what
    assert found.level is Level.WARNING
    assert "Type=notify" in found.what
    for directive in ("Type=notify", "WatchdogSec=30s", "Restart=on-failure", "78"):
        assert directive in found.cure


def test_systemd_is_asked_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the unit of this file too, of machine and user; no other is judged."""
    asked = tmp_path / "asked"
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >{asked}\ncat {tmp_path}/shown$1\n')
    for manager in ("show", "--user"):
        (tmp_path / f"shown{manager}").touch()
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr("statusd.doctor.local.SYSTEMD", tmp_path)

    (tmp_path / "shownshow").write_text(SHOWN)
    assert [one.level for one in service_manager(Path("job.toml"))] == [Level.OK, Level.WARNING]
    assert asked.read_text().split()[-2:] == ["statusd.service", "statusd@job.service"]
    (tmp_path / "shown--user").write_text(SHOWN)
    (tmp_path / "shownshow").write_text(re.sub("ActiveState=.*", "ActiveState=inactive", SHOWN))
    of_user = list(service_manager(Path("job.toml")))
    assert [one.level for one in of_user] == [Level.OK, Level.WARNING]  # what runs, nothing else
    assert of_user[1].cure.startswith("systemctl --user edit statusd.service")
    (tmp_path / "shown--user").write_text("")
    (tmp_path / "shownshow").write_text(SHOWN.replace("=loaded", "=not-found"))
    (nobody,) = service_manager(Path("job.toml"))
    assert nobody.level is Level.WARNING
    assert "knows none of statusd.service, statusd@job.service" in nobody.what
    (of_folder,) = service_manager(tmp_path)
    services = f"statusd-host.service, statusd@{tmp_path.name}.service"
    assert f"knows none of {services}" in of_folder.what
    systemctl.write_text("#!/bin/sh\nexit 1\n")
    assert [one.level for one in service_manager(None)] == [Level.UNKNOWN]


def test_a_daemon_of_another_machine_does_not_live_here() -> None:
    """Whatever its number."""
    assert not lives_here(LeaseHolder(1, "somewhere-else.invalid", 1))


def test_a_place_that_others_have_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the one that is used instead, and what to do."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert runtime().level is Level.OK
    (tmp_path / "statusd").mkdir()
    (tmp_path / "statusd").chmod(0o777)

    found = runtime()

    assert found.level is Level.WARNING
    assert f"{tmp_path}/state/statusd/run takes its place" in found.what
    assert found.cure == f"chmod go-w {tmp_path}/statusd"
