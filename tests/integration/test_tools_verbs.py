"""Tests of `tests.tools.verbs`: a verb that is forked does what the program does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BROKERS
from tests.tools import Broker, processes_with_marker
from tests.tools.processes import SESSION
from tests.tools.verbs import Verbs

pytestmark = pytest.mark.nightly  # it tests what tests are made with


@pytest.fixture
def verbs() -> Iterator[Verbs]:
    """A process that forks, of our own."""
    made = Verbs()
    yield made
    made.close()


@pytest.mark.parametrize(
    "words",
    [
        *(["check"], ["check", "nothing.toml"], ["status", "--help"], ["send", "--nonsense"]),
        *(["status", "--url", "redis://127.0.0.1:1"], ["graph", "--ascii"], ["completion", "bash"]),
        ["health", "--timeout", "x"],
    ],
    ids=" ".join,
)
def test_it_says_what_the_program_says(words: list[str], verbs: Verbs, tmp_path: Path) -> None:
    """On both outputs, with the same code; in that folder and environment."""
    (tmp_path / "statusd.toml").write_text("[worker]\ncommand = 'true'\nbudget = 'many'\n")
    env = os.environ | {"STATUSD_NAMESPACE": "elsewhere", "COLUMNS": "70"}

    for _ in range(2):  # the first one leaves nothing to the second
        done = verbs.run(words, tmp_path, env, 20)

        real = subprocess.run(
            [sys.executable, "-m", "statusd", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done is not None
        assert (done.returncode, done.stdout, done.stderr) == (
            *(real.returncode, real.stdout, real.stderr),
        )


def test_what_is_no_case_for_it_is_left_to_a_program(verbs: Verbs) -> None:
    """What starts programs, what the interpreter reads, what is too long."""
    assert verbs.run(["run"], None, os.environ, 20) is None
    assert verbs.run(["send", "x" * 100_000], None, os.environ, 20) is None
    assert verbs.run(["status"], None, os.environ | {"PYTHONIOENCODING": "ascii"}, 20) is None


def test_a_verb_that_does_not_end_is_killed(verbs: Verbs) -> None:
    """And the next one is not the worse for it."""
    with Broker(BROKERS["valkey"]) as broker:
        broker.freeze()
        words = ["send", "ping", "--url", broker.url]
        with pytest.raises(subprocess.TimeoutExpired):
            verbs.run(words, None, os.environ, 0.2)
        broker.thaw()

        done = verbs.run(words, None, os.environ, 20)

    assert done is not None
    assert "nobody listens there" in done.stderr


def test_nothing_is_left_of_it(verbs: Verbs) -> None:
    """Neither before its first verb nor after its end."""
    before = processes_with_marker(f"{SESSION}/verbs")
    verbs.run(["completion", "bash"], None, os.environ, 20)
    assert len(processes_with_marker(f"{SESSION}/verbs")) == len(before) + 1

    verbs.close()

    assert processes_with_marker(f"{SESSION}/verbs") == before
