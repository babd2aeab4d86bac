"""The desk of a folder's daemon: what it is asked on this host, besides what its units are.

Whoever may open the socket may launch units that have ended, and have the folder read again; those
that live have sockets of their own.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

from statusd.core.errors import BadMessage
from statusd.core.messages import parse
from statusd.daemon.health import Health
from statusd.daemon.launcher import Launcher
from statusd.daemon.living import Living
from statusd.daemon.plan import Plan
from statusd.daemon.reconciler import Reconciler
from statusd.unit.local_socket import Client, LocalSocket
from statusd.unit.unit import Unit
from statusd.wire.local import HEALTH, RELOAD, RELOAD_DRY

OTHERS_GO_ON = "the other units go on"
NOT_OURS = "no unit that rests is meant; those that live have sockets of their own"


class Desk:
    """Listens on the daemon's socket; without a folder there is none, for the unit has its own.

    Args:
        plan: of the daemon; living: its units; launcher: those that rest; health: how it is.
        reconciler: makes them what a folder says; None without one.
        log: where it tells of units that aren't here.
    """

    def __init__(
        self,
        plan: Plan,
        living: Living,
        launcher: Launcher,
        reconciler: Reconciler | None,
        health: Health,
        log: Any,
    ) -> None:
        self._folder = plan.folder
        self._name = plan.names.name
        self._living, self._launcher = living, launcher
        self._health, self._log = health, log
        self._reconciler = reconciler
        self._reloading: asyncio.Task[None] | None = None
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
        for name, reason in self._folder.failed.items():
            self._not_started[name] = reason
            self._living.lacks(name)
        for name, reason in self._not_started.items():
            self._log.error("unit.not_started", unit=name, reason=reason, then=OTHERS_GO_ON)

    def _hear(self, line: bytes, client: Client) -> None:
        if line == HEALTH:
            client.send(self._told())
            return
        if line in (RELOAD, RELOAD_DRY):
            self._reload(client, dry_run=line == RELOAD_DRY)
            return
        try:
            command = parse(line, "socket", asyncio.get_running_loop().time())
        except BadMessage as error:
            client.send({"error": error.reason})
            return
        if command is None:
            return
        if not command.id:
            command = replace(command, id=os.urandom(16).hex())
        if not self._launcher.take_local(command, client):
            client.send({"error": NOT_OURS})

    def _reload(self, client: Client, *, dry_run: bool) -> None:
        """Make what runs what the files say, one reload at a time; the answer comes when it is."""
        if self._reloading is not None and not self._reloading.done():
            client.send({"error": "another reload is under way"})
            return

        async def obey() -> None:
            assert self._reconciler is not None
            client.send(await self._reconciler.reconcile(dry_run=dry_run))

        self._reloading = asyncio.get_running_loop().create_task(obey())

    def _told(self) -> dict[str, Any]:
        units = [self._health.health(unit) for unit in self._living.units]
        told = {"daemon": self._name, "units": units, "ended": sorted(self._launcher.rests)}
        return {**told, **self._health.shared(), "not_started": self._not_started}

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
