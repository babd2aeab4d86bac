"""SIGHUP: new settings while the unit lives, all that can be or none."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, settings
from tests.tools import Broker, Journal, Program, wait_until
from tests.tools.toml import to_toml


def rewrite(unit: Program, broker: Broker, **changes: Any) -> None:
    """Write other settings into the unit's file, and tell it."""
    toml = settings("tests.workers:obedient", broker.url, **changes)
    (unit.directory / "statusd.toml").write_text(to_toml(toml), encoding="utf-8")
    unit.signal(signal.SIGHUP)


def document(broker: Broker) -> dict[str, Any]:
    """Return the status document."""
    return dict(json.loads(broker.client().get("statusd:status:{unit}") or b"{}"))


def test_live_settings_are_taken_over(broker: Broker, journal: Journal, run: Run) -> None:
    """Channels, tags, timeouts, log level: together, and without a new worker."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    before = unit.worker_pid()

    rewrite(
        unit,
        broker,
        tags=["new"],
        control={"channels": ["other", "lab.*"]},
        worker={"stop_timeout_s": 1.5},
        log={"level": "warning"},
    )

    done = unit.wait_logged("signal.received", signal="SIGHUP")
    client = broker.client()
    wait_until(lambda: client.publish("other", '{"command": "start", "id": "a"}'), 15, "a listener")
    wait_until(journal.verdicts, 15, "an answer")
    wait_until(lambda: not client.publish("mychannel", "stop"), 15, "the old channel to be left")
    assert client.publish("lab.7", '{"command": "pause", "id": "b"}') == 1
    wait_until(lambda: document(broker)["state"] == "PAUSED", 15, "PAUSED")
    assert document(broker)["tags"] == ["new"]
    assert unit.worker_pid() == before
    assert done["level"] == "info"
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(15) == 0
    assert unit.logged("state.changed", new="ENDING") is None  # the level is warning now


SAID: dict[str, tuple[list[str], list[str] | None]] = {
    "all are heard": (["mychannel", "other", "lab.*"], None),
    "one is refused": (["mychannel", "forbidden", "other"], ["forbidden"]),
    "all of one's own are refused": (["forbidden", "no.*"], ["forbidden", "no.*"]),
}
"""The new channels -> what `reload.done` says is refused of them."""


@pytest.mark.parametrize(("channels", "refused"), SAID.values(), ids=SAID.keys())
def test_a_reload_is_done_and_names_what_is_refused(
    channels: list[str], refused: list[str] | None, broker: Broker, run: Run
) -> None:
    """The link isn't lost over it, and the others are heard by then."""
    client = broker.client()
    allowed = [
        "statusd:*",
        "statusd:control",
        "statusd:canary:{unit}",
        "mychannel",
        "other",
        "lab.*",
    ]
    client.acl_setuser(
        "few", enabled=True, nopass=True, keys=["*"], channels=allowed, commands=["+@all"]
    )
    url = broker.url.replace("redis://", "redis://few:x@")
    unit = run("tests.workers:obedient", broker.url, redis={"url": url})
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")

    rewrite(unit, broker, redis={"url": url}, control={"channels": channels})

    done = unit.wait_logged("reload.done", timeout_s=15)
    assert done.get("refused") == refused
    for channel in channels:
        assert client.publish(channel.replace("*", "1"), "ping") == (channel not in (refused or ()))
    assert unit.logged("link.lost") is None


def test_what_needs_a_restart_is_named(broker: Broker, run: Run) -> None:
    """And isn't changed; the rest is."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_state("READY")

    rewrite(unit, broker, name="else", tags=["new"], worker={"function": "tests.workers:deaf"})

    done = unit.wait_logged("reload.done")
    assert done["changed"] == ["tags"]
    assert done["needs_restart"] == ["name", "worker.function"]


def test_a_mistake_changes_nothing(broker: Broker, run: Run) -> None:
    """The mistake is named as `statusd check` names it; the next reload works."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_state("READY")

    rewrite(unit, broker, tags=["new"], worker={"stop_timeout_s": "soon"})
    refused = unit.wait_logged("reload.refused")
    rewrite(unit, broker, tags=["new"])

    assert "worker.stop_timeout_s" in refused["reason"]
    assert unit.wait_logged("reload.done")["changed"] == ["tags"]


def counted(*files: Path) -> list[int]:
    """Return the numbers in the lines of ``files``, each of which has its run before it."""
    text = b"".join(file.read_bytes() for file in files)
    lines = text[: text.rfind(b"\n") + 1].splitlines()
    return [int(line.removeprefix(b"run 1 | ")) for line in lines]


CHANGES: list[dict[str, Any]] = [{}, {"tags": ["new"]}, {"tags": 7}]
"""None, one that is taken over, one that is refused."""


@pytest.mark.fault("J11")
def test_a_file_that_logrotate_has_moved_is_followed(
    broker: Broker, run: Run, tmp_path: Path
) -> None:
    """Whatever becomes of the settings: new ones, none, refused ones; and the old file if need be.

    Each line is in one of the files, once and whole, and no file stays open.
    """
    script = "n=0; while n=$((n+1)); do echo $n; sleep 0.005; done"
    worker = {"function": "", "command": ["sh", "-c", script], "output": "./logs/worker.log"}
    log = tmp_path / "unit" / "logs" / "worker.log"
    log.parent.mkdir(parents=True)
    unit = run("", broker.url, worker=worker)
    wait_until(lambda: log.exists() and log.stat().st_size, 15, "lines")
    old = [log.with_name(f"worker.log.{number}") for number in range(3)]
    for number, change in enumerate(CHANGES):
        log.rename(old[number])
        rewrite(unit, broker, worker=worker, **change)
        wait_until(lambda: log.exists() and log.stat().st_size, 15, "lines in a new file")
    assert unit.wait_logged("reload.refused")["reason"]
    assert len([line for line in unit.log() if line["event"] == "output.reopened"]) == 3

    moved = log.parent.rename(unit.directory / "moved")
    unit.signal(signal.SIGHUP)

    told = unit.wait_logged("output.not_reopened")
    assert (told["where"], told["reason"]) == (str(log), "No such file or directory")
    assert "SIGHUP" in told["cure"]
    size = (moved / "worker.log").stat().st_size
    wait_until(lambda: (moved / "worker.log").stat().st_size > size, 15, "more lines")
    files = [moved / file.name for file in [*old, log]]
    numbers = counted(*files)
    assert numbers == [*range(1, len(numbers) + 1)]
