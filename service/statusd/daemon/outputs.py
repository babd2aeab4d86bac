"""Where the units' workers print to: opened again when it was moved, and complained of."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from functools import partial
from typing import Any

from statusd.complaints import Complaints
from statusd.daemon.means import Outlets
from statusd.supervision.output import Sink

CURE = "let this user write there, and send SIGHUP again"


class Outputs:
    """All sinks of a daemon.

    Args:
        outlets: has the sinks of all units.
        complaints: where it is told that one fails; log: what else there is to tell.
    """

    def __init__(self, outlets: Outlets, complaints: Complaints, log: Any) -> None:
        self._outlets = outlets
        self._complaints = complaints
        self._log = log

    def reopen(self) -> None:
        """Have files opened again that logrotate may have moved; nothing is waited for."""
        for sink in self._outlets.all:
            sink.reopen(partial(self._reopened, sink.name))

    def _reopened(self, where: str, reason: str) -> None:
        if not reason:
            self._log.info("output.reopened", where=where)
            return
        then = "what the worker prints goes on into the file that was open"
        self._log.warning("output.not_reopened", where=where, reason=reason, then=then, cure=CURE)

    def complain(self) -> None:
        """Tell of those that can't be written."""
        for sink in self._outlets.all:
            if sink.trouble:
                self._complaints.report(
                    sink.name, "output.failed", where=sink.name, reason=sink.trouble
                )

    async def finish(self, timeout_s: float) -> None:
        """Wait at most so long until all is written."""
        await asyncio.gather(*(sink.finish(timeout_s) for sink in self._outlets.all))

    async def keep(self, used: Container[Sink], timeout_s: float) -> None:
        """Close those of files that nobody prints to any more; see `Outlets.keep`."""
        await asyncio.gather(*(sink.finish(timeout_s) for sink in self._outlets.keep(used)))
