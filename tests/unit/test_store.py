"""Tests of `statusd.unit.store` with a real disk: the file comes before what is said of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from statusd.core import events as ev
from statusd.core.messages import Command
from statusd.scheduler import Attributed
from statusd.unit.cursor import Delivery
from statusd.unit.state_file import StateFile
from statusd.unit.store import Store
from statusd.unit.stream_position import StreamPosition
from tests.tools.waiting import until
from tests.unit.worlds import World


class Kept:
    """The unit of a `World` with a real state file, on a real loop."""

    def __init__(self, folder: Path) -> None:
        self.world = World("boot [ready] start [sees] +1 disk")
        unit, loop = self.world.unit, asyncio.get_running_loop()
        self.errors: list[Exception] = []
        self.file = StateFile(folder, "unit")
        old = unit.store
        unit.store = Store(
            self.file,
            self.world.disk.content,
            unit.status,
            unit.outages,
            lines=old._lines,
            go_on=old._continue,
            release=old._publish,
            say_place=old._tell_place,
            disk=old._mind,
            changed=old._changed,
            loop=Attributed(loop, self.errors.append),
        )

    def content(self) -> dict[str, Any]:
        """Return what stands in the file."""
        return dict(json.loads(self.file.path.read_text()))

    def has_said_more(self, said: int) -> bool:
        """Tell whether there are more verdicts than so many."""
        self.pass_by()
        return len(self.world.verdicts()) > said

    def has_said(self, what: str) -> bool:
        """Tell whether that was the last verdict."""
        self.pass_by()
        return self.world.said()[-1] == what

    def pass_by(self) -> None:
        """Let so much time go by as a worker that was just told may take to answer."""
        self.world.play("+0.001")

    def read(self, word: str, number: int) -> None:
        """Let an entry of the stream come."""
        command = Command(word, f"stream:{number}-0", self.world.loop.now, id=f"d{number}")
        place = StreamPosition(f"{number}-0", number)
        self.world.unit.happened(Delivery((ev.Commanded(command),), place))


def play(story: Callable[[Kept], Awaitable[None]], folder: Path) -> None:
    """Run ``story`` on a loop."""

    async def live() -> None:
        kept = Kept(folder)
        await story(kept)
        await kept.world.unit.store.close()
        assert kept.errors == []

    asyncio.run(live())


def test_when_it_is_said_it_stands_in_the_file(tmp_path: Path) -> None:
    """Of each durable command the place and the command itself, before its first verdict."""

    async def story(kept: Kept) -> None:
        for number, word in enumerate(("pause", "resume", "pause"), 1):
            said = len(kept.world.verdicts())
            kept.read(word, number)
            assert len(kept.world.verdicts()) == said
            await until(partial(kept.has_said_more, said), "the verdict")
            content = kept.content()
            assert content["cursor"]["id"] == f"{number}-0"
            assert f"d{number}" in [command["id"] for command in content["open"]]

    play(story, tmp_path)


def test_a_final_verdict_is_said_when_its_command_is_not_open_in_the_file(tmp_path: Path) -> None:
    """Until then it stands there as a line to be sent."""

    async def story(kept: Kept) -> None:
        kept.read("pause", 1)
        await until(partial(kept.has_said, "pause accepted"), "the first verdict")
        kept.world.play("[sees]")
        assert kept.world.said()[-1] == "pause accepted"
        await until(partial(kept.has_said, "pause done"), "the last verdict")

        content = kept.content()
        assert content["open"] == []
        assert '"verdict":"done"' in str(content["unsent"])
        kept.world.play("+0.03")
        await until(lambda: kept.content()["unsent"] == [], "it to be sent")

    play(story, tmp_path)


def test_a_file_that_can_not_be_written_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Half a second, then it is obeyed, and said that it isn't kept; and so again when it is."""

    async def story(kept: Kept) -> None:
        beside = kept.file.path.with_suffix(".new")
        beside.mkdir()  # what stands in the way of every write
        kept.read("pause", 1)
        await until(partial(kept.has_said, "pause accepted"), "the verdict")
        assert kept.world.verdicts()[-1]["kept"] is False

        beside.rmdir()
        kept.world.play("[sees]")
        await until(lambda: kept.file.kept and not kept.file.trouble, "the disk")
        kept.read("resume", 2)
        await until(partial(kept.has_said, "resume accepted"), "the next verdict")
        assert "kept" not in kept.world.verdicts()[-1]

    play(story, tmp_path)
