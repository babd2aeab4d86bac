"""SIGHUP: new settings for what runs, all or none; done when each channel is heard or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from statusd import logs
from statusd.core.errors import StatusdError
from statusd.core.policy import Policy
from statusd.daemon.router import Router
from statusd.daemon.service_manager import ServiceManager
from statusd.daemon.session import Session
from statusd.unit.unit import Unit
from statusd.wire.address import Address
from statusd.wire.link import LinkState
from statusd.wire.outbox import RedisCommand

UNBLOCK_S = 0.05
"""So soon the broker is asked again to end a read that it hadn't come to."""


class NewSettings(NamedTuple):
    """New settings for one unit and its daemon, and the keys that have changed."""

    name: str
    policy: Policy
    tags: frozenset[str]
    channels: tuple[str, ...]
    address: Address
    level: str
    lasting_s: float
    changed: list[str]
    needs_restart: list[str]


class Reloader:
    """Takes new settings over.

    Args:
        load: returns them, or raises StatusdError.
        units: of the daemon, by name; session, router: what they share.
        heard: returns all that is to be heard.
        manager: told that it goes on, and that it is over.
        log: where it is told.
    """

    def __init__(
        self,
        load: Callable[[], NewSettings],
        units: Mapping[str, Unit],
        session: Session,
        router: Router,
        heard: Callable[[], tuple[str, ...]],
        manager: ServiceManager,
        log: Any,
    ) -> None:
        self._load = load
        self._units = units
        self._session = session
        self._router = router
        self._heard = heard
        self._manager = manager
        self._log = log
        self._waiting: tuple[NewSettings, ...] = ()
        """Those that are done when each channel is confirmed or refused."""
        session.subscriber_link.all_answered = self.maybe_done

    def reload(self) -> None:
        """Take over new settings, all that can be or none."""
        self._manager.reloading()
        try:
            change = self._load()
        except StatusdError as error:
            self._log.error("reload.refused", reason=str(error))
            self._manager.reloaded()
        else:
            self._take_over(change)

    def _take_over(self, change: NewSettings) -> None:
        """Take over what is new; it is done when each new channel is heard or refused."""
        unit, session = self._units[change.name], self._session
        unit.take_over(change.policy, change.tags, change.channels, change.lasting_s)
        self._router.hears(unit, change.channels)
        session.subscriber_link.listen_to(self._heard())
        session.subscriber_link.address = session.publisher_link.address = change.address
        logs.set_level(change.level)
        self._waiting = (*self._waiting, change)
        self.maybe_done()
        self._unblock()
        unit.flush()

    def maybe_done(self) -> None:
        """Tell that a reload is done if nothing that is said on its channels can be missed now."""
        link, more = self._session.subscriber_link, {}
        if link.state in (LinkState.DOWN, LinkState.CONNECTING):
            more["then"] = "its channels are heard when the broker is there"
        elif not link.is_answered:
            return
        done, self._waiting = self._waiting, ()
        for change in done:
            told = {"changed": change.changed, "needs_restart": change.needs_restart}
            if refused := [c for c in change.channels if c in self._session.refused]:
                told["refused"] = refused
            self._log.info("reload.done", **told, **more)
        if done:
            self._manager.reloaded()

    def _unblock(self) -> None:
        """End our own reading of the stream: until it ends, the broker takes no new channel.

        Without the right to do so it ends by itself, within three seconds.
        """
        link = self._session.subscriber_link
        if self._waiting and link.server.client_id and link.state is LinkState.LISTENING:
            line: RedisCommand = ("CLIENT", "UNBLOCK", link.server.client_id)
            self._session.outbox.put_latest("unblock", line, self._unblocked)
            self._session.flush()

    def _unblocked(self, _: RedisCommand, reply: object) -> bool:
        if reply == 0:  # the broker hadn't come to the read yet that it is to end
            asyncio.get_running_loop().call_later(UNBLOCK_S, self._unblock)
        return True
