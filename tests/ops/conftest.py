"""What is there for an hour of an operator; elsewhere each test says why it can't run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tools.engine import Engine
from tests.tools.machine import Machine
from tests.tools.ops import CannotRun


@pytest.fixture(autouse=True)
def _only_on_demand(request: pytest.FixtureRequest) -> None:
    """Skip unless it was asked for: the first time takes minutes, and installs packages."""
    if not request.config.getoption("ops"):
        pytest.skip("boots a machine or builds images: make ops-check")


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine with a real systemd."""
    if not request.config.getoption("ops"):
        pytest.skip("boots a machine: make ops-check")
    try:
        made = Machine()
    except CannotRun as reason:
        pytest.skip(str(reason))
    with made:
        yield made


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A container engine with a storage of its own."""
    if not request.config.getoption("ops"):
        pytest.skip("builds images: make ops-check")
    try:
        made = Engine()
    except CannotRun as reason:
        pytest.skip(str(reason))
    with made:
        yield made
