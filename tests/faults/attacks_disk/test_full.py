"""Attacks from the disk, and a lack of it: a disk that takes nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.conftest import Run, settings
from tests.faults.attacks_disk.sites import Site, add, place_in
from tests.faults.outages import wait_listening
from tests.tools import Broker, Journal, Program, SmallDisk, environment, free_port, wait_until
from tests.tools.halt import writing_halted
from tests.tools.http import get
from tests.tools.variants import some

pytestmark = pytest.mark.timeout(240)

OWN_DISK = pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not())


class Trouble(NamedTuple):
    """A way in which a disk takes nothing: how it begins and ends.

    Args:
        stays: a daemon can be started while it lasts.
    """

    begin: Callable[[SmallDisk], object]
    end: Callable[[SmallDisk], object]
    stays: bool = True


def lose_directory(disk: SmallDisk) -> None:
    """Remove the state directory under the daemon."""
    shutil.rmtree(disk.path / "state")


TROUBLES = {
    "full": Trouble(lambda disk: disk.fill(), lambda disk: disk.empty()),
    "no inodes": Trouble(lambda disk: disk.use_up_inodes(), lambda disk: disk.give_inodes_back()),
    "read-only": Trouble(
        lambda disk: disk.let_nothing_be_written(),
        lambda disk: disk.let_nothing_be_written(writable=True),
        stays=False,
    ),
    "removed": Trouble(lose_directory, lambda disk: (disk.path / "state").mkdir(mode=0o700)),
}


def answer(journal: Journal, entry: str, *, boot: int = 0) -> dict[str, Any]:
    """Return the final verdict to an entry, once it is there, of a daemon with a higher boot."""

    def found() -> list[dict[str, Any]]:
        return [v for v in journal.finals() if v.get("id") == entry and v["boot"] > boot]

    wait_until(found, 20, f"the answer to {entry}")
    return found()[-1]


@OWN_DISK
@pytest.mark.fault("X17")
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_a_durable_pause_is_not_lost_with_a_disk_that_takes_nothing(
    trouble: Trouble, site: Site, journal: Journal
) -> None:
    """It is obeyed, told as not kept, and read again by the next daemon: Redis isn't ahead."""
    unit = site.start()
    unit.wait_state("RUNNING")
    first = site.add("status")
    wait_until(lambda: site.is_kept(first), 20, "a place that is kept")
    trouble.begin(site.disk)

    entry = site.add("pause")
    said = answer(journal, entry)
    unit.wait_state("PAUSED")

    assert (said["verdict"], said["kept"]) == ("done", False)
    wait_until(lambda: site.cursor().get("obeyed") == entry, 10, "what was obeyed to be named")
    assert site.cursor()["id"] == first
    unit.signal(signal.SIGKILL)
    unit.close()
    if not trouble.stays:
        trouble.end(site.disk)

    again = site.start()
    again.wait_state("PAUSED")
    assert answer(journal, entry, boot=said["boot"])["verdict"] in ("done", "noop")
    again.close()


@OWN_DISK
@pytest.mark.fault("X17")
@pytest.mark.parametrize("trouble", some(TROUBLES.values(), 2), ids=TROUBLES.keys())
def test_a_disk_in_trouble_is_told_and_caught_up_with(
    trouble: Trouble, site: Site, journal: Journal, capfd: pytest.CaptureFixture[str]
) -> None:
    """In document, log, health and readiness, not in liveness; no later command is obeyed twice."""
    port = free_port()
    unit = site.start(http={"listen": str(port)})
    unit.wait_state("RUNNING")
    trouble.begin(site.disk)
    entry = site.add("pause")
    boot = answer(journal, entry)["boot"]

    unit.wait_logged("state_file.failed")
    wait_until(lambda: site.document().get("trouble"), 10, "the document to tell it")
    ready = get(port, "/readyz")
    assert (ready.status, "nothing is kept: " in ready.text) == (503, True)
    assert get(port, "/livez").status == 200
    assert "statusd_state_file_failures_total" in get(port, "/metrics").text
    health = ask(site, "health", "--json")
    (told,) = json.loads(health.stdout)["units"]
    assert (health.returncode, told["healthy"], bool(told["trouble"])) == (0, True, True)
    status = ask(site, "status", "unit", "--url", site.broker.url)
    assert f"nothing is kept: {told['trouble']}" in " ".join(status.stdout.split())

    trouble.end(site.disk)
    wait_until(lambda: site.is_kept(entry), 20, "disk and Redis to catch up")
    unit.wait_logged("state_file.kept_again")
    wait_until(lambda: site.document().get("trouble") == "", 10, "the document to be content")
    assert get(port, "/readyz").status == 200
    unit.signal(signal.SIGKILL)
    unit.close()

    again = site.start()
    again.wait_state("PAUSED")
    last = site.add("status")
    answer(journal, last, boot=boot)
    assert [v for v in journal.finals() if v.get("id") == entry and v["boot"] > boot] == []
    assert "kept" not in answer(journal, last, boot=boot)
    again.close()


def ask(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Run another verb where the unit is."""
    return subprocess.run(
        [sys.executable, "-m", "statusd", *words],
        cwd=site.folder,
        env=environment(site.folder) | {"COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@OWN_DISK
@pytest.mark.fault("X17")
def test_an_end_that_no_disk_has_ends_nobody_twice(site: Site, journal: Journal) -> None:
    """Starting is itself a request: an END that can't be kept doesn't end each daemon anew."""
    unit = site.start()
    first = site.add("status")
    wait_until(lambda: site.is_kept(first), 20, "a place that is kept")
    site.disk.let_nothing_be_written()  # where it is only full, what a unit gives back makes room
    entry = site.add("end")
    assert unit.wait_exit(20) == 0
    boot = answer(journal, entry)["boot"]
    site.disk.let_nothing_be_written(writable=True)

    again = site.start()

    said = answer(journal, entry, boot=boot)
    assert (said["verdict"], "the last daemon has ended by it" in said["reason"]) == ("noop", True)
    again.wait_state("RUNNING")
    wait_until(lambda: site.is_kept(entry), 20, "disk and Redis to catch up")
    again.close()


@OWN_DISK
@pytest.mark.fault("X17")
def test_a_lock_that_was_removed_is_taken_anew(site: Site) -> None:
    """Or a second daemon of this name could begin beside the first, on this machine."""
    unit = site.start()
    lose_directory(site.disk)
    (site.disk.path / "state").mkdir(mode=0o700)
    wait_until(lambda: site.add("status") and site.kept(), 20, "the file to be there again")

    toml = settings("tests.workers:obedient", site.broker.url)
    variables = {"STATUSD_STATE_DIRECTORY": str(site.disk.path / "state")}
    with Program(toml, directory=site.folder.with_name("second"), env=variables) as second:
        assert second.wait_exit(20) == 78
        assert f"runs here already (pid {unit.pid})" in second.output()
    unit.close()


@pytest.mark.fault("X17")
def test_a_disk_that_hangs_keeps_nobody_waiting(broker: Broker, journal: Journal, run: Run) -> None:
    """A durable word is obeyed and answered; the trouble is told, and all is caught up with."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    wait_listening(unit)
    unit.wait_state("RUNNING")
    client = broker.client()
    first = add(client, "status")
    wait_until(lambda: place_in(client).get("id") == first, 20, "a place that is kept")

    with writing_halted(unit.pid):
        entry = add(client, "pause")
        said = answer(journal, entry)
        unit.wait_logged("state_file.failed")
        assert (said["verdict"], said["kept"]) == ("done", False)
        wait_until(lambda: place_in(client).get("obeyed") == entry, 10, "it to be named")
        assert place_in(client)["id"] == first

    wait_until(lambda: unit.kept()["cursor"]["id"] == entry, 20, "the disk to catch up")
    wait_until(lambda: "obeyed" not in place_in(client), 20, "Redis as well")
    unit.wait_logged("state_file.kept_again")
