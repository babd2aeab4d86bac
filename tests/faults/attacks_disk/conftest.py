"""Fixtures of the attacks from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.attacks_disk.sites import Site
from tests.tools import Broker, SmallDisk


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """A disk of a few files, for the state directory alone."""
    with SmallDisk(inodes=16) as small:
        yield small


@pytest.fixture
def site(disk: SmallDisk, broker: Broker, tmp_path: Path) -> Site:
    """A place for a unit, and its disk."""
    return Site(disk, broker, tmp_path / "unit")
