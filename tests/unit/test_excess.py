"""Tests of `statusd.supervision.excess`: when memory is looked at closely, and what is said."""

from __future__ import annotations

import asyncio
import errno
from types import SimpleNamespace
from typing import Any

import pytest

from statusd import threads
from statusd.core import events as ev
from statusd.core.policy import OnMemory
from statusd.supervision import excess
from statusd.supervision.excess import REST, Excess
from statusd.supervision.resources import Usage
from tests.unit.histories import WAYS, Story
from tests.unit.worlds import Loop

GIB = 2**30


class Scene:
    """A worker that may have 2 GiB, and whoever weighs what it has.

    Args:
        shared: this part of its memory is counted more than once.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shared: float) -> None:
        self.story = Story(WAYS["RUNNING"], memory_max=2 * GIB, on_memory=OnMemory.TELL)
        self.loop = Loop()
        self.looks = 0
        self.told: list[float] = []
        self.happens = ""
        """What happens to the worker while somebody looks closely."""
        self.meanwhile: Usage | None = None
        """The sample that is taken while somebody looks closely."""
        self.process: Any = SimpleNamespace(run=1, sampler=SimpleNamespace(usage=None, pids=(1,)))
        self._shared = shared
        self._excess = Excess(self._happened, lambda: None, self.loop)
        monkeypatch.setattr(excess, "proportional", self._proportional)

    def _proportional(self, _: object) -> int:
        self.looks += 1
        self.story.play(self.happens)
        self.loop.now += 1.0
        usage: Usage = self.process.sampler.usage
        self.process.sampler.usage = self.meanwhile or usage
        return round(usage.memory * (1 - self._shared))

    def _happened(self, happened: Any) -> None:
        assert isinstance(happened, ev.WorkerGrown)
        self.told.append(happened.memory / GIB)
        self.story.happen(happened)

    def has(self, gib: float, processes: int = 2, samples: int = 1) -> None:
        """Let it have so much, by a sample, or by several that come before anybody has looked."""
        usage = Usage(0.0, 0.0, round(gib * GIB), 1, processes, 1)
        self.process.sampler.usage = usage

        async def weigh() -> None:
            for _ in range(samples):
                self._excess.weigh(self.story.status, self.process, usage)
            if self._excess._asking is not None:
                await self._excess._asking

        asyncio.run(weigh())
        self.loop.pass_by(0)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Processes that share nothing."""
    return Scene(monkeypatch, shared=0.0)


@pytest.fixture
def sharing(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Processes that have half of it together."""
    return Scene(monkeypatch, shared=0.5)


def test_one_process_shares_nothing_with_itself(alone: Scene) -> None:
    """It is judged by what was read anyway; once an excess, and once when it is over."""
    for gib in (1.9, 2.1, 2.5, 1.9, 1.7):
        alone.has(gib, processes=1)

    assert alone.told == pytest.approx([2.1, 1.7])
    assert alone.looks == 0


def test_several_are_looked_at_before_anything_is_said(alone: Scene) -> None:
    """And not before there seems to be an excess."""
    alone.has(1.9)
    assert alone.looks == 0

    alone.has(2.1)

    assert alone.looks == 1
    assert alone.told == pytest.approx([2.1])
    assert alone.process.sampler.usage.pss == alone.process.sampler.usage.memory


def test_who_shares_has_no_excess(sharing: Scene) -> None:
    """That much is known then, and shown."""
    sharing.has(3.0)

    assert (sharing.looks, sharing.told) == (1, [])
    assert sharing.process.sampler.usage.pss == round(1.5 * GIB)
    sharing.has(1.5)
    assert sharing.process.sampler.usage.pss is None


def test_a_close_look_is_rare(sharing: Scene) -> None:
    """Unless memory has grown by a twentieth, or so much time has passed."""
    sharing.has(3.0)
    sharing.has(3.0)
    sharing.has(3.1)
    assert sharing.looks == 1

    sharing.has(3.2)
    assert sharing.looks == 2
    sharing.loop.pass_by(REST - 1)
    sharing.has(3.2)
    assert sharing.looks == 2
    sharing.loop.pass_by(1)
    sharing.has(3.2)

    assert (sharing.looks, sharing.told) == (3, [])


def test_what_grows_on_is_seen_at_once(sharing: Scene) -> None:
    """Each step is a look, until it is too much for all that is shared."""
    for gib in (3.0, 3.5, 4.5):
        sharing.has(gib)

    assert sharing.told == pytest.approx([2.25])


@pytest.mark.parametrize(("gib", "told"), [(3.5, [3.0]), (1.0, [])])
def test_a_sample_that_was_taken_meanwhile_stays(
    gib: float, told: list[float], alone: Scene
) -> None:
    """A close look takes seconds: CPU seconds never go back, nor is it killed that has shrunk."""
    alone.meanwhile = Usage(0.5, 7.0, round(gib * GIB), 1, 2, 1)

    alone.has(3.0)

    assert alone.told == pytest.approx(told)
    assert alone.process.sampler.usage == alone.meanwhile._replace(pss=round(min(3.0, gib) * GIB))


def test_without_a_thread_nobody_is_judged(sharing: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by what counts twice: the next sample is looked at, and nothing is done before."""

    def none(call: Any, name: str) -> Any:
        raise OSError(errno.EAGAIN, threads.NONE_LEFT)

    with monkeypatch.context() as short:
        short.setattr(threads, "start", none)
        sharing.has(3.0)
    assert (sharing.looks, sharing.told) == (0, [])
    assert sharing.process.sampler.usage.pss is None

    sharing.has(5.0)

    assert sharing.looks == 1
    assert sharing.told == pytest.approx([2.5])


def test_nobody_looks_twice_at_once(alone: Scene) -> None:
    """Samples go on while a close look takes its seconds: one thread is enough."""
    alone.has(3.0, samples=3)

    assert alone.looks == 1


def test_what_was_found_of_a_run_is_not_done_to_the_next_one(alone: Scene) -> None:
    """It had died by itself, and there is another one already."""
    alone.happens = "[exits 1] [gone] (backoff) [ready] [sees]"

    alone.has(3.0)

    assert (alone.looks, alone.told, alone.story.status.worker.run) == (1, [], 2)


def test_another_run_is_looked_at_anew(sharing: Scene) -> None:
    """What was found of the last one says nothing of it."""
    sharing.has(3.0)
    sharing.story.play("[exits 1] [gone] (backoff) [ready] [sees]")
    sharing.has(3.0)
    assert sharing.looks == 1  # the one that is gone

    sharing.process.run = 2
    sharing.has(3.0)

    assert sharing.looks == 2
