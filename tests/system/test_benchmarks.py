"""The benchmarks run, and leave nothing behind, however they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import processes_with_marker, wait_until
from tests.tools.processes import MARKER, SESSION

pytestmark = pytest.mark.nightly  # it tests the benchmarks

ROOT = Path(__file__).resolve().parents[2]
NAME = f"{SESSION}/benchmarks"


def start(*words: str) -> subprocess.Popen[str]:
    """Start ``python -m`` with ``words``, in the repository."""
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, MARKER: NAME},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_run_prints_a_table_and_keeps_every_figure(tmp_path: Path) -> None:
    """In Markdown, as JSON and as a picture; with what and where, and the limit beside it."""
    file, picture = tmp_path / "results.json", tmp_path / "curves.svg"
    where = ("--json", str(file), "--plot", str(picture))
    said, _ = start("benchmarks", "--quick", "--only", "verdicts", *where).communicate(timeout=50)
    assert "| command -> final verdict at its sender, p50" in said
    assert "of 2 goals are met" in said
    found = json.loads(file.read_text("utf-8"))
    assert found["header"].keys() >= {
        "date",
        "commit",
        "service",
        "machine",
        "python",
        "broker",
        "packages",
    }
    assert all(len(row["statusd_rounds"]) == len(row["limit_rounds"]) == 2 for row in found["rows"])
    assert [len(run) for run in found["distributions"]["verdicts: statusd"]] == [50, 50]
    assert "polyline" in picture.read_text("utf-8")
    assert processes_with_marker(NAME) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_run_that_is_ended(number: signal.Signals) -> None:
    """A daemon, a worker, a broker are gone with it: at Ctrl-C, and when it is killed as well."""
    process = start("benchmarks", "--only", "idle")
    try:
        wait_until(lambda: len(processes_with_marker(NAME)) >= 7, 20, "the benchmark to be amidst")
        process.send_signal(number)
        process.communicate(timeout=10)
        wait_until(lambda: not processes_with_marker(NAME), 5, "all of it to be gone")
    finally:
        process.kill()
        process.communicate()


def test_a_soak_that_is_too_short_proves_nothing() -> None:
    """It runs, and its exit code doesn't say that all is well."""
    process = start("benchmarks.soak", "--messages", "2000", "--restarts", "10", "--seed", "1")
    said, _ = process.communicate(timeout=50)
    assert process.returncode == 1, said
    assert "too short to be judged" in said
    assert processes_with_marker(NAME) == []
