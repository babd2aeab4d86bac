"""SIGHUP: new settings for what runs, all or none; done when each channel is heard or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from statusd import logs, threads
from statusd.core.errors import StatusdError
from statusd.core.policy import Policy
from statusd.daemon.channels import Channels
from statusd.daemon.comings import Comings
from statusd.daemon.router import Router
from statusd.daemon.service_manager import ServiceManager
from statusd.daemon.session import Session
from statusd.supervision import reaper
from statusd.unit.unit import Unit
from statusd.wire.address import Address
from statusd.wire.link import LinkState


class UnitSettings(NamedTuple):
    """New settings for one unit, and the keys that have changed."""

    name: str
    policy: Policy
    tags: frozenset[str]
    channels: tuple[str, ...]
    lasting_s: float
    changed: list[str]
    needs_restart: list[str]


class FolderChanges(NamedTuple):
    """What has changed of what a folder's units share, and which of them are new or gone."""

    changed: list[str]
    needs_restart: list[str]
    added: list[str]
    removed: list[str]


class NewSettings(NamedTuple):
    """New settings for a daemon; ``folder`` is None for that of a file."""

    address: Address
    level: str
    units: tuple[UnitSettings, ...]
    folder: FolderChanges | None = None


class Reloader:
    """Takes new settings over.

    Args:
        load: returns them, or raises StatusdError.
        living: returns the units that live, by name; session, router: what they share.
        channels: has the link hear all that is to be heard.
        comings: of units that begin while others live.
        manager: told that it goes on, and that it is over.
        log: where it is told.
    """

    def __init__(
        self,
        load: Callable[[], NewSettings],
        living: Callable[[], Mapping[str, Unit]],
        session: Session,
        router: Router,
        channels: Channels,
        comings: Comings,
        manager: ServiceManager,
        log: Any,
    ) -> None:
        self._load = load
        self._living = living
        self._session = session
        self._router = router
        self._channels = channels
        self._comings = comings
        self._manager = manager
        self._log = log
        self._reading: asyncio.Task[None] | None = None
        self._is_asked_again = False
        self._waiting: tuple[NewSettings, ...] = ()
        """Those that are done when each channel is confirmed or refused."""
        session.subscriber_link.all_answered = self.maybe_done

    def reload(self) -> None:
        """Take over new settings, all that can be or none.

        They are read in a thread, and judged in another process: it takes a quarter of a second
        and a millisecond a file, more than that where the disk is slow. Asked for again meanwhile,
        they are read once more, however often that was.
        """
        self._manager.reloading()
        self._is_asked_again = self._reading is not None
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read())
            self._reading.add_done_callback(self._has_read)

    async def _read(self) -> None:
        async with self._comings.none():  # else one comes by the old settings, and nobody knows
            try:
                change = await threads.apart(self._load, "reload")
            except (StatusdError, OSError) as error:
                self._log.error("reload.refused", reason=str(error))
                self._manager.reloaded()
            else:
                self.take_over(change)
            reaper.reap_orphans()  # who fell to us meanwhile may stand behind the judge that died

    def _has_read(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        if reading.cancelled():
            return
        reading.result()  # a bug is nobody's but the daemon's: the loop tells it
        if self._is_asked_again:
            self.reload()

    def take_over(self, new: NewSettings) -> None:
        """Take over what is new; it is done when each new channel is heard or refused."""
        session, living = self._session, self._living()
        changes = [(living[change.name], change) for change in new.units if change.name in living]
        for unit, change in changes:
            unit.take_over(change.policy, change.tags, change.channels, change.lasting_s)
            self._router.hears(unit, change.channels)
        self._channels.refresh()
        session.subscriber_link.address = session.publisher_link.address = new.address
        logs.set_level(new.level)
        self._waiting = (*self._waiting, new)
        self.maybe_done()
        for unit, _ in changes:
            unit.flush()

    def maybe_done(self) -> None:
        """Tell that a reload is done if nothing that is said on its channels can be missed now."""
        link, more = self._session.subscriber_link, {}
        if link.state in (LinkState.DOWN, LinkState.CONNECTING):
            more["then"] = "its channels are heard when the broker is there"
        elif not link.is_answered:
            return
        done, self._waiting = self._waiting, ()
        for new in done:
            self._tell(new, more)
        if done:
            self._manager.reloaded()

    def _tell(self, new: NewSettings, more: Mapping[str, str]) -> None:
        """Log what was taken over: of a folder, for each unit that it changes, and for the rest."""
        living = self._living()
        for change in new.units:
            refused = [c for c in change.channels if c in self._session.refused]
            is_news = bool(change.changed or change.needs_restart or refused)
            if change.name in living and (is_news or new.folder is None):
                told = {"changed": change.changed, "needs_restart": change.needs_restart}
                told |= {"refused": refused} if refused else {}
                living[change.name].ports.log.info("reload.done", **told, **more)
        if new.folder is not None:
            told = {key: value for key, value in new.folder._asdict().items() if value}
            if new.folder.added or new.folder.removed:
                more = {"then": "statusd reload begins and ends units"}
            self._log.info("reload.done", **told, **more)
