"""Units come together, or none does: a reload and a launch are never half in each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from statusd.daemon.comings import Comings

Story = Callable[[Comings, list[str]], Awaitable[None]]


def play(story: Story) -> list[str]:
    """Return what is told in a story."""
    told: list[str] = []

    async def live() -> None:
        async with asyncio.timeout(10):
            await story(Comings(), told)

    asyncio.run(live())
    return told


async def come(comings: Comings, told: list[str], name: str) -> None:
    """Let a unit come, which takes some turns of the loop."""
    async with comings.one():
        told.append(f"{name} comes")
        for _ in range(5):
            await asyncio.sleep(0)
        told.append(f"{name} lives")


async def judge(comings: Comings, told: list[str]) -> None:
    """Judge what there is, in some turns of the loop."""
    async with comings.none():
        told.append("begun")
        for _ in range(5):
            await asyncio.sleep(0)
        told.append("judged")


def test_who_comes_is_there_before_it_is_judged_and_others_come_later() -> None:
    """Several come at the same time."""

    async def story(comings: Comings, told: list[str]) -> None:
        early = [asyncio.create_task(come(comings, told, name)) for name in "ab"]
        await asyncio.sleep(0)
        judging = asyncio.create_task(judge(comings, told))
        await asyncio.sleep(0)
        await asyncio.gather(*early, judging, come(comings, told, "c"))

    told = play(story)
    assert told[:2] == ["a comes", "b comes"]
    assert sorted(told[2:4]) == ["a lives", "b lives"]
    assert told[4:] == ["begun", "judged", "c comes", "c lives"]


def test_a_storm_of_reloads_keeps_nobody_out() -> None:
    """Whoever waits comes before the next one is judged."""

    async def story(comings: Comings, told: list[str]) -> None:
        judging = [asyncio.create_task(judge(comings, told)) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.gather(come(comings, told, "a"), *judging)

    told = play(story)
    assert told[:4] == ["begun", "judged", "a comes", "a lives"]
    assert told[4:] == ["begun", "judged"] * 4


def test_a_failure_lets_others_go_on() -> None:
    """Of who comes, and of who judges."""

    async def fail(within: object) -> None:
        async with within:  # type: ignore[attr-defined]  # any of the two
            raise LookupError

    async def story(comings: Comings, told: list[str]) -> None:
        for within in (comings.one(), comings.none()):
            done = await asyncio.gather(fail(within), return_exceptions=True)
            told.append(type(done[0]).__name__)
        await come(comings, told, "a")
        await judge(comings, told)

    assert play(story)[-4:] == ["a comes", "a lives", "begun", "judged"]
