"""A worker that is killed with its unit is buried before it is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from statusd import logs
from statusd.core import events as ev
from statusd.supervision.supervisor import Means, Supervisor
from statusd.supervision.worker_channel import Spec

SPEC = Spec(("INIT", "READY"), "ww", "started", function="a:b", paths=())


class Dying:
    """A process that takes so many looks until it is over."""

    def __init__(self, looks: int) -> None:
        self._looks = looks
        self.told: list[str] = []

    @property
    def is_over(self) -> bool:
        """Come nearer to the end."""
        self._looks -= 1
        return self._looks < 0

    def stop(self, force: ev.Force) -> bool:
        """Be signalled."""
        self.told.append(force.value)
        return True

    def close(self) -> None:
        """Be forgotten."""
        self.told.append("buried" if self._looks < 0 else "given up")


@pytest.mark.fault("K01")
@pytest.mark.parametrize(("looks", "end"), [(0, "buried"), (3, "buried"), (10_000, "given up")])
def test_a_killed_worker_is_waited_for_in_its_time(looks: int, end: str) -> None:
    """Behind one that nobody has buried no orphan would be; one that can't die is given up."""

    async def close() -> None:
        loop: Any = asyncio.get_running_loop()
        guard: Any = None
        supervisor = Supervisor(Means(SPEC), lambda _: None, lambda: None, guard, loop, logs.get())
        supervisor.process = cast(Any, dying)
        await supervisor.close(lives=False, timeout_s=0.2)

    dying = Dying(looks)
    asyncio.run(close())

    assert dying.told == ["SIGKILL", end]
