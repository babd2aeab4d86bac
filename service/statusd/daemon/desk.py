"""The desk of a folder's daemon: what it is asked on this host, besides what its units are.

Rule of this file: what is asked here changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from statusd.daemon.health import Health
from statusd.daemon.living import EXIT_LEASE_LOST
from statusd.daemon.plan import FolderPlan, Plan
from statusd.unit.local_socket import Client, LocalSocket
from statusd.wire.local import HEALTH

OTHERS_GO_ON = "the other units go on"


def stays(folder: FolderPlan | None) -> bool:
    """Tell whether a daemon goes on when its last unit has ended."""
    return folder is not None and not folder.until_ended


class Desk:
    """Listens on the daemon's socket; without a folder there is none, for the unit has its own.

    Args:
        plan: of the daemon; health: how it is; log: where it tells of units that aren't here.
    """

    def __init__(self, plan: Plan, health: Health, log: Any) -> None:
        self._folder = plan.folder
        self._name = plan.names.name
        self._health = health
        self._log = log
        self._socket = LocalSocket(plan.folder.socket, self._hear) if plan.folder else None

    def is_worth_it(self, count: int) -> bool:
        """Tell whether the daemon goes on with only so many of the units that were to begin."""
        return self._folder is not None and bool(count or self._folder.ended)

    async def open(self, noted: Callable[[str, int], None]) -> None:
        """Listen, and tell of those units that don't begin; ``noted`` gets their exit codes."""
        if self._folder is None or self._socket is None:
            return
        await self._socket.start()
        for name, reason in self._folder.failed.items():
            self._log.error("unit.not_started", unit=name, reason=reason, then=OTHERS_GO_ON)
            noted(name, EXIT_LEASE_LOST)
        for name, ended in self._folder.ended.items():
            then = "it stays so: --fresh begins all of them anew"
            fields = {"by": ended.by, "source": ended.source}
            said = {key: value for key, value in fields.items() if value}
            self._log.info("unit.ended_before", unit=name, **said, then=then)

    def _hear(self, line: bytes, client: Client) -> None:
        if line != HEALTH:
            client.send({"error": "this is a daemon: it is asked for its health, and nothing else"})
            return
        client.send({"daemon": self._name, "pid": os.getpid(), "units": self._health.all()})

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
