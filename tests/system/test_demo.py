"""`statusd demo` on a real terminal: what is seen, what keys do, and that nothing is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.tools import Terminal, environment, processes_with_marker, wait_until
from tests.tools.processes import MARKER, dying_with_us
from tests.tools.variants import nightly

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


ENDS = {signal.SIGINT: 0, signal.SIGTERM: 0, signal.SIGHUP: 129}


@pytest.mark.parametrize("how", [signal.SIGINT, *nightly(signal.SIGTERM, signal.SIGHUP)])
def test_in_a_browser_it_is_the_same_and_nothing_is_left(how: signal.Signals, demo: Demo) -> None:
    """By the address that it prints: three units that work, print, obey; a signal ends it all."""
    file = demo.folder.parent / "printed"
    with file.open("wb") as printed:
        process = subprocess.Popen(
            dying_with_us([*COMMAND, "--web"]),
            env=demo.env,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    address = wait_until(lambda: re.search(r"http://\S+", file.read_text()), 15, "the address")
    with httpx.Client(headers={"sec-fetch-site": "same-origin"}, timeout=10) as browser:
        assert browser.get(address[0]).status_code == 303
        at = str(httpx.URL(address[0]).copy_with(query=None))

        def units() -> dict[str, dict[str, str]]:
            return {one["name"]: one for one in browser.get(f"{at}api/units").json()["units"]}

        names = {"camera", "laser", "stage"}
        wait_until(lambda: units().keys() == names, 15, "three units")
        wait_until(lambda: all(u["state"] == "RUNNING" for u in units().values()), 15, "work")
        order = {"command": "pause", "target": {"name": ["camera"]}}
        assert '"done":["camera"]' in browser.post(f"{at}api/commands", json=order).text
        assert "counter: 1 of 2000" in browser.get(f"{at}api/units/camera/logs?lines=2000").text

    process.send_signal(how)

    assert process.wait(15) == ENDS[how]
    assert "Traceback" not in file.read_text()
