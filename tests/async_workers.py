"""Workers for tests that are ``async def``."""

from __future__ import annotations

import asyncio
import itertools
import time

from statusd import AsyncWorker

STEP_S = 0.005
"""How long a step of work takes."""


async def obedient(worker: AsyncWorker) -> None:
    """Work in steps, and let something else go on meanwhile."""

    async def ticks() -> None:
        for tick in itertools.count():
            worker.text(f"tick {tick}")
            await asyncio.sleep(STEP_S)

    ticking = asyncio.create_task(ticks())
    async for step in worker.while_running():
        await asyncio.sleep(STEP_S)
        worker.progress(step + 1, 1000)
    ticking.cancel()


async def tracking(worker: AsyncWorker) -> None:
    """Have a thousand images: half by ``async for``, half by ``for``."""
    async for _ in worker.track(range(20), "by async for", unit="images"):
        await asyncio.sleep(STEP_S)
    for _ in worker.track(range(1000), "by for", unit="images"):
        await asyncio.sleep(STEP_S * 4)


async def blocked_in_a_step(worker: AsyncWorker) -> None:
    """Make one step, and then never give the loop back."""
    async for step in worker.while_running():
        while step:
            time.sleep(STEP_S)
