"""Tests of `statusd.unit.document`: what a unit says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.core.policy import Policy
from statusd.core.status import Status
from statusd.core.unit import Identity
from statusd.unit.document import Proof, document
from tests.unit.test_own_lifecycle import INSTRUMENT


def told(**more: Any) -> dict[str, Any]:
    """Return the document of a unit that has such a status."""
    status = Status(Identity("unit"), **more)
    return document(status, None, "LISTENING", Proof(0, None), (), 0.0, 0.0)


@pytest.mark.parametrize(("attached", "within_s"), [(False, 72.0), (True, 60.0)])
def test_it_says_how_long_its_end_may_take(attached: bool, within_s: float) -> None:
    """Up to SIGKILL; an attached program gets no signal."""
    policy = Policy(stop_timeout_s=60.0, kill_timeout_s=12.0, attached=attached)

    assert told(policy=policy)["ends_within_s"] == within_s


def test_it_says_which_words_a_lifecycle_of_ones_own_has() -> None:
    """Triggers and states; the built-in ones are known to everybody."""
    words = told(lifecycle=INSTRUMENT)["words"]

    assert {"acquire", "abort", "ACQUIRING", "end", "END", "status"} <= {*words}
    assert "words" not in told()
