"""The real daemon, one part of which stands still from SIGWINCH on: what a bug could do to it.

``python -m tests.frozen PART FILE``
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Any

from statusd.cli import main
from statusd.core import events as ev
from statusd.daemon.daemon import Daemon
from statusd.wire.link import Link


def freeze(part: str, daemons: list[Any]) -> None:
    """Let ``part`` of the daemon stand still."""
    daemon = daemons[0]
    match part:
        case "inbox":
            (unit,) = daemon.units.values()
            unit._busy = True
            unit.submit(ev.Passed(ev.Timer.STATE))
        case "supervisor":
            daemon._ticks.look = lambda: None
        case "loop":
            while True:  # in a callback of the loop
                time.sleep(0.01)


async def _for_ever(*_: object) -> str:
    await asyncio.Event().wait()
    return ""


def run(part: str, file: str) -> int:
    """Run the daemon of ``file``."""
    daemons: list[Any] = []
    live = Daemon.live

    async def noted(self: Daemon, *args: Any, **kwargs: Any) -> int:
        daemons.append(self)
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, frozen)
        return await live(self, *args, **kwargs)

    def frozen() -> None:
        if part == "hearing link":
            Link._live = _for_ever  # type: ignore[method-assign, assignment]  # a bug
        else:
            freeze(part, daemons)

    Daemon.live = noted  # type: ignore[method-assign]  # to get hold of it
    return main(["run", file])


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
