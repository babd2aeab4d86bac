"""Where workers print to: one sink a file, as long as somebody prints there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from statusd import logs
from statusd.complaints import Complaints
from statusd.daemon.means import Outlets
from statusd.daemon.outputs import Outputs
from statusd.settings.models import Settings
from statusd.settings.tables import WorkerSettings
from statusd.supervision.output import Sink


def sink(outlets: Outlets, folder: Path, output: str) -> Sink:
    """Return where a unit prints to whose settings lie in ``folder``."""
    worker = WorkerSettings(command=("true",), output=output)
    found = outlets.sinks(Settings(worker=worker), folder / "statusd.toml")
    assert found is not None
    return found[0]


def test_a_file_is_closed_when_nobody_prints_there(tmp_path: Path) -> None:
    """And opened anew for the next one; what others share, and the terminal, stays."""
    outlets = Outlets()
    old, used = (sink(outlets, tmp_path, name) for name in ("./old.log", "./used.log"))
    tagged = sink(outlets, tmp_path, "tagged")
    assert sink(outlets, tmp_path, "./used.log") is used
    assert {old, used, tagged} <= outlets.all

    async def keep() -> None:
        outputs = Outputs(outlets, Complaints(lambda: 0.0, logs.get()), logs.get())
        old.offer(b"the last line\n")
        await outputs.keep({used}, 5.0)

    asyncio.run(keep())
    assert not old.is_file
    assert (tmp_path / "old.log").read_text() == "the last line\n"
    assert old not in outlets.all
    assert {used, tagged} <= outlets.all
    anew = sink(outlets, tmp_path, "./old.log")
    assert anew is not old
    for one in (anew, used):
        one.close(1.0)


def test_an_output_that_came_later_is_opened_again_too(tmp_path: Path) -> None:
    """That of a unit that was launched, or is new in the folder, since the daemon began."""
    outlets = Outlets()

    async def rotate() -> None:
        outputs = Outputs(outlets, Complaints(lambda: 0.0, logs.get()), logs.get())
        later = sink(outlets, tmp_path, "./later.log")
        (tmp_path / "later.log").rename(tmp_path / "moved.log")
        outputs.reopen()
        later.offer(b"after\n")
        await outputs.finish(5.0)

    asyncio.run(rotate())
    assert (tmp_path / "later.log").read_text() == "after\n"
    assert (tmp_path / "moved.log").read_text() == ""
