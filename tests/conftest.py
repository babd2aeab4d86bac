"""Fixtures for all tests: real brokers, real programs, and the proof that nothing is left."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.tools import Broker, Journal, Program, available_brokers, processes_with_marker
from tests.tools.reliability import Reliability

BROKERS = available_brokers()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the proofs by repetition be repeated more often."""
    parser.addoption("--rounds", type=int, default=12, help="how often tests/faults does it")
    parser.addoption("--minutes", type=float, default=0.2, help="how long tests/faults soaks")
    parser.addoption(
        "--units", type=int, default=8, help="how many units there are in tests/faults"
    )
    parser.addoption(
        "--ops", action="store_true", help="let tests/ops boot a machine and build images"
    )
    parser.addoption(
        "--reliability", action="store_true", help="write what came of it to docs/reliability.md"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Count for the page of reliability, if it is to be written; and let Ctrl-C be what it is.

    A shell that starts us in the background ignores it, and so would all that we start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("reliability"):
        config.pluginmanager.register(Reliability())


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a proof by repetition is repeated."""
    return int(request.config.getoption("rounds"))


@pytest.fixture(scope="session", autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fail the session if a process that a test started still lives at its end."""
    yield
    assert processes_with_marker() == []


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
