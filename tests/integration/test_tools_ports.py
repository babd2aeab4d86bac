"""Tests of `tests.tools.ports`: nobody else has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import free_port, killing, ports

pytestmark = pytest.mark.nightly  # it tests what tests are made with

ROOT = Path(__file__).parents[2]
NEIGHBOUR = "from tests.tools import free_port; print(free_port(), flush=True); input()"


def only(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no other port than ``port``."""
    monkeypatch.setattr(ports, "FIRST", port)
    monkeypatch.setattr(ports, "LAST", port)


def test_a_port_of_a_neighbour_is_taken_until_he_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has asked for it, and nobody listens there: it is his all the same."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", NEIGHBOUR],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as neighbour,
        killing(neighbour),
    ):
        assert neighbour.stdout is not None
        port = int(neighbour.stdout.readline())
        only(port, monkeypatch)

        with pytest.raises(OSError, match="each port is in use"):
            free_port()
    assert free_port() == port
    ports.give_back(port)


def test_a_port_is_given_to_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the next one when it is given back."""
    port = free_port()
    only(port, monkeypatch)
    with pytest.raises(OSError, match="each port is in use"):
        free_port()

    ports.give_back(port)

    assert free_port() == port
    ports.give_back(port)


def test_the_kernel_gives_it_to_nobody() -> None:
    """Neither to who binds without a wish, nor to a client that connects."""
    low, high = map(int, ports.RANGE.read_text("ascii").split())
    port = free_port()
    assert not low <= port <= high
    ports.give_back(port)
