"""`statusd demo` on a real terminal: what is seen, what keys do, and that nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.tools import Terminal, environment, processes_with_marker, wait_until
from tests.tools.processes import MARKER

COMMAND = [sys.executable, "-m", "statusd", "demo"]


class Demo:
    """Where a demonstration runs, and what it has left there."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / "tmp"
        self.folder.mkdir()
        runtime = directory / "runtime"
        self.env = environment(directory) | {"TMPDIR": str(self.folder)}
        self.env["XDG_RUNTIME_DIR"] = str(runtime)
        runtime.mkdir()
        self.runtime = runtime
        self.marker = self.env[MARKER]

    def terminal(self, columns: int = 100, rows: int = 30) -> Terminal:
        """Start it on a terminal."""
        return Terminal(COMMAND, self.env, columns=columns, rows=rows)

    def left(self) -> list[object]:
        """Return the processes and files that are still there."""
        places = (self.folder, self.runtime)
        return [*processes_with_marker(self.marker), *(p for q in places for p in q.iterdir())]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A place for a demonstration, empty again afterwards."""
    demo = Demo(tmp_path)
    yield demo
    wait_until(lambda: demo.left() == [], 15, f"nothing to be left of {demo.left()}")


def row(screen: str, name: str) -> str:
    """Return the row of a unit."""
    return next((line for line in screen.splitlines() if f" {name} " in line[:12]), "")


def wait_row(terminal: Terminal, name: str, text: str) -> None:
    """Wait until a unit's row says ``text``."""
    try:
        wait_until(lambda: text in row(terminal.text(), name), 15, f"{name}: {text}")
    except AssertionError as error:
        raise AssertionError(f"{error}:\n{terminal.text()}") from None


def test_the_demo_tells_its_whole_story(demo: Demo) -> None:
    """One is paused, all are resumed, one crashes and comes back, one ends and begins anew."""
    with demo.terminal() as terminal:
        for name in ("camera", "laser", "stage"):
            wait_row(terminal, name, "RUNNING")
            wait_row(terminal, name, "LISTENING")
        terminal.type("2p")
        wait_row(terminal, "laser", "PAUSED")
        assert "PUBLISH laser pause" in terminal.wait("pause: done")
        assert "RUNNING" in row(terminal.text(), "camera")
        terminal.type("ar")
        wait_row(terminal, "laser", "RUNNING")
        wait_row(terminal, "camera", "noop")
        assert "PUBLISH mychannel resume" in terminal.text()
        terminal.type("3c")
        terminal.wait("killed by SIGKILL")
        assert "kill -KILL " in terminal.text()
        terminal.wait("BACKOFF -> INIT")
        wait_row(terminal, "stage", "RUNNING")
        terminal.type("1e")
        wait_row(terminal, "camera", "END")
        terminal.type("s")
        wait_row(terminal, "camera", "RUNNING")
        assert "PUBLISH camera launch" in terminal.text()
        terminal.type("q")

        assert terminal.wait_exit(15) == 0
        assert "It is all gone again" in terminal.text()


@pytest.mark.parametrize(
    ("how", "code"),
    [(signal.SIGTERM, 143), (None, 129), (signal.SIGKILL, -9)],
    ids=["SIGTERM", "closed", "SIGKILL"],
)
def test_however_it_ends_nothing_is_left(how: int | None, code: int, demo: Demo) -> None:
    """No process, no file; and no traceback on the screen. SIGKILL leaves the broker's address."""
    with demo.terminal() as terminal:
        wait_row(terminal, "camera", "RUNNING")
        if how is None:
            terminal.hang_up()
        else:
            terminal.signal(how)

        assert terminal.wait_exit(15) == code
        assert b"Traceback" not in terminal.raw
    if how == signal.SIGKILL:
        for file in (demo.runtime / "statusd").glob("embedded-*"):
            file.unlink()
        wait_until(lambda: not processes_with_marker(demo.marker), 15, "all to be gone")
        (demo.runtime / "statusd").rmdir()


def test_a_signal_that_comes_early_leaves_nothing(demo: Demo) -> None:
    """While broker and daemons are being started."""
    with demo.terminal() as terminal:
        wait_until(lambda: demo.left() != [terminal.pid] and demo.left(), 10, "a beginning")
        wait_until(lambda: any(isinstance(one, Path) for one in demo.left()), 10, "a file")
        terminal.type("\x03")

        assert terminal.wait_exit(15) == 130
        assert b"Traceback" not in terminal.raw


def test_a_narrow_terminal_shows_what_matters(demo: Demo) -> None:
    """Forty columns: unit, state, progress, and every key."""
    with demo.terminal(columns=40, rows=20) as terminal:
        for name in ("camera", "laser", "stage"):
            wait_row(terminal, name, "RUNNING")
        terminal.type("ap")
        wait_row(terminal, "stage", "PAUSED")

        screen = terminal.text()
        assert "PUBLISH mychannel pause" in " ".join(screen.split())  # with a port it is wrapped
        assert all(word in screen for word in ("choose", "resume", "crash the worker", "q quit"))
        terminal.type("\x03")
        assert terminal.wait_exit(15) == 130


def test_without_a_terminal_it_says_so(demo: Demo) -> None:
    """Exit code 64, and what to type instead."""
    done = subprocess.run(
        COMMAND, env=demo.env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )

    assert done.returncode == 64
    assert b"statusd demo --plain" in done.stderr


def test_the_plain_story_needs_no_terminal(demo: Demo) -> None:
    """Lines of commands, verdicts and events, to the end or as long as somebody reads."""
    with subprocess.Popen(
        [*COMMAND, "--plain"], env=demo.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            told += os.fsdecode(line)
            if "pause: done" in told:
                break
        process.stdout.close()

        assert process.wait(20) == 141
    assert "PUBLISH camera pause" in told


def test_in_a_browser_it_says_where_and_leaves_nothing(demo: Demo) -> None:
    """The units are there by the address that it prints; Ctrl-C, as a shell sends it, ends all."""
    running = subprocess.Popen(
        [*COMMAND, "--web"],
        env=demo.env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with running:
        assert running.stdout is not None
        running.stdout.readline()
        url, token = running.stdout.readline().split("?token=")
        asking = Request(f"{url}api/units", headers={"Authorization": f"Bearer {token.strip()}"})

        def states() -> dict[str, str]:
            with urlopen(asking, timeout=5) as answer:
                return {unit["name"]: unit["state"] for unit in json.load(answer)["units"]}

        expected = dict.fromkeys(("camera", "laser", "stage"), "RUNNING")
        wait_until(lambda: states() == expected, 20, "the three of them")
        os.killpg(running.pid, signal.SIGINT)
        said, _ = running.communicate(timeout=15)
    assert running.returncode == 0
    assert said.startswith("It is all gone again.")
