"""Health and metrics of a real unit by HTTP: honest in good times and bad."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from statusd.daemon.metrics import METRICS
from tests.conftest import BROKERS, Run
from tests.system.commands import statusd
from tests.tools import Broker, free_port, wait_until
from tests.tools.http import Got, get

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def read_strictly(text: str) -> Iterator[Metric]:
    """Yield what OpenMetrics allows to be said, or raise."""
    return openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call,no-any-return]


def status_of(port: int, path: str) -> int:
    """Return the status of ``path``; 0 if nobody answers."""
    try:
        return get(port, path).status
    except OSError:
        return 0


def samples(port: int) -> list[Sample]:
    """Return every sample, strictly read."""
    got = get(port, "/metrics", accept=OPENMETRICS)
    assert got.kind.startswith("application/openmetrics-text")
    families = read_strictly(got.text)
    return [sample for family in families for sample in family.samples]


def value(port: int, series: str, /, **labels: str) -> float | None:
    """Return the value of one series; None if there is none."""
    found = [
        sample.value
        for sample in samples(port)
        if sample.name == series and labels.items() <= sample.labels.items()
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


def test_health_is_honest(run: Run, tmp_path: Path) -> None:
    """Alive without a broker, ready with one and a worker, and silent when the loop is stuck."""
    port = free_port()
    broker = Broker(BROKERS["valkey"])
    unit = run("tests.workers:obedient", broker.url, http={"listen": port})
    try:
        unit.wait_logged("link.failed", link="hears")
        assert get(port, "/livez") == Got(200, "text/plain; charset=utf-8", "ok\n")
        away = get(port, "/readyz")
        assert away.status == 503
        assert "link to the broker is" in away.text
        assert away.text.count("\n") == 1

        broker.start()
        wait_until(lambda: status_of(port, "/readyz") == 200, 10, "the unit to be ready")
        broker.kill()
        wait_until(lambda: status_of(port, "/readyz") == 503, 10, "the loss to be told")
        assert status_of(port, "/livez") == 200

        unit.signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            get(port, "/livez", timeout_s=0.5)
        unit.signal(signal.SIGCONT)
        wait_until(lambda: status_of(port, "/livez") == 200, 10, "the loop to turn again")
    finally:
        broker.close()


def test_ready_means_a_worker_as_well(broker: Broker, run: Run) -> None:
    """A unit that has given up is alive, and not ready."""
    port = free_port()
    worker = {"restart": "never"}
    unit = run("tests.workers:blocked", broker.url, http={"listen": port}, worker=worker)
    wait_until(lambda: status_of(port, "/readyz") == 200, 10, "the unit to be ready")

    os.kill(unit.worker_pid(), signal.SIGKILL)
    unit.wait_state("FAILED")

    told = get(port, "/readyz")
    assert (told.status, told.text) == (503, "the worker isn't up: the unit is in FAILED\n")
    assert status_of(port, "/livez") == 200


def test_the_numbers_are_true(broker: Broker, run: Run) -> None:
    """Commands, junk, verdicts, transitions, restarts and progress: as many as there were."""
    port, client = free_port(), broker.client()
    worker = {"backoff_s": [0, 0]}
    unit = run("tests.workers:obedient", broker.url, http={"listen": port}, worker=worker)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")

    client.publish("mychannel", "start")
    unit.wait_state("RUNNING")
    for _ in range(30):
        client.publish("mychannel", "start")
    wait_until(lambda: value(port, "statusd_verdicts_total", verdict="noop") == 30, 10, "30 noops")
    client.publish("mychannel", "no word at all")
    client.publish("mychannel", '{"command": 5, "id": "x"}')
    os.kill(unit.worker_pid(), signal.SIGKILL)
    wait_until(lambda: value(port, "statusd_worker_restarts_total", cause="signal") == 1, 10, "it")
    wait_until(lambda: value(port, "statusd_state", statusd_state="RUNNING") == 1, 10, "the goal")

    assert value(port, "statusd_messages_total", kind="command") == 31
    assert value(port, "statusd_messages_total", kind="junk") == 2
    assert value(port, "statusd_verdicts_total", verdict="done") == 1
    assert value(port, "statusd_command_done_seconds_count") == 1
    ways = {
        (way.labels["trigger"], way.labels["from"], way.labels["to"]): way.value
        for way in samples(port)
        if way.name == "statusd_transitions_total"
    }
    assert ways["start", "READY", "RUNNING"] == 2  # commanded, and restored
    assert ways["crash", "RUNNING", "BACKOFF"] == 1
    assert value(port, "statusd_link_state", link="hears", statusd_link_state="LISTENING") == 1
    assert value(port, "statusd_outbox_dropped_lines_total") == 0
    assert value(port, "statusd_worker_up") == 1
    assert value(port, "statusd_unit_info", name="unit", namespace="statusd") == 1
    wait_until(lambda: value(port, "statusd_progress_steps"), 10, "some progress")
    assert value(port, "statusd_progress_expected_steps") == 1000
    wait_until(lambda: value(port, "statusd_canary_round_trip_seconds_count"), 10, "an echo")
    client.publish("mychannel", "END")
    assert unit.wait_exit() == 0


def test_an_outage_is_counted_while_it_lasts(run: Run) -> None:
    """The number, and the seconds, which only grow."""
    port = free_port()
    with Broker(BROKERS["valkey"]) as broker:
        unit = run("tests.workers:blocked", broker.url, http={"listen": port})
        wait_until(lambda: status_of(port, "/readyz") == 200, 10, "the unit to be ready")
        assert value(port, "statusd_link_outage_seconds_total") == 0
        broker.kill()
        unit.wait_logged("link.lost", link="hears")
        first = wait_until(lambda: value(port, "statusd_link_outage_seconds_total"), 10, "it")
        wait_until(
            lambda: (value(port, "statusd_link_outage_seconds_total") or 0) > first, 10, "more"
        )
        assert value(port, "statusd_link_outages_total") == 1
        broker.start()
        wait_until(lambda: status_of(port, "/readyz") == 200, 10, "the unit to be ready")
        after = value(port, "statusd_link_outage_seconds_total")
        assert after is not None
        assert after > first
        assert value(port, "statusd_link_outage_seconds_total") == after


def test_both_formats_tell_all_that_is_promised(broker: Broker, run: Run) -> None:
    """Every metric of the list and its type, in the plain text too; promtool has no complaint."""
    port = free_port()
    unit = run("tests.workers:blocked", broker.url, http={"listen": port})
    unit.wait_state("READY")

    plain = get(port, "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(plain.text)}
    strict = get(port, "/metrics", accept=OPENMETRICS).text
    types = {found.name: found.type for found in read_strictly(strict)}

    assert plain.kind.startswith("text/plain; version=0.0.4")
    for kind in METRICS:
        assert types[kind.name] == kind.type
        assert {kind.name, kind.shown} & families.keys()
    for family in families.values():
        for sample in family.samples:
            assert sample.name.startswith("process_") or sample.labels["name"] == "unit"
    promtool = shutil.which("promtool")
    if promtool:
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=plain.text, capture_output=True, text=True,
            check=False, timeout=20,
        )  # fmt: skip
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_port_that_is_taken_ends_the_start(broker: Broker, run: Run) -> None:
    """Before anything has begun: nobody may get another unit's answers under this one's name."""
    port = free_port()
    first = run("tests.workers:blocked", broker.url, name="a", http={"listen": port})
    first.wait_logged("http.listening")

    second = run("tests.workers:blocked", broker.url, name="b", http={"listen": port})

    assert second.wait_exit() == 78
    assert f"http.listen: 127.0.0.1:{port}" in second.output()
    assert "Traceback" not in second.output()
    assert second.logged("worker.started") is None
    assert broker.client().keys("*{b}") == []


@pytest.mark.parametrize("verb", ["check", "run"])
def test_without_the_library_the_extra_is_named(verb: str, tmp_path: Path) -> None:
    """At once, with the key; and a unit without [http] doesn't miss it."""
    (tmp_path / "prometheus_client.py").write_text("raise ImportError(name='prometheus_client')\n")
    (tmp_path / "a.toml").write_text(
        "http.listen = 9464\nworker.function = 'statusd.examples.counter:main'\n"
    )
    env = {"PYTHONPATH": str(tmp_path), "STATUSD_STATE_DIRECTORY": str(tmp_path / "state")}

    done = statusd(verb, "a.toml", cwd=tmp_path, env=env)

    assert done.returncode == 78
    assert "statusd[metrics]" in done.stderr
    assert "Traceback" not in done.stderr
    if verb == "check":
        assert "a.toml:1: http.listen" in done.stderr
        (tmp_path / "a.toml").write_text("worker.function = 'statusd.examples.counter:main'\n")
        assert statusd("check", "a.toml", cwd=tmp_path, env=env).returncode == 0


def test_a_daemon_without_an_endpoint_has_not_loaded_the_library() -> None:
    """It costs memory and time."""
    program = "import sys, statusd.daemon.wiring; print('prometheus_client' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == "False\n"
