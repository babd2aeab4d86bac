"""The desk of a folder's daemon: what it is asked on this host, besides what its units are.

Rule of this file: what is asked here changes nothing.
"""

from __future__ import annotations

from typing import Any

from statusd.daemon.health import Health
from statusd.daemon.living import Living
from statusd.daemon.plan import FolderPlan, Plan
from statusd.unit.local_socket import Client, LocalSocket
from statusd.unit.unit import Unit
from statusd.wire.local import HEALTH

OTHERS_GO_ON = "the other units go on"


def stays(folder: FolderPlan | None) -> bool:
    """Tell whether a daemon goes on when its last unit has ended."""
    return folder is not None and not folder.until_ended


class Desk:
    """Listens on the daemon's socket; without a folder there is none, for the unit has its own.

    Args:
        plan: of the daemon; living: its units; health: how it is.
        log: where it tells of units that aren't here.
    """

    def __init__(self, plan: Plan, living: Living, health: Health, log: Any) -> None:
        self._folder = plan.folder
        self._name = plan.names.name
        self._living, self._health, self._log = living, health, log
        self._begun: frozenset[str] = frozenset()
        self._not_started: dict[str, str] = {}
        self._socket = LocalSocket(plan.folder.socket, self._hear) if plan.folder else None

    def is_worth_it(self, count: int) -> bool:
        """Tell whether the daemon goes on with only so many of the units that were to begin."""
        return self._folder is not None and bool(count or self._folder.ended)

    def stays_out(self, unit: Unit, error: BaseException) -> None:
        """Take note of a unit whose name is held by another daemon."""
        self._not_started[unit.name] = str(error)
        self._living.failed(unit)

    async def open(self) -> None:
        """Listen, and tell of those units that don't begin."""
        if self._folder is None or self._socket is None:
            return
        await self._socket.start()
        self._begun = frozenset(self._living.by_name)
        for name, reason in self._folder.failed.items():
            self._not_started[name] = reason
            self._living.lacks(name)
        for name, reason in self._not_started.items():
            self._log.error("unit.not_started", unit=name, reason=reason, then=OTHERS_GO_ON)
        for name, ended in self._folder.ended.items():
            then = "it stays so: --fresh begins all of them anew"
            fields = {"by": ended.by, "source": ended.source}
            said = {key: value for key, value in fields.items() if value}
            self._log.info("unit.ended_before", unit=name, **said, then=then)

    def _hear(self, line: bytes, client: Client) -> None:
        if line != HEALTH:
            client.send({"error": "this is a daemon: it is asked for its health, and nothing else"})
            return
        assert self._folder is not None
        units = [self._health.health(unit) for unit in self._living.units]
        ended = sorted({*self._folder.ended, *(self._begun - self._living.by_name.keys())})
        told = {"daemon": self._name, "units": units, "ended": ended}
        client.send({**told, **self._health.shared(), "not_started": self._not_started})

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
