"""Alerts and dashboard against a real Prometheus: each rule is seen firing, each query answered."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statusd.daemon.metrics import METRICS
from tests.conftest import BROKERS, Run
from tests.tools import Broker, free_port, wait_until
from tests.tools.prometheus import PROGRAM, TOOL, Prometheus

RULES = Path("config/prometheus/alerts.yml")
PAGE = Path("docs/metrics.md")
DASHBOARD = Path("config/grafana/statusd.json")
SHOWN = {
    name
    for kind in METRICS
    for name in (
        [kind.shown]
        if kind.type != "histogram"
        else [f"{kind.name}_{part}" for part in ("bucket", "sum", "count")]
    )
}
"""The names under which Prometheus knows what we tell."""


def expressions(part: Any) -> Iterator[str]:
    """Yield every query of a dashboard, wherever it stands, with its variables filled in."""
    if isinstance(part, dict):
        if "expr" in part:
            yield part["expr"].replace("$__rate_interval", "10s").replace("$name", ".*")
        for inner in part.values():
            yield from expressions(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from expressions(inner)


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def test_the_dashboard_is_one() -> None:
    """Its panels have ids of their own, don't lie on each other, and have something to show."""
    panels = dashboard()["panels"]
    fields = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(fields)) == len(fields)
    assert max(x for x, _ in fields) < 24
    assert all(panel["targets"] and panel["description"] for panel in panels)


def test_what_a_worker_does_and_uses_is_shown() -> None:
    """Each number of it has its panel; how many processes it is stands in the status."""
    asked = "\n".join(expressions(dashboard()))
    told = {name for name in SHOWN if re.match("statusd_(progress|worker)_", name)}

    hidden = {name for name in told if not re.search(rf"\b{name}\b", asked)}

    assert hidden == {
        "statusd_progress_steps_per_second",
        "statusd_worker_processes",
        "statusd_worker_turns_total",
    }


def test_nobody_asks_for_what_isnt_told() -> None:
    """Every metric that a query or a rule names is one of ours."""
    asked = "\n".join([*expressions(dashboard()), RULES.read_text(encoding="utf-8")])

    named = set(re.findall(r"\bstatusd_\w+(?=[{ )])", asked))

    assert named
    assert named <= SHOWN


@pytest.mark.skipif(TOOL is None, reason="promtool is not installed")
def test_the_rules_are_rules() -> None:
    """promtool has nothing to say against them."""
    words = [str(TOOL), "check", "rules", "--lint=all", "--lint-fatal", str(RULES)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rules found" in done.stdout


@pytest.mark.skipif(TOOL is None, reason="promtool is not installed")
def test_the_page_shows_a_configuration(tmp_path: Path) -> None:
    """To be copied as it stands, with the rules beside it."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.M)
    (tmp_path / "prometheus.yml").write_text(block)
    (tmp_path / "alerts.yml").write_text(RULES.read_text("utf-8"))

    words = [str(TOOL), "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rules found" in done.stdout


@pytest.mark.skipif(TOOL is None, reason="promtool is not installed")
def test_a_worker_that_is_restarted_too_often_is_failing(tmp_path: Path) -> None:
    """Though it isn't FAILED: four times in ten minutes, and not because somebody asked."""
    series = "statusd_worker_restarts_total{instance='i',name='%s',cause='%s'}"
    rule = RULES.read_text(encoding="utf-8").rpartition("annotations:")[2]
    told = re.findall(r'(\w+): "(.*)"', rule.replace("{{ $labels.name }}", "dying"))
    fires = {
        "exp_labels": {"instance": "i", "name": "dying", "severity": "warning"},
        "exp_annotations": dict(told),
    }
    story = {
        "rule_files": [str(RULES.resolve())],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series % ("dying", "exit"), "values": "0+1x10"},
                    {"series": series % ("commanded", "reset"), "values": "0+1x10"},
                    {"series": series % ("sometimes", "exit"), "values": "0 0 0 1 1 1 2 2 2 2"},
                ],
                "alert_rule_test": [
                    {"eval_time": "9m", "alertname": "StatusdWorkerFailing", "exp_alerts": [fires]}
                ],
            }
        ],
    }
    (tmp_path / "story.yml").write_text(json.dumps(story))

    words = [str(TOOL), "test", "rules", str(tmp_path / "story.yml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROGRAM is None, reason="prometheus is not installed")
def test_each_alert_fires_for_who_has_the_trouble(run: Run, tmp_path: Path) -> None:
    """And for nobody else, nor before; each query of the dashboard is answered meanwhile."""
    ports = {name: free_port() for name in ("fine", "lost", "deaf", "failing")}
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    with Broker(BROKERS["valkey"]) as broker, Broker(BROKERS["valkey"]) as other:
        units = {
            name: run(
                *("tests.workers:obedient", other.url if name == "deaf" else broker.url),
                name=name,
                goal="RUNNING",
                http={"listen": ports[name]},
                worker={"budget": 1, "backoff_s": [0, 0], "memory_max": "8GiB"},
            )
            for name in ports
        }
        with Prometheus(tmp_path / "prometheus", list(ports.values()), RULES) as prometheus:
            for unit in units.values():
                unit.wait_state("RUNNING")
            wait_until(lambda: len(prometheus.query("statusd_worker_up == 1")) == 4, 10, "all up")
            broker.client().publish("mychannel", "pause")
            for name in ("fine", "lost", "failing"):
                units[name].wait_state("PAUSED")
            wait_until(lambda: not prometheus.firing(), 10, "nothing to fire")

            units["lost"].signal(signal.SIGKILL)
            other.kill()
            for run_number in (1, 2):
                found = units["failing"].wait_logged("worker.started", run=run_number)
                units["failing"].wait_logged("state.changed", new="PAUSED", run=run_number)
                os.kill(found["pid"], signal.SIGKILL)
            units["failing"].wait_state("FAILED")

            expected = {
                ("StatusdUnitLost", at["lost"]),
                ("StatusdUnitDeaf", at["deaf"]),
                ("StatusdWorkerFailing", at["failing"]),
            }
            wait_until(lambda: prometheus.firing() == expected, 30, "these three alerts alone")
            for expression in expressions(dashboard()):
                # How long the work takes is known after some seconds of it.
                wait_until(lambda asked=expression: prometheus.query(asked), 15, expression)  # type: ignore[misc]  # mypy can't infer lambdas with defaults

        broker.client().publish("statusd:control", "end")
