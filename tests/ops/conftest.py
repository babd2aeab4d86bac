"""What is there for an hour of an operator; elsewhere each test says why it can't run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from tests.tools.engine import Engine
from tests.tools.machine import Machine
from tests.tools.ops import CannotRun

Part = TypeVar("Part", Machine, Engine)


@pytest.fixture(autouse=True)
def _only_on_demand(request: pytest.FixtureRequest) -> None:
    """Skip unless it was asked for: the first time takes minutes, and installs packages."""
    _skip_unless_asked(request)


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine with a real systemd."""
    yield from _running(request, Machine)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A container engine with a storage of its own."""
    yield from _running(request, Engine)


def _running(request: pytest.FixtureRequest, make: Callable[[], Part]) -> Iterator[Part]:
    """Yield what ``make`` makes, started; skip with the reason where it can't be."""
    _skip_unless_asked(request)
    try:
        made = make()
    except CannotRun as reason:
        pytest.skip(str(reason))
    with made:
        yield made


def _skip_unless_asked(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("ops"):
        pytest.skip("boots a machine or builds images: make ops-check")
