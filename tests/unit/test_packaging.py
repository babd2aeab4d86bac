"""What runs the daemon as a service must not get in its way: timeouts, signals, shells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statusd.daemon.loop import FLUSH_S
from statusd.daemon.voice import BEAT_S, DOCUMENT_TTL_S
from statusd.settings import Worker
from statusd.wire.link import CONNECT_S, REPLY_S

DOCKER_STOP_S = 10
"""How long `docker stop` waits before it kills."""


def unit_file() -> dict[str, str]:
    """Return the directives of the systemd unit."""
    rows = Path("systemd/statusd.service").read_text(encoding="utf-8").splitlines()
    return dict(row.split("=", 1) for row in rows if "=" in row and not row.startswith("#"))


def longest_stop_s() -> float:
    """Return how long a stop may take with the default settings."""
    worker = Worker()
    return worker.stop_timeout_s + worker.kill_timeout_s + FLUSH_S


@pytest.mark.fault("G08", "C04")
def test_a_stop_fits_into_the_time_that_is_given() -> None:
    """By docker, and by the systemd unit."""
    assert longest_stop_s() < DOCKER_STOP_S
    assert longest_stop_s() < float(unit_file()["TimeoutStopSec"].removesuffix("s"))


@pytest.mark.fault("C04")
def test_every_wait_fits_into_the_one_above_it() -> None:
    """A link is given up before the document is gone, and a beat may be missed."""
    assert CONNECT_S < REPLY_S < DOCUMENT_TTL_S
    assert 2 * BEAT_S < DOCUMENT_TTL_S


@pytest.mark.fault("W17", "G03", "G10")
def test_the_unit_leaves_the_worker_to_the_daemon() -> None:
    """SIGTERM and words are the daemon's alone; a worker out of memory ends no unit."""
    directives = unit_file()

    assert directives["KillMode"] == "mixed"
    assert directives["NotifyAccess"] == "main"
    assert directives["OOMPolicy"] == "continue"


@pytest.mark.fault("G14")
def test_no_shell_stands_before_the_program() -> None:
    """The image executes it itself, so that it gets the signals; the unit as well."""
    rows = Path("Dockerfile").read_text(encoding="utf-8").splitlines()
    started = [row.split(" ", 1)[1] for row in rows if row.startswith(("ENTRYPOINT", "CMD"))]

    assert [word for row in started for word in json.loads(row)][:2] == ["statusd", "run"]
    assert unit_file()["ExecStart"].split()[0].endswith("/statusd")
