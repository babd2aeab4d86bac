"""`make run`: a broker of its own beside the daemon, on this machine only, gone with it."""

from __future__ import annotations

import re
import signal
import socket
from functools import partial
from pathlib import Path

import pytest

from statusd.daemon import embedded
from tests.tools import Broker, Program, free_port, processes_with_marker, wait_until

DEMO = Path("config/demo.toml").read_text()
SAID = re.compile(r"A broker listens on 127\.0\.0\.1:(\d+)")


def demo(directory: Path) -> Program:
    """Start what `make run` starts, with a runtime directory of its own."""
    runtime = {"XDG_RUNTIME_DIR": str(directory), "COUNTER_STEP_S": "0.01"}
    return Program(DEMO, directory=directory, args=("--embedded", "--fresh"), env=runtime)


def has_counted(unit: Program) -> bool:
    """Tell whether the worker's own lines have come through."""
    return "counter: 3 of 600" in unit.output()


def broker_port(unit: Program) -> int:
    """Return the port that it told its user."""
    found = wait_until(lambda: SAID.search(unit.output()), 10, "the lines to type")
    return int(found[1])


def test_it_works_twice_in_a_row(tmp_path: Path) -> None:
    """Each time with a broker, commanded by `statusd send` without an address, and nothing left."""
    for _ in range(2):
        with demo(tmp_path) as unit:
            port = broker_port(unit)
            unit.wait_logged("link.up", link="hears")
            unit.wait_state("READY")
            assert f"redis-cli -p {port} PUBLISH mychannel start" in unit.output() or port == 6379

            send(tmp_path, "start")
            unit.wait_state("RUNNING")
            wait_until(partial(has_counted, unit), 15, "three counts")
            send(tmp_path, "END")

            assert unit.wait_exit(10) == 0
            assert unit.leftovers() == []
            assert not (tmp_path / "statusd" / "embedded").exists()


def send(directory: Path, word: str) -> None:
    """Type `statusd send WORD` in another terminal of the same user."""
    from tests.system.commands import statusd

    done = statusd("send", word, cwd=directory, env={"XDG_RUNTIME_DIR": str(directory)})
    assert (done.returncode, done.stderr) == (0, "")


def test_a_taken_port_is_no_trouble(tmp_path: Path) -> None:
    """It takes a free one, and says so in each line to type."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 6379))
            taken.listen()
        except OSError:
            pass  # somebody has it already: just as good
        with demo(tmp_path) as unit:
            assert broker_port(unit) != 6379
            assert "6379 is taken" in unit.output()
            unit.wait_logged("link.up", link="hears")


def test_a_port_that_is_taken_meanwhile_is_left_to_its_owner(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The port looked free and isn't: somebody else's broker would have got our commands."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ports = iter([broker.port, free_port()])
    monkeypatch.setattr(embedded, "_free_port", lambda: next(ports))

    with embedded.Embedded() as ours:
        assert ours.port != broker.port
        assert embedded.running() == ours.url

    assert list(tmp_path.glob("*/*")) == []


def test_the_broker_goes_with_a_killed_daemon(tmp_path: Path) -> None:
    """Even SIGKILL of the daemon leaves no broker behind."""
    with demo(tmp_path) as unit:
        unit.wait_logged("link.up", link="hears")

        unit.signal(signal.SIGKILL)

        wait_until(lambda: processes_with_marker(unit.marker) == [], 15, "all to be gone")
