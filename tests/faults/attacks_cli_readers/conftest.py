"""Fixtures of the attacks on readers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from statusd import Fleet
from tests.faults.test_attacks_cli import put
from tests.tools import Broker


@pytest.fixture
def fleet(broker: Broker) -> Iterator[Fleet]:
    """The fleet of ``broker``, in which one unit is good; the bad one is for the test."""
    put(broker, "good", channels=["mychannel"], tags=["a"])
    put(broker, "bad", channels=["mychannel"], tags=["a"])
    with Fleet(broker.url) as found:
        yield found
