"""Tests of `statusd.unit.work`: which time counts for the estimate of a unit's work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from statusd.core.pace import Estimate
from statusd.supervision.worker_channel import Record
from statusd.unit.work import Work
from tests.unit.histories import WAYS, Story


class Scene:
    """Work that is at a step of its own each ten seconds."""

    def __init__(self) -> None:
        self.story = Story(WAYS["RUNNING"])
        self.now, self.step = 0.0, 0
        process: Any = SimpleNamespace(record=lambda: Record(self.step, 100, "", "images"))
        self.work = Work(self.story.status, lambda: process, lambda: self.now)
        for self.step in range(11):
            self.now = self.step * 10.0
            self.work.look()

    def after(self, seconds: float, step: int, history: str = "") -> Estimate:
        """Return how it goes on when so much time has passed, and then that has happened."""
        self.now, self.step = self.now + seconds, step
        self.work.changed()
        self.story.play(history)
        return self.work.estimate(self.work.look())


@pytest.fixture
def scene() -> Scene:
    """Work that goes on."""
    return Scene()


def test_a_step_that_a_pause_waits_for_counts_until_its_end(scene: Scene) -> None:
    """It works on until it has seen that it is to wait; then time stands."""
    assert scene.after(0, 10, "pause").left_s == pytest.approx(900)

    unseen = scene.after(5, 10)
    seen = scene.after(3, 10, "[sees]")
    waiting = scene.after(3600, 10)

    assert unseen.left_s == pytest.approx(895)
    assert seen.left_s == pytest.approx(892)
    assert waiting.left_s == pytest.approx(892)
    assert waiting.rate == pytest.approx(0.1)


def test_of_work_that_ends_nobody_asks_how_long_it_takes(scene: Scene) -> None:
    """Nor how fast it goes."""
    assert scene.after(0, 10, "end") == Estimate()
