"""Fixtures for all tests: real brokers, real programs, and the proof that nothing is left."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from statusd.worker.wrapper import die_with
from tests.tools import (
    SESSION,
    Broker,
    Journal,
    Process,
    Program,
    available_brokers,
    processes_with_marker,
    wait_until,
)
from tests.tools.guard import Guard
from tests.tools.leftovers import abandoned, clear, folder
from tests.tools.processes import MARKER
from tests.tools.reliability import Reliability
from tests.tools.verbs import verbs

BROKERS = available_brokers()

OTHERS = (
    *("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"),
    *("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"),
)
"""What our caller's service manager, login or make(1) has told it, and not our programs."""
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
"""By it a quarter of the time of a program that is started would go into compiling it anew."""

EXIT_CODE = pytest.StashKey[int]()
CLEARED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the proofs by repetition be repeated more often."""
    parser.addoption("--rounds", type=int, default=4, help="how often tests/faults does it")
    parser.addoption("--minutes", type=float, default=0.2, help="how long tests/faults soaks")
    parser.addoption(
        "--units", type=int, default=8, help="how many units there are in tests/faults"
    )
    parser.addoption(
        "--ops", action="store_true", help="let tests/ops boot a machine and build images"
    )
    parser.addoption("--browser", action="store_true", help="let tests/browser drive one")
    parser.addoption(
        "--pictures", action="store_true", help="let tests/browser make docs/pictures anew"
    )
    parser.addoption(
        "--reliability", action="store_true", help="write what came of it to docs/reliability.md"
    )


# How long it takes to think of an example says how busy the machine is.
hypothesis.settings.register_profile(
    "statusd", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("statusd")


@pytest.hookimpl(tryfirst=True)  # before anybody has asked where temporary files are
def pytest_configure(config: pytest.Config) -> None:
    """Begin the session: what it starts and makes is its own, and goes with it.

    And let Ctrl-C be what it is: a shell that starts us in the background ignores it, and so would
    all that we start.
    """
    if hasattr(config, "workerinput"):
        die_with(os.getppid())
        _begin(config, Path(tempfile.gettempdir(), config.workerinput["workerid"]))
    else:
        _clear_abandoned(config)
        guard = Guard()
        _begin(config, folder(SESSION))
        config.add_cleanup(lambda: guard.close(keep_files=bool(config.stash.get(EXIT_CODE, 0))))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("reliability"):
        config.pluginmanager.register(Reliability())


def _clear_abandoned(config: pytest.Config) -> None:
    """Clear what runs left that were killed with their guards, and the files of failed ones."""
    owners = abandoned()
    for owner in owners:
        clear(owner)
    config.stash[CLEARED] = len(owners)


def _begin(config: pytest.Config, where: Path) -> None:
    """Mark whatever is started from now on, and have all files in ``where``."""
    where.mkdir(mode=0o700)
    is_part = "/" in SESSION  # then it is our controller that has given us a folder
    if is_part or config.option.basetemp is None:
        config.option.basetemp = where / "t"  # short: names of sockets have 107 bytes
    for name in list(os.environ):
        if name in (*OTHERS, UNCOMPILED) or (name.startswith("STATUSD_") and name != "STATUSD_OPS"):
            del os.environ[name]
    os.environ |= {"XDG_CONFIG_HOME": str(where / "home"), "XDG_STATE_HOME": str(where / "home")}
    os.environ |= {MARKER: SESSION, "TMPDIR": str(where)}
    tempfile.tempdir = str(where)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what has happened to others before our first test."""
    cleared = config.stash.get(CLEARED, 0)
    return f"cleared what was left of earlier runs: {cleared}" if cleared else None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember what came of it."""
    session.config.stash[EXIT_CODE] = int(exitstatus)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Say where the files of a failed test are."""
    if exitstatus:
        where = folder(SESSION)
        terminalreporter.write_line(f"what the tests have written, until the next run: {where}")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Clear what a worker of pytest-xdist has left that died; its files tell why."""
    if error:
        clear(f"{SESSION}/{node.gateway.id}", keep_files=True)


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a proof by repetition is repeated."""
    return int(request.config.getoption("rounds"))


def _as_told(process: Process) -> str:
    parent = Process(process.parent, 0)
    whose = f"{parent.pid} ({parent.command_line()[-80:]})"
    return f"{process.pid} {process.state}, of {whose}: {process.command_line()}"


@pytest.fixture(scope="session", autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fail the session if a process that a test started still lives at its end."""
    yield
    verbs.close()
    left = processes_with_marker
    lines = [_as_told(process) for pid in left() if (process := Process.of(pid))]
    wait_until(lambda: not left(), 20, f"{lines} to be gone")  # some just heard of it


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A running broker: the embedded Valkey."""
    with Broker(BROKERS["valkey"]) as running:
        yield running


@pytest.fixture(params=sorted(BROKERS))
def each_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A running broker of each kind that this machine has."""
    with Broker(BROKERS[request.param]) as running:
        yield running


@pytest.fixture
def journal(broker: Broker) -> Iterator[Journal]:
    """Everything that units say on ``broker``."""
    with Journal(broker.client()) as listening:
        yield listening


Run = Callable[..., Program]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start the real program: ``run("tests.workers:obedient", broker.url, name="a", ...)``."""
    with ExitStack() as stack:

        def start(
            function: str, url: str, *, args: tuple[str, ...] = (), **changes: Any
        ) -> Program:
            toml = settings(function, url, **changes)
            directory = tmp_path / toml["name"]
            return stack.enter_context(Program(toml, directory=directory, args=args))

        yield start


def settings(function: str, url: str, **changes: Any) -> dict[str, Any]:
    """Return settings for a test; tables among ``changes`` are merged into theirs."""
    toml: dict[str, Any] = {
        "name": "unit",
        "redis": {"url": url},
        "control": {"channels": ["mychannel"]},
        "worker": {"function": function},
    }
    for key, value in changes.items():
        toml[key] = {**toml.get(key, {}), **value} if isinstance(value, Mapping) else value
    return toml
