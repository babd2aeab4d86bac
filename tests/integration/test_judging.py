"""The process that judges settings for a daemon: asked, gone, stopped, or never there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import statusd
from statusd.core.errors import ConfigError
from statusd.daemon import judging
from statusd.daemon.judging import Judging, elsewhere
from statusd.settings.judge import judge
from statusd.settings.load import load
from statusd.supervision import reaper
from statusd.supervision.held_signals import HARMLESS
from tests.tools import Process, killing, wait_until

GOOD = {"name": "a", "redis": {"password": "hunter2"}, "worker": {"command": ["sleep", "9"]}}
BAD = {"name": "a b", "foo": 1, "tags": ["x y"]}
BIG = {"tags": [f"tag-{number}" for number in range(100_000)]}
"""More than a pipe holds, both ways."""


def process_of(judging: Judging) -> Process:
    """Return its process."""
    process = Process.of(judging.pid)
    assert process is not None
    return process


def test_it_says_what_we_would() -> None:
    """As often as it is asked, by one process."""
    with Judging() as asked:
        pid = asked.pid
        for content in (GOOD, BAD, GOOD, BIG, {}):
            assert asked(content) == judge(content)
        assert asked.pid == pid != 0


def test_it_has_nothing_of_ours_and_goes_when_it_is_let_go() -> None:
    """Its own pipes, its own session, all that ends it comes, and nobody else buries it."""
    mine, other = os.pipe()
    os.set_inheritable(other, True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with Judging() as asked:
            assert asked(GOOD) == judge(GOOD)
            process = process_of(asked)
            assert asked.pid in reaper.ours
            assert sorted(os.listdir(f"/proc/{asked.pid}/fd")) == ["0", "1", "2"]
            assert os.readlink(f"/proc/{asked.pid}/fd/2") == os.devnull
            assert os.getsid(asked.pid) == asked.pid
            status = Path(f"/proc/{asked.pid}/status").read_text()
            held = int(status.partition("SigBlk:")[2].split()[0], 16)
            assert held == sum(1 << number - 1 for number in HARMLESS)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(mine)
        os.close(other)
    assert process.state == "X"
    assert process.pid not in reaper.ours


def test_one_that_dies_is_done_without() -> None:
    """We judge ourselves, then and later."""
    with Judging() as asked:
        os.kill(asked.pid, signal.SIGKILL)
        assert asked(GOOD) == judge(GOOD)
        assert asked.pid == 0
        assert asked(BAD) == judge(BAD)


def test_one_that_is_stopped_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for its time; it is ended all the same."""
    monkeypatch.setattr(judging, "ANSWER_S", 0.2)
    with Judging() as asked:
        process = process_of(asked)
        os.kill(asked.pid, signal.SIGSTOP)
        assert asked(BIG) == judge(BIG)
        assert process.state == "X"


def test_one_that_cannot_be_started_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """No interpreter there, or no process to be had."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Judging() as asked:
        assert asked.pid == 0
        assert asked(GOOD) == judge(GOOD)


@pytest.mark.parametrize(
    "content",
    [
        {"worker": {"budget": 10**5000}},
        {"control": {"\0when": ["date", "1979-05-27"]}},
        {"lifecycle": {"states": [{"\0when": ["date", "1979-05-27"]}]}},
    ],
    ids=["digits", "date", "date-inside"],
)
def test_what_cannot_be_written_is_judged_here(content: dict[str, Any]) -> None:
    """More digits than Python writes; what would stand for a date. It is told as it is."""
    with Judging() as asked:
        assert asked(content) == judge(content)


def test_what_is_no_text_among_the_places_of_modules_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sitecustomize or a .pth may have left a path there, which Python skips."""
    monkeypatch.setattr(sys, "path", [Path("/nowhere"), b"/nowhere", *sys.path])
    with Judging() as asked:
        assert asked(GOOD) == judge(GOOD)
        assert asked.pid != 0


def test_settings_are_loaded_by_a_process_for_the_occasion(tmp_path: Path) -> None:
    """With every mistake, and nobody is left."""
    before = {*reaper.ours}  # others of this process may have left some
    file = tmp_path / "a.toml"
    file.write_text('[worker]\ncommand = ["sleep", "9"]\nnice = 99\n')
    with pytest.raises(ConfigError, match=r"a\.toml:3: worker\.nice: Input should be less"):
        elsewhere(lambda judge: load(file, {}, judge=judge))
    file.write_text('[worker]\ncommand = ["sleep", "9"]\nnice = 9\n')
    assert elsewhere(lambda judge: load(file, {}, judge=judge)) == load(file, {})
    assert reaper.ours == before


OWNER = """\
import time
from statusd.daemon.judging import Judging
asked = Judging()
print(asked.pid, flush=True)
time.sleep(600)
"""


def test_it_does_not_outlive_us() -> None:
    """However we go, and before it is asked anything."""
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner, killing(owner):
        assert owner.stdout is not None
        process = Process.of(int(owner.stdout.readline()))
        assert process is not None
        owner.kill()
        wait_until(lambda: not process.is_alive(), 15, "the judge to go")


ASKER = """\
import sys
from statusd.daemon.judging import Judging
with Judging() as asked:
    asked({})
    print(asked.pid != 0, "pydantic_core" in sys.modules)
"""


def test_it_finds_its_modules_where_we_do(tmp_path: Path) -> None:
    """In a checkout, asked from any folder; and nothing that lies about there."""
    for name in ("pydantic", "json", "statusd"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger')\n")

    done = subprocess.run(
        [sys.executable, "-P", "-c", ASKER],
        env={**os.environ, "PYTHONPATH": str(Path(statusd.__file__).parents[1])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert done.stdout.split() == ["True", "False"]
