"""How far a command has to walk through the service: whoever reads the code walks as far."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools import environment

MOST_MOVES = 70
"""So often a ``pause`` may cross from one file to another; ``python -m tests.tools.walk`` shows
where it does."""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The way of one ``pause``, traced in a process of its own: a daemon changes what it is in."""
    folder: Path = tmp_path_factory.mktemp("walk")
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.walk", "--json"],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_pause_walks_from_the_bytes_to_the_worker_and_the_verdict(traced: Any) -> None:
    """All in one call of the loop: heard, obeyed, shown to the worker, told to the broker."""
    walk = traced["walk"]

    begin = walk["calls"][0]
    assert (begin["file"], begin["function"]) == ("wire/link.py", "buffer_updated")
    assert [file for file in walk["told"] if file.startswith("supervision/")]
    written = "".join(walk["written"])
    assert '"old":"RUNNING","new":"PAUSED","trigger":"pause"' in written
    assert '"verdict":"accepted"' in written


def test_a_pause_walks_no_further_than_it_did(traced: Any) -> None:
    """What the call puts off is walked too, and counts."""
    walk, rest = traced["walk"], traced["rest"]

    assert 0 < walk["moves"] + rest["moves"] <= MOST_MOVES
