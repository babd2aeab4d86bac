"""Tests of `statusd.daemon.metrics`: names and units by convention, and the page that lists them.

The conventions are those of prometheus.io/docs/practices/naming and of OpenMetrics 1.0.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from statusd.core.errors import ConfigError
from statusd.daemon import metrics
from statusd.daemon.metrics import METRICS, MetricSpec

PAGE = Path("docs/metrics.md")
UNITS = ("seconds", "bytes", "ratio")
"""Base units; what is counted in things is called by the things: lines, steps, turns."""
NO_UNITS = re.compile(
    r"_(ms|milliseconds|minutes|hours|kilobytes|percent|count|sum|bucket|created|gauge|counter)$"
)
KEPT_LABELS = {"le", "quantile", "job", "instance", "name"}
"""Labels that mean something else, or that every metric of ours has."""


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_a_metric_keeps_the_conventions(spec: MetricSpec) -> None:
    """Prefix, spelling, base units as the last word, suffixes only by its type, a help text."""
    assert re.fullmatch(r"statusd(_[a-z]+)+", spec.name)
    assert not spec.name.endswith(("_total", "_info"))
    assert not NO_UNITS.search(spec.name)
    assert spec.type in ("counter", "gauge", "histogram", "info", "stateset")
    assert spec.type != "histogram" or spec.name.endswith(UNITS)
    assert not any(f"_{unit}_" in f"{spec.name}_"[: -1 - len(unit)] for unit in UNITS)
    assert re.fullmatch(r"[A-Z0-9].*\.", spec.help)
    assert all(re.fullmatch(r"[a-z]+", label) for label in spec.labels)
    assert not KEPT_LABELS & set(spec.labels)


def test_no_name_stands_twice() -> None:
    """Nor is one what another becomes by its type."""
    names = [spec.name for spec in METRICS] + [spec.shown for spec in METRICS]

    assert len({*names}) == len(METRICS) + sum(spec.shown != spec.name for spec in METRICS)


def test_the_page_lists_them_all() -> None:
    """With type, labels and meaning as they are."""
    rows = [
        f"| `{spec.shown}` | {spec.type} | {', '.join(f'`{label}`' for label in spec.labels)} | "
        f"{spec.help} |".replace("|  |", "| |")
        for spec in METRICS
    ]
    listed = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "`statusd_" in line]

    assert [line for line in listed if line.startswith("| `statusd_")] == rows


def test_without_the_library_the_extra_is_named() -> None:
    """And the way to do without."""
    with pytest.raises(ConfigError, match=r"statusd\[metrics\].*http\.listen empty"):
        metrics.load("no_such_module")
