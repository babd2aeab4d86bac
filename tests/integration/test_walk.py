"""How far a command has to walk through the service: whoever reads the code walks as far."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools import environment

MOST_MOVES = 64
"""So often a ``pause`` may cross from one file to another until it is shown and answered; ``python
-m tests.tools.walk`` shows where it does."""
MOST_LATER = 130
"""And so often what is left for later: replies, and once for all that came together, log, document
and state file; a quick disk has its say in that time, too."""
CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


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
    """In one call of the loop: heard, obeyed, shown to the worker; then told to the broker."""
    walk, rest = traced["walk"], traced["rest"]

    begin = walk["calls"][0]
    assert (begin["file"], begin["function"]) == ("wire/connection.py", "buffer_updated")
    assert [file for file in walk["told"] if file.startswith("supervision/")]
    written = "".join(rest["written"])
    assert '"old":"RUNNING","new":"PAUSED","trigger":"pause"' in written
    assert '"verdict":"accepted"' in written


def test_a_pause_walks_no_further_than_it_did(traced: Any) -> None:
    """Until it is answered, and what is put off until after that."""
    walk, rest = traced["walk"], traced["rest"]

    assert 0 < walk["moves"] <= MOST_MOVES
    assert 0 < rest["moves"] <= MOST_LATER


def test_a_pause_walks_as_contributing_shows_it(traced: Any) -> None:
    """Each step of the picture there is one of the way, in its order."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    _, _, shown = text.partition("<!-- the way of a pause -->")
    steps = re.findall(r"`(\w+/\w+)\.(\w+)`", shown.partition("<!-- so far -->")[0])
    calls = [*traced["walk"]["calls"], *traced["rest"]["calls"]]
    walked = iter((call["file"].removesuffix(".py"), call["function"]) for call in calls)

    assert len(steps) > 10
    assert [step for step in steps if step not in walked] == []
