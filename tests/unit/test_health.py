"""Tests of `statusd.daemon.health`: the line that an operator reads."""

from __future__ import annotations

import pytest

from statusd.daemon.health import MOST_SHOWN, in_a_line
from statusd.wire.link import LinkState
from statusd.worker.board import Record
from tests.tools.hostile import HOSTILE, arrived

UP = LinkState.LISTENING


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (None, "RUNNING; link LISTENING"),
        (Record(None, None, ""), "RUNNING; link LISTENING"),
        (Record(3, None, ""), "RUNNING, 3; link LISTENING"),
        (Record(3, 4, "exposing"), "RUNNING, 75 % exposing; link LISTENING"),
        (Record(9, 4, ""), "RUNNING, 100 %; link LISTENING"),
        (Record(None, None, "warming up"), "RUNNING, warming up; link LISTENING"),
    ],
)
def test_state_link_and_progress_stand_in_it(record: Record | None, line: str) -> None:
    """As far as they are known."""
    assert in_a_line("RUNNING", UP, "", record) == line


def test_trouble_is_told_instead_of_the_link() -> None:
    """While it is tried again the line stays the same: it would be no news."""
    lines = {in_a_line("READY", s, "Connection refused", None) for s in LinkState}

    assert lines == {"READY; link DOWN: Connection refused"}


@pytest.mark.fault("X15")
def test_a_brokers_error_does_nothing_to_who_reads_it() -> None:
    """It is shown by `systemctl status`, and by statusd health."""
    assert arrived(in_a_line("RUNNING", UP, HOSTILE, None)) == []


def test_a_worker_s_text_gives_no_orders() -> None:
    """A line break would begin another assignment, STOPPING=1 for instance."""
    said = in_a_line("RUNNING", UP, "a\nREADY=1", Record(1, 2, "x\nSTOPPING=1\x1b[2J" + "y" * 999))

    assert said.startswith("RUNNING, 50 % x STOPPING=1[2Jyy")
    assert "\n" not in said
    assert len(said) < MOST_SHOWN + 60
