"""Readers judge record by record, and believe no server: channels."""

from __future__ import annotations

import time

import pytest

from statusd import Fleet
from tests.faults.test_attacks_cli import put
from tests.tools import Broker


@pytest.mark.fault("X16")
@pytest.mark.parametrize(
    "patterns",
    [
        ["*a" * 200 + "b"],
        ["*" * 100_000],
        ["*?" * 400 + "b", "[a-" * 100],
        ["lab.*.cam.*.cmd"] * 1000,
        ["\ud800*"],
        [f"{'a' * 300_000}*"],
    ],
)
def test_no_pattern_of_a_document_holds_up_a_command(
    patterns: list[str], broker: Broker, fleet: Fleet
) -> None:
    """Who is asked is found at once, however a unit says that it hears; the others are asked."""
    put(broker, "bad", channels=patterns)
    channel = f"lab.{'.cam.' * 150}{'a' * 100}"[:MOST]
    put(broker, "good", channels=["lab.*"])
    began = time.process_time()

    alive, _ = fleet.expected(channel=channel)

    assert [unit.name for unit in alive] == ["good"]
    assert time.process_time() - began < 2


MOST = 1024
"""A channel's name of this length is still matched."""
