"""One broker and one server for a file of tests: each test minds only what is its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import BROKERS
from tests.tools import Broker
from tests.tools.web import Web


@pytest.fixture(scope="module")
def lasting_broker() -> Iterator[Broker]:
    """A broker for all tests of a file."""
    with Broker(BROKERS["valkey"]) as running:
        yield running


@pytest.fixture(scope="module")
def web(lasting_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server for all tests of a file."""
    with Web(lasting_broker.url, directory=tmp_path_factory.mktemp("web")) as running:
        running.wait_up()
        yield running
