"""What runs the daemon as a service must not get in its way: timeouts, signals, shells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from statusd.cli import EXIT_CONFIG, missing
from statusd.cli.health import TIMEOUT_S
from statusd.daemon.health import MORE_S, TICK_S
from statusd.daemon.living import EXIT_LEASE_LOST
from statusd.daemon.session import DRAIN_S
from statusd.daemon.watchdog import FEEDS
from statusd.settings.tables import WorkerSettings
from statusd.supervision.descriptors import A_UNIT, BESIDE
from statusd.unit.publisher import BEAT_S, DOCUMENT_TTL_S
from statusd.wire.connection import CONNECT_S, REPLY_S

DOCKER_STOP_S = 10
"""How long `docker stop` waits before it kills."""


OF_USER = "user/statusd@.service"
OF_FOLDER = "statusd-host.service"
OF_USERS_FOLDER = "user/statusd-host.service"
UNITS = ("statusd.service", "statusd@.service", OF_USER, OF_FOLDER, OF_USERS_FOLDER)


def unit_file(name: str = "statusd.service") -> dict[str, str]:
    """Return the directives of a systemd unit."""
    rows = Path("systemd", name).read_text(encoding="utf-8").splitlines()
    return dict(row.split("=", 1) for row in rows if "=" in row and not row.startswith("#"))


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, continued lines joined."""
    text = Path("Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    rows = [row for row in text.splitlines() if row and not row.startswith("#")]
    return [(row.split()[0], row.split(None, 1)[1]) for row in rows]


def longest_stop_s() -> float:
    """Return how long a stop may take with the default settings."""
    worker = WorkerSettings()
    return worker.longest_signal_stop_s() + worker.kill_timeout_s + DRAIN_S


@pytest.mark.fault("G08", "C04")
def test_a_stop_fits_into_the_time_that_is_given() -> None:
    """By docker, and by the systemd unit."""
    assert longest_stop_s() < DOCKER_STOP_S
    assert longest_stop_s() < float(unit_file()["TimeoutStopSec"].removesuffix("s"))


def test_check_warns_by_the_limits_that_there_are() -> None:
    """Those of docker, and of both of our units."""
    limits = {float(unit_file(name)["TimeoutStopSec"].removesuffix("s")) for name in UNITS}

    assert limits == {missing.UNIT_STOP_S}
    assert missing.DOCKER_STOP_S == DOCKER_STOP_S


@pytest.mark.fault("C04")
def test_every_wait_fits_into_the_one_above_it() -> None:
    """A link is given up before the document is gone, and a beat may be missed."""
    assert CONNECT_S < REPLY_S < DOCUMENT_TTL_S
    assert 2 * BEAT_S < DOCUMENT_TTL_S


@pytest.mark.fault("W17", "G03", "G10")
@pytest.mark.parametrize("name", UNITS)
def test_the_unit_leaves_the_worker_to_the_daemon(name: str) -> None:
    """SIGTERM and words are the daemon's alone; a worker out of memory ends no unit."""
    directives = unit_file(name)

    assert directives["KillMode"] == "mixed"
    assert directives["NotifyAccess"] == "main"
    assert directives["OOMPolicy"] == "continue"


@pytest.mark.fault("G08", "G11", "C04")
@pytest.mark.parametrize("name", UNITS)
def test_the_watchdog_is_patient_enough(name: str) -> None:
    """It outlasts every wait of ours, and leaves a daemon that was stopped the time to end."""
    seconds = {key: value.removesuffix("s") for key, value in unit_file(name).items()}

    assert float(seconds["WatchdogSec"]) > 3 * (CONNECT_S + REPLY_S)
    assert float(seconds["WatchdogSec"]) / FEEDS > TICK_S
    assert float(seconds["TimeoutAbortSec"]) > longest_stop_s()
    assert MORE_S > 2 * TICK_S


@pytest.mark.parametrize("name", UNITS)
def test_what_trying_again_does_not_mend_is_not_tried_again(name: str) -> None:
    """Wrong settings, and a daemon that can't stay up."""
    directives = unit_file(name)

    assert directives["RestartPreventExitStatus"] == str(EXIT_CONFIG) == str(EXIT_LEASE_LOST)
    spacing_s = float(directives["RestartSec"].removesuffix("s"))
    burst, within_s = (int(directives[f"StartLimit{key}"]) for key in ("Burst", "IntervalSec"))
    assert burst * spacing_s < within_s  # else the limit would never be reached


def test_the_two_units_differ_in_the_file_alone() -> None:
    """What is learnt with one is true of the other."""
    one, many = (unit_file(name) for name in UNITS[:2])

    assert {k: v.replace("%i", "statusd") for k, v in many.items() if k != "Description"} == {
        k: v for k, v in one.items() if k != "Description"
    }


def test_the_unit_of_a_folder_differs_in_what_it_runs_and_may_have() -> None:
    """Reload begins and ends units; descriptors and tasks are for many. All else is the same."""
    one, many = unit_file(), unit_file(OF_FOLDER)
    differ = {key for key in one | many if one.get(key) != many.get(key)}

    assert differ == {
        *("Description", "ExecStart", "ExecReload", "StateDirectory", "RuntimeDirectory"),
        *("LimitNOFILE", "TasksMax"),
    }
    assert many["ExecStart"] == "/opt/statusd/bin/statusd run /etc/statusd/units"
    assert many["ExecReload"] == "/opt/statusd/bin/statusd reload /etc/statusd/units"


def test_a_thousand_units_have_their_descriptors_and_tasks() -> None:
    """The soft limit is for select(2) in workers, and raised by the daemon as far as the hard."""
    soft, hard = map(int, unit_file(OF_FOLDER)["LimitNOFILE"].split(":"))

    assert soft == 1024
    assert hard > 1000 * A_UNIT + BESIDE
    assert int(unit_file(OF_FOLDER)["TasksMax"]) > 10 * 1000


@pytest.mark.parametrize(
    ("of_machine", "of_user", "runs"),
    [
        ("statusd@.service", OF_USER, "%E/statusd/%i.toml"),
        (OF_FOLDER, OF_USERS_FOLDER, "%E/statusd/units"),
    ],
)
def test_a_users_unit_differs_in_places_and_has_no_sandbox(
    of_machine: str, of_user: str, runs: str
) -> None:
    """How it is started, watched and ended is the same; the user needs no root for any of it."""
    here, users = unit_file(of_machine), unit_file(of_user)
    there = ("ExecStart", "ExecReload", "WantedBy")

    assert users.items() - {(key, users[key]) for key in there} <= here.items()
    assert users["ExecStart"] == f"%h/.local/bin/statusd run {runs}"
    reloads = {f"%h/.local/bin/statusd reload {runs}", "/bin/kill -HUP $MAINPID"}
    assert users["ExecReload"] in reloads
    assert (users["ExecReload"] == here["ExecReload"]) is (of_user == OF_USER)
    assert users["WantedBy"] == "default.target"
    assert not {"User", "StateDirectory", "RuntimeDirectory", "ProtectHome"} & users.keys()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("name", [OF_USER, OF_USERS_FOLDER])
def test_a_users_unit_is_sound(name: str, tmp_path: Path) -> None:
    """By systemd's own judgement, where the program is installed as docs/running.md says."""
    program = tmp_path / ".local/bin/statusd"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/true")
    unit = tmp_path / Path(name).name.replace("@", "@scan")
    shutil.copy(Path("systemd", name), unit)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_drop_in_changes_nothing_before_it_is_edited() -> None:
    """Each loosening is a line that somebody has to want."""
    rows = Path("systemd/drop-ins/loosening.conf").read_text(encoding="utf-8").splitlines()

    assert [row for row in rows if row and not row.startswith("#")] == ["[Service]"]


@pytest.mark.fault("G14")
def test_no_shell_stands_before_the_program() -> None:
    """The image executes it itself, so that it gets the signals; the unit as well."""
    words = dict(dockerfile())
    started = [*json.loads(words["ENTRYPOINT"]), *json.loads(words["CMD"])]
    health = words["HEALTHCHECK"].partition("CMD ")[2]

    assert started[:2] == ["statusd", "run"]
    assert json.loads(health) == ["statusd", "health"]
    assert unit_file()["ExecStart"].split()[0].endswith("/statusd")


def test_the_image_is_made_with_what_every_builder_knows() -> None:
    """Two stages, a user by number, and no word that only some builders understand."""
    text = Path("Dockerfile").read_text(encoding="utf-8")
    words = [word for word, _ in dockerfile()]

    assert words.count("FROM") == 2
    assert "ADD" not in words
    for new in ("<<", "--link", "--start-interval", "# syntax", "--exclude", "--parents"):
        assert new not in text
    assert ("USER", "10001:10001") in dockerfile()
    assert f"VERSION={version('statusd')}" in text


def test_what_is_asked_for_health_is_in_time() -> None:
    """The answer comes, or is given up, before the engine gives up."""
    health = dict(dockerfile())["HEALTHCHECK"]

    assert float(health.partition("--timeout=")[2].partition("s")[0]) > TIMEOUT_S


def test_examples_say_that_they_are() -> None:
    """Nobody takes them for the product; none holds a secret, or a tag that moves by itself."""
    for folder in ("quadlet", "kubernetes"):
        for file in Path("config", folder).iterdir():
            text = file.read_text(encoding="utf-8")
            assert text.startswith("# An example")
            assert "password" not in text.lower().replace("statusd_redis_password", "")


def test_compose_keeps_what_has_ended() -> None:
    """And the unit starts whether the broker is well or not."""
    text = Path("compose.yaml").read_text(encoding="utf-8")

    assert "restart: on-failure" in text
    assert "depends_on: [valkey]" in text
    assert float(text.partition("stop_grace_period: ")[2].partition("s")[0]) > longest_stop_s()


def test_compose_has_an_example_of_three_units() -> None:
    """It takes the place of the one unit, in the same container, by the image's own program."""
    text = Path("config/compose/many.yaml").read_text(encoding="utf-8")
    units = {file.stem for file in Path("config/compose/many/units").glob("*.toml")} - {"statusd"}

    assert "command: [run, /etc/statusd/units]" in text
    assert "./config/compose/many:/etc/statusd:ro" in text
    assert len(units) == 3
